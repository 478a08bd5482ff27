"""The way to one client: a bounded queue, and one task that writes it to the socket.

Nobody who sends ever waits: a client that does not read fills its own queue and is cut off, and others notice nothing.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from discord_simulator.compression import Compressor, ZlibStream
from discord_simulator.manner import ORDERLY, Manner, SplitInto, in_parts

_STALL_POLL_S = 0.01
_CLOSE_PATIENCE_S = 3.0  # from a close to the end of a client that does not answer it
_LINGER_NONE = struct.pack("ii", 1, 0)  # SO_LINGER with a time of 0: close sends RST


@dataclass(frozen=True, slots=True)
class _Close:
    code: int
    reason: str


class SocketOutlet:
    """Implements `connection.Outlet` over a WebSocket. `on_overflow` hears that the client was too slow."""

    def __init__(
        self,
        websocket: ServerConnection,
        compressor: Compressor | None,
        limit_bytes: int,
        on_overflow: Callable[[], None],
        manner: Manner = ORDERLY,
    ) -> None:
        self._websocket = websocket
        self._compressor = compressor
        self._limit_bytes = limit_bytes
        self._on_overflow = on_overflow
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[float, bytes | _Close]] = deque()
        self._queued_bytes = 0
        self._last_due = 0.0
        self._filled = asyncio.Event()
        self._overflown = False
        self._manner = manner

    @property
    def manner(self) -> Manner:
        return self._manner

    @manner.setter
    def manner(self, manner: Manner) -> None:
        self._manner = manner
        if manner.half_open:
            self._websocket.transport.pause_reading()  # so that not even a close frame is answered

    def send(self, payload: bytes, delay: float) -> None:
        if self._overflown:
            return
        self._queued_bytes += len(payload)
        if self._queued_bytes > self._limit_bytes:
            self._overflown = True
            self._on_overflow()
            return
        self._put(payload, delay)

    def close(self, code: int, reason: str, delay: float) -> None:
        self._put(_Close(code, reason), delay)
        self._loop.call_later(delay + _CLOSE_PATIENCE_S, self._websocket.transport.abort)

    def abort(self) -> None:
        """Reset the TCP connection: what is queued is lost, and the client sees no close frame."""
        self._queue.clear()
        transport = self._websocket.transport
        with contextlib.suppress(OSError):  # the client may have been faster
            descriptor = socket.socket(fileno=transport.get_extra_info("socket").fileno())
            try:
                descriptor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
            finally:
                descriptor.detach()
        transport.abort()

    async def run(self) -> None:
        """Write what is queued until the connection ends."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                item = await self._next()
                await self._until_writable()
                if isinstance(item, _Close):
                    await self._websocket.close(item.code, item.reason)
                    return
                self._queued_bytes -= len(item)
                await self._write(item if self._compressor is None else self._compressor.compress(item))

    async def _until_writable(self) -> None:
        while self._manner.stalled or self._manner.half_open:  # noqa: ASYNC110 - rare, and others set no event
            await asyncio.sleep(_STALL_POLL_S)

    async def _write(self, message: bytes) -> None:
        text = self._compressor is None
        manner = self._manner
        if manner.parts == 1:
            await self._websocket.send(message, text=text)
        elif manner.split_into is SplitInto.FRAMES:
            await self._websocket.send(in_parts(message, manner.parts), text=text)
        else:  # only in zlib-stream may a payload span messages (Discord docs, Gateway: transport compression)
            whole = not isinstance(self._compressor, ZlibStream)
            for part in [message] if whole else in_parts(message, manner.parts):
                await self._websocket.send(part, text=text)
        if manner.bytes_per_second is not None:
            await asyncio.sleep(len(message) / manner.bytes_per_second)

    async def _next(self) -> bytes | _Close:
        while not self._queue:
            self._filled.clear()
            await self._filled.wait()
        wait = self._queue[0][0] - self._loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        return self._queue.popleft()[1]

    def _put(self, item: bytes | _Close, delay: float) -> None:
        self._last_due = max(self._last_due, self._loop.time() + delay)
        self._queue.append((self._last_due, item))
        self._filled.set()
