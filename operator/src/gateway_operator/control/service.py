"""One listener for the pods of all gateways: the path says whose channel is meant, that channel knows who may use it.

A replica that does not lead, and one that has not taken a gateway up yet, say so (`NotLeader`) and close, whoever asks:
the pod goes on to the next address, and comes back. A wrong secret is refused with 401, as on the unix socket.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import structlog
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from shardpod.contract import NotLeader

from .server import ControlServer, limits, refusal

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PATH = "/v1/control/"
"""Followed by `<namespace>/<name>` of the gateway."""

PARTING = 2.0
"""Seconds that a pod has to take its last message and to close; it may have stopped reading."""

NOT_LEADING = "this replica does not lead the gateway"

Key = tuple[str, str]
"""A gateway's namespace and name."""


class _Channel:
    """A gateway's channel, and the connections that it serves."""

    def __init__(self, server: ControlServer) -> None:
        self.server = server
        self.sockets: set[ServerConnection] = set()


class ControlService:
    """Hands each connection to the control channel of its gateway."""

    def __init__(self) -> None:
        self._channels: dict[Key, _Channel] = {}
        self._partings: set[asyncio.Task[None]] = set()

    def register(self, key: Key, server: ControlServer) -> None:
        """Serve the gateway from now on; the connections of a channel before this one are closed."""
        self.unregister(key, "another term of this gateway has begun")
        self._channels[key] = _Channel(server)

    def unregister(self, key: Key, reason: str = "this replica has given the gateway up") -> None:
        """Serve the gateway no longer, if it was. Its pods are sent on to who leads it now."""
        channel = self._channels.pop(key, None)
        for socket in channel.sockets if channel is not None else ():
            parting = asyncio.get_running_loop().create_task(_send_on(socket, reason))
            self._partings.add(parting)
            parting.add_done_callback(self._partings.discard)

    def close_all(self, reason: str) -> None:
        """Serve no gateway any longer, as when another replica leads. The listener stays."""
        for key in tuple(self._channels):
            self.unregister(key, reason)

    @asynccontextmanager
    async def listening(self, host: str | None, port: int) -> AsyncIterator[int]:
        """Serve on all addresses of `host`, None: of the machine. The port, also where 0 was asked for.

        Raises OSError.
        """
        async with serve(self._serve, host, port, process_request=self._check, **limits()) as listener:
            yield next(iter(listener.sockets)).getsockname()[1]
            self.close_all("this operator stops")
            await asyncio.gather(*self._partings)

    def _check(self, socket: ServerConnection, request: Request) -> Response | None:
        key = _key(request)
        if key is None:
            return socket.respond(HTTPStatus.NOT_FOUND, f"Gateways are at {PATH}<namespace>/<name>.\n")
        channel = self._leading(key)
        return None if channel is None or channel.server.admits(request) else refusal(socket)

    async def _serve(self, socket: ServerConnection) -> None:
        request = socket.request
        key = None if request is None else _key(request)
        channel = None if key is None else self._leading(key)
        # The secret once more: while it shook hands, a channel may have come that did not check it.
        if request is None or channel is None or not channel.server.admits(request):
            await _send_on(socket, NOT_LEADING)
            return
        channel.sockets.add(socket)
        try:
            await channel.server.serve(socket)
        finally:
            channel.sockets.discard(socket)

    def _leading(self, key: Key) -> _Channel | None:
        channel = self._channels.get(key)
        return channel if channel is not None and channel.server.leads() else None


def _key(request: Request) -> Key | None:
    """Whose channel is meant; None when the path is of no gateway."""
    namespace, slash, name = request.path.removeprefix(PATH).partition("/")
    if not request.path.startswith(PATH) or not (namespace and slash and name) or "/" in name:
        return None
    return namespace, name


async def _send_on(socket: ServerConnection, reason: str) -> None:
    """Close, so that the pod tries another address at once."""
    try:
        async with asyncio.timeout(PARTING):
            await socket.send(NotLeader().model_dump_json())
            await socket.close(CloseCode.TRY_AGAIN_LATER, reason)
    except ConnectionClosed:
        pass
    except TimeoutError:
        # It does not read, so it would not answer the closing either.
        socket.transport.abort()
