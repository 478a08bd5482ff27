"""A shard pod: what surrounds its worker. The control channel, health, metrics, signals and the process itself."""
