"""A worker's line to its supervisor: calls with answers, both ways, over a socket that both were born with.

A frame is its length in four bytes, then msgpack. The end of the line is the end of the other side: neither outlives
the other unnoticed.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from itertools import count

import msgspec
import structlog

from .messages import AnyMessage, Failed, decode, encode

_LENGTH_BYTES = 4
_TELL = 0

logger = structlog.get_logger("link")

Handler = Callable[[AnyMessage], Awaitable[AnyMessage | None]]
"""Handles one message; its answer is sent if the other side has asked."""


class LinkClosedError(ConnectionError):
    """The other side has gone."""


class Frame(msgspec.Struct, array_like=True):
    """`call`: the number of a question; `answer`: of the question that is answered. 0 for neither."""

    call: int
    answer: int
    body: bytes


_encode_frame = msgspec.msgpack.Encoder().encode
_decode_frame = msgspec.msgpack.Decoder(Frame).decode


class Link:
    """One end. `run` has to run for anything to arrive; it returns when the other side has gone, and is `broken`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[AnyMessage]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.broken = False
        self._closed = False

    @classmethod
    async def over(cls, end: socket.socket, handler: Handler) -> "Link":
        """Over one end of a socket pair."""
        reader, writer = await asyncio.open_connection(sock=end)
        return cls(reader, writer, handler)

    async def call(self, message: AnyMessage, *, timeout: float) -> AnyMessage:  # noqa: ASYNC109 -- a bound of the protocol
        """Ask, and wait for the answer; raises LinkClosedError, or TimeoutError after `timeout` seconds."""
        if self._closed:
            raise LinkClosedError("the other side has gone")
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._write(Frame(number, _TELL, encode(message)))
            await self._writer.drain()
            async with asyncio.timeout(timeout):
                answer: AnyMessage = await future
                return answer
        except (ConnectionError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise LinkClosedError(str(error)) from error
        finally:
            self._waiting.pop(number, None)

    def tell(self, message: AnyMessage) -> None:
        """Say something that needs no answer; does nothing when the other side has gone."""
        if not self._closed:
            self._write(Frame(_TELL, _TELL, encode(message)))

    async def flush(self) -> None:
        """Wait until what was told is written."""
        await self._writer.drain()

    async def run(self) -> None:
        """Take what arrives until the other side has gone."""
        try:
            while True:
                length = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES), "big")
                self._received(_decode_frame(await self._reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.broken = True
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Nothing behind it can be read either.
            logger.error("the other side said what cannot be read, the line ends", kind=type(error).__name__)  # noqa: TRY400 -- its message may quote what was said
            self.broken = True
        finally:
            self.close()

    async def end(self) -> None:
        """Close once all that was said is on its way."""
        self.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    def close(self) -> None:
        self._closed = True
        self._writer.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LinkClosedError("the other side has gone"))
        for task in self._tasks:
            task.cancel()

    def _received(self, frame: Frame) -> None:
        message = decode(frame.body)
        if frame.answer:
            future = self._waiting.get(frame.answer)
            if future is not None and not future.done():
                future.set_result(message)
            return
        task = asyncio.get_running_loop().create_task(self._handle(message, frame.call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, message: AnyMessage, call: int) -> None:
        try:
            answer = await self._handler(message)
        except Exception as error:
            # Its message may quote settings: the log keeps secrets out, the other side gets the kind only.
            logger.exception("a message could not be handled", message_type=type(message).__name__)
            answer = Failed(type(error).__name__)
        if call and not self._closed:
            self._write(Frame(_TELL, call, encode(answer or Failed("nothing answers this"))))

    def _write(self, frame: Frame) -> None:
        encoded = _encode_frame(frame)
        self._writer.write(len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded)
