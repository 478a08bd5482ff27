"""Where an address of the control channel leads: a host name may be many replicas, of which only one leads.

A headless Service of Kubernetes has an address of each replica; a client left alone would try the first that answers.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

RESOLVE_TIMEOUT = 5.0
"""Seconds until a name server that does not answer counts as one that does not know."""

_DEFAULT_PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Replica:
    """One place to dial: `url` is as configured, for the handshake, `host` and `port` are where it goes.

    They are None where the URL is a path of this machine.
    """

    url: str
    host: str | None = None
    port: int | None = None


Resolve = Callable[[str], Awaitable[list[Replica]]]
"""From a configured address to all its replicas. Raises OSError (TimeoutError is one) or ValueError."""


async def replicas_of(address: str) -> list[Replica]:
    """All replicas behind `unix:/path`, `ws://host:port/path` or `wss://...`, in the resolver's order."""
    if address.startswith("unix:"):
        return [Replica(address)]
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
    async with asyncio.timeout(RESOLVE_TIMEOUT):
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # A dict keeps the order: an address can come twice, by IPv4 and mapped into IPv6 or by two lines of /etc/hosts.
    return [Replica(address, str(ip), port) for ip in dict.fromkeys(where[0] for *_, where in found)]
