"""One HTTP/1.1 connection to the bot: a request, its answer, the next request.

Delivering an event must cost little more than writing and reading a socket: with a general HTTP client one POST an
event costs several times all the rest of a shard pod (docs/benchmarks.md has the figures). The parsing is llhttp's,
by httptools; here are only the connection and its one request at a time. No redirects, no cookies, no proxies.
"""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from ssl import SSLContext
from typing import cast

import httptools

from .sink import SinkError

_MAX_ANSWER_BYTES = 64 * 1024
"""An answer is a status and at most a few words; of a longer one the status counts, and it is read no further."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. `retry_after`: the header's seconds, None without it or when it is a date."""

    status: int
    retry_after: float | None
    keep_alive: bool
    body: bytes


class HttpConnection(asyncio.Protocol):
    """A connection that takes one request at a time. `reused`: it has answered before."""

    def __init__(self) -> None:
        self.reused = False
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._retry_after: float | None = None
        self._head_complete = False

    @classmethod
    async def open(cls, host: str, port: int, tls: SSLContext | None) -> "HttpConnection":
        """Connect; raises OSError."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, host, port, ssl=tls)
        return connection

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def request(self, message: bytes) -> Answer:
        """Send a whole request and return its answer; raises SinkError if the connection ends before it."""
        if not self.is_open:
            raise SinkError("the connection was closed", unreachable=True)
        assert self._transport is not None
        self._answer = self._loop.create_future()
        self._transport.write(message)
        try:
            answer = await self._answer
        except asyncio.CancelledError:
            # Its answer could still come, and must not be taken for that of the next request.
            self.close()
            raise
        finally:
            self._answer = None
        self.reused = True
        if not answer.keep_alive:
            self.close()
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods, not by inheritance

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"the answer is not HTTP: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._head_complete and exc is None:
            self._complete(keep_alive=False)  # a body without a length ends with the connection (RFC 9112, 6.3)
        self._fail("the connection ended before the answer" + (f": {exc}" if exc else ""))

    # httptools.HttpResponseParser

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after" and value.strip().isdigit():
            self._retry_after = float(value)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > _MAX_ANSWER_BYTES:
            self._complete(keep_alive=False)
            self.close()
        else:
            self._body.append(body)

    def on_headers_complete(self) -> None:
        self._head_complete = True

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < HTTPStatus.OK:
            self._head_complete = False  # 1xx precedes the answer (RFC 9110, 15.2)
        else:
            self._complete(keep_alive=self._parser.should_keep_alive())

    def _complete(self, *, keep_alive: bool) -> None:
        answer = Answer(self._parser.get_status_code(), self._retry_after, keep_alive, b"".join(self._body))
        self._head_complete = False
        self._body.clear()
        self._body_bytes, self._retry_after = 0, None
        if self._answer is None or self._answer.done():
            self.close()  # an answer that nobody asked for: the two sides are out of step
        else:
            self._answer.set_result(answer)

    def _fail(self, problem: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(SinkError(problem, unreachable=True))
