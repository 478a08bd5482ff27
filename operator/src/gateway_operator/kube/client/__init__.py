"""What a person's command asks of a cluster: the resource by the API server, its shards' rows by the leader."""
