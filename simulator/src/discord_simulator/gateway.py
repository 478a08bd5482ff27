"""The gateway's sockets: WebSocket handshakes, and the loop between a socket and its `Connection`."""

import asyncio
import contextlib
import logging
import ssl
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from discord_simulator.compression import COMPRESSORS
from discord_simulator.connection import Connection
from discord_simulator.discord import Discord
from discord_simulator.outlet import SocketOutlet
from discord_simulator.rules import CloseCode, RuleBreachError

# Far above 4096 bytes, so that it is the simulator's rule that answers, with Discord's close code.
_MAX_MESSAGE_BYTES = 1024 * 1024
_WRITE_LIMIT_BYTES = 256 * 1024
_CLOSE_TIMEOUT_S = 2.0
_API_VERSION = "10"
_log = structlog.get_logger("discord_simulator")


class Gateway:
    """All gateway connections of one `Discord`; `clock` gives seconds since the start."""

    def __init__(self, discord: Discord, clock: Callable[[], float]) -> None:
        self._discord = discord
        self._clock = clock
        self._connections: set[Connection] = set()
        self.connections_made: Counter[str] = Counter()
        """By the transport compression asked for, "none" without."""

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None) -> Server:
        """Start to accept connections; raises `OSError` if the port is taken."""

        async def handle(websocket: ServerConnection) -> None:
            try:
                await self._handle(websocket, "ws" if tls is None else "wss")
            except Exception:
                _log.exception("a connection failed inside the simulator")
                raise

        return await serve(
            handle,
            host,
            port,
            ssl=tls,
            compression=None,
            ping_interval=None,
            close_timeout=_CLOSE_TIMEOUT_S,
            max_size=_MAX_MESSAGE_BYTES,
            write_limit=_WRITE_LIMIT_BYTES,
            process_request=_check_query,
            logger=_quiet_logger(),
        )

    def tick(self, now: float) -> None:
        for connection in list(self._connections):
            connection.tick(now)

    async def _handle(self, websocket: ServerConnection, scheme: str) -> None:
        assert websocket.request is not None
        query = parse_qs(urlsplit(websocket.request.path).query)
        asked = query.get("compress", ["none"])[0]
        self.connections_made[asked] += 1
        compression = COMPRESSORS.get(asked)
        outlet = SocketOutlet(
            websocket,
            compression() if compression else None,
            self._discord.settings.outgoing_limit_bytes,
            on_overflow=lambda: connection.too_slow(self._clock()),
            manner=self._discord.conditions.manner,
        )
        resume_url = f"{scheme}://{websocket.request.headers['Host']}"
        connection = Connection(self._discord, outlet, resume_url, self._clock())
        self._connections.add(connection)
        writer = asyncio.create_task(outlet.run())
        try:
            await self._read(websocket, connection, query.get("v", ["6"])[0])
        finally:
            self._connections.discard(connection)
            connection.lost(_client_close_code(websocket), self._clock())
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    async def _read(self, websocket: ServerConnection, connection: Connection, version: str) -> None:
        if version != _API_VERSION:
            detail = f"v={version} asked for; this is v{_API_VERSION}, and the default is 6"
            connection.refuse(RuleBreachError(CloseCode.INVALID_API_VERSION, "api-version", detail), self._clock())
        with contextlib.suppress(ConnectionClosed):
            async for message in websocket:
                connection.receive(message, self._clock())


def _check_query(websocket: ServerConnection, request: Request) -> Response | None:
    query = parse_qs(urlsplit(request.path).query)
    if query.get("encoding", ["json"]) != ["json"]:
        return websocket.respond(HTTPStatus.BAD_REQUEST, "encoding: the simulator speaks json only\n")
    asked = query.get("compress")
    if asked and asked[0] not in COMPRESSORS:
        return websocket.respond(HTTPStatus.BAD_REQUEST, f"compress: one of {', '.join(COMPRESSORS)}, or nothing\n")
    return None


def _client_close_code(websocket: ServerConnection) -> int | None:
    """Give the code if the client closed first; an answer to the server's close is no close of its own."""
    protocol = websocket.protocol
    return protocol.close_rcvd.code if protocol.close_rcvd is not None and protocol.close_rcvd_then_sent else None


def _quiet_logger() -> logging.Logger:
    """The library's account of broken handshakes and dropped sockets: expected here, and told better by the rules."""
    logger = logging.getLogger("discord_simulator.websockets")
    logger.setLevel(logging.CRITICAL)
    return logger
