"""One HTTP/1.1 connection to the bot: a request, its answer, the next request.

Delivering an event must cost little more than writing and reading a socket: with a general HTTP client one POST an
event costs several times all the rest of a shard pod (docs/benchmarks.md has the figures). The parsing is llhttp's,
by httptools; here are only the connection and its one request at a time. No redirects, no cookies, no proxies.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

import httptools
import msgspec

from .lane import Batch
from .sink import Done

_MAX_ANSWER_BYTES = 64 * 1024
"""An answer is a status and at most a few words; of a longer one the status counts, and it is read no further."""


class Request(msgspec.Struct, eq=False):
    """A whole request as it goes over the wire, and whose it is."""

    message: bytes
    batch: Batch
    done: Done


class Answer(msgspec.Struct, eq=False):
    """A response. `retry_after`: the header's seconds, None without it or when it is a date."""

    status: int
    retry_after: float | None
    body: bytes


class HttpConnection(asyncio.Protocol):
    """A connection that takes one request at a time.

    Calls `on_answer(connection, request, answer)`, where a str in place of the answer says why there is none; the
    connection may then be used again if it `is_open`. `reused` tells that it has answered before,
    `timed_out` that its last request was not answered in time.
    """

    def __init__(self, on_answer: Callable[["HttpConnection", Request, Answer | str], None], *, timeout: float) -> None:
        self.reused = False
        self.timed_out = False
        self._on_answer = on_answer
        self._timeout = timeout
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._request: Request | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._retry_after: float | None = None
        self._head_complete = False

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: Request) -> None:
        """Write a request; the one before must have been answered."""
        self._request = request
        if self._transport is None:
            # A bot may close between the moment it accepted and this one; nobody else would tell the request.
            self._finish("the connection ended before the request")
            return
        self._deadline = self._loop.time() + self._timeout
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._check_deadline)
        self._transport.write(request.message)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()

    def _check_deadline(self) -> None:
        # One timer for a connection, moved on when it fires: arming one for each request would cost as much as the
        # rest of the request.
        self._timer = None
        if self._request is None:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._check_deadline)
        else:
            self.timed_out = True
            self.close()
            self._finish(f"no answer within {self._timeout:g} s (delivery.timeout)")

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods, not by inheritance

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.close()
            self._finish(f"the answer is not HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.close()
        if self._head_complete and exc is None:
            self._complete(keep_alive=False)  # a body without a length ends with the connection (RFC 9112, 6.3)
        self._finish("the connection ended before the answer" + (f": {exc}" if exc else ""))

    # httptools.HttpResponseParser

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after" and value.strip().isdigit():
            self._retry_after = float(value)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > _MAX_ANSWER_BYTES:
            self._complete(keep_alive=False)
        else:
            self._body.append(body)

    def on_headers_complete(self) -> None:
        self._head_complete = True

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < HTTPStatus.OK:
            self._head_complete = False  # 1xx precedes the answer (RFC 9110, 15.2)
        elif self._head_complete:
            self._complete(keep_alive=self._parser.should_keep_alive())

    def _complete(self, *, keep_alive: bool) -> None:
        answer = Answer(self._parser.get_status_code(), self._retry_after, b"".join(self._body))
        self._head_complete = False
        self._body.clear()
        self._body_bytes, self._retry_after = 0, None
        # An answer that nobody asked for: the two sides are out of step.
        if not keep_alive or self._request is None:
            self.close()
        self._finish(answer)

    def _finish(self, outcome: Answer | str) -> None:
        request, self._request = self._request, None
        if request is not None:
            self._on_answer(self, request, outcome)
            self.reused = True
