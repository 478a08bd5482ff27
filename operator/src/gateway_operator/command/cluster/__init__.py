"""The commands for a gateway on a cluster: `kubectl dgw status`, or `discord-gateway status -n NAMESPACE`."""
