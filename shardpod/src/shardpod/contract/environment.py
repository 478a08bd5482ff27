"""The environment of a shard pod: the few things it must know before it can ask the operator, and its secrets."""

POD_NAME = "GATEWAY_POD_NAME"
"""Who this pod is, e.g. `mybot-e1-0-15`."""

POD_INSTANCE = "GATEWAY_POD_INSTANCE"
"""Which run of the pod this is, e.g. `mybot-e1-0-15.7`: two while it is replaced. By default the pod's name."""

SCRATCH = "GATEWAY_SCRATCH"
"""Directory of this instance alone, kept over its restarts: checkpoints, the queue's spool, dead letters."""

CONTROL_ADDRESSES = "GATEWAY_CONTROL_ADDRESSES"
"""Where the operator listens, comma separated: `unix:/path/to/socket` or `ws://host:port`. Every one is tried."""

CONTROL_SECRET = "GATEWAY_CONTROL_SECRET"  # noqa: S105 -- the name of the variable, not its value
"""Shown to the operator as a bearer token when dialling."""

DISCORD_TOKEN = "DISCORD_TOKEN"  # noqa: S105 -- the name of the variable, not its value
"""The bot's token, without "Bot "."""

DISCORD_CA_FILE = "GATEWAY_DISCORD_CA_FILE"
"""PEM file of one more CA to trust for Discord connections (a private proxy, the simulator)."""

SINK_AUTHORIZATION = "GATEWAY_SINK_AUTHORIZATION"
"""Value of the Authorization header of each request to the HTTP sink."""

TERMINATION_GRACE = "GATEWAY_TERMINATION_GRACE"
"""Seconds from SIGTERM to SIGKILL, in which the pod's successor takes its sessions. 30 by default."""

HTTP_ADDRESS = "GATEWAY_HTTP_ADDRESS"
"""host:port for /healthz, /readyz and /metrics; port 0 picks a free one, which is reported."""

LOG_FORMAT = "GATEWAY_LOG_FORMAT"
"""`json` or `console`; by default `console` on a terminal, else `json`."""

LOG_LEVEL = "GATEWAY_LOG_LEVEL"
"""`debug`, `info`, `warning` or `error`."""
