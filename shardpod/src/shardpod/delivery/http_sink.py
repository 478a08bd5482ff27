"""The HTTP sink: POST `{"shardId": 3, "data": <what Discord sent>}`, acknowledged by any 2xx.

The format is that of the Discordeno guide; keys and counts travel in headers (docs/delivery.md).
"""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from ssl import SSLContext
from urllib.parse import urlsplit

import msgspec

from shardpod.protocol import Event

from .http_connection import Answer, HttpConnection, Request
from .lanes import Batch
from .sink import Done, SinkError


class HttpSink:
    """Delivers batches by POST over connections that are kept open.

    With `batching` the body is a JSON array of the same objects, each with its `key`.
    """

    def __init__(
        self,
        url: str,
        *,
        epoch: int,
        shard_count: int,
        batching: bool = False,
        authorization: str | None = None,
        timeout: float = 10.0,
        tls: SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None, "validated with the manifest"
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = (tls or _default_tls()) if parts.scheme == "https" else None
        self._timeout = timeout
        self._batching = batching
        self._shard_count = shard_count
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = [f"POST {path} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}", "Content-Type: application/json"]
        if authorization is not None:
            head.append(f"Authorization: {authorization}")
        head.append(f"X-Gateway-Epoch: {epoch}")
        self._head = "\r\n".join(head).encode()
        self._idle: list[HttpConnection] = []
        self._open: set[HttpConnection] = set()
        self._closed = False
        self._dialling: set[asyncio.Task[None]] = set()

    def submit(self, batch: Batch, done: Done) -> None:
        events, attempt = batch.events, batch.attempt
        message = self._batch(events, attempt) if self._batching else self._single(events[0], attempt)
        request = Request(message, batch, done)
        while self._idle:
            # The one that was used last: the others may close for want of work.
            connection = self._idle.pop()
            if connection.is_open:
                connection.send(request)
                return
        self._dial(request)

    async def close(self) -> None:
        self._closed = True
        for task in self._dialling:
            task.cancel()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        for connection in tuple(self._open):
            connection.close()
        self._idle.clear()

    def _dial(self, request: Request) -> None:
        task = asyncio.get_running_loop().create_task(self._connect_and_send(request))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _connect_and_send(self, request: Request) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                _, connection = await loop.create_connection(
                    lambda: HttpConnection(self._answered, timeout=self._timeout), self._host, self._port, ssl=self._tls
                )
        except (OSError, TimeoutError) as error:
            problem = str(error) or f"no connection within {self._timeout:g} s"
            where = f"{self._host}:{self._port}"
            request.done(request.batch, SinkError(f"cannot connect to {where}: {problem}", unreachable=True))
        except asyncio.CancelledError:
            request.done(request.batch, SinkError("closed"))
            raise
        else:
            self._open = {known for known in self._open if known.is_open} | {connection}
            connection.send(request)

    def _answered(self, connection: HttpConnection, request: Request, answer: Answer | str) -> None:
        if connection.is_open:
            self._idle.append(connection)
        if isinstance(answer, Answer):
            request.done(request.batch, self._refusal(answer, request.batch))
        elif connection.reused and not connection.timed_out and not self._closed:
            # A kept connection may have been closed by the bot at this very moment: once more, on a new one.
            self._dial(request)
        else:
            request.done(request.batch, SinkError(answer))

    def _refusal(self, answer: Answer, batch: Batch) -> SinkError | None:
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return SinkError(f"the bot answered {answer.status}", retry_after=answer.retry_after)
        if self._batching and (taken := _acknowledged_of(answer.body)) is not None and taken < len(batch.events):
            # Which of them it has not taken, and lanes that must not wait for others: the whole batch comes again,
            # and the keys tell the bot what it knows.
            return SinkError(f"the bot acknowledged {taken} of {len(batch.events)} events")
        return None

    def _single(self, event: Event, attempt: int) -> bytes:
        body = b'{"shardId":%d,"data":%b}' % (event.shard_id, event.raw)
        return (
            b"%b\r\nIdempotency-Key: %b:%d\r\nX-Gateway-Shard: %d/%d\r\n"
            b"X-Gateway-Attempt: %d\r\nContent-Length: %d\r\n\r\n%b"
        ) % (
            self._head,
            event.session_id.encode(),
            event.seq,
            event.shard_id,
            self._shard_count,
            attempt,
            len(body),
            body,
        )

    def _batch(self, events: Sequence[Event], attempt: int) -> bytes:
        items = [
            b'{"key":"%b:%d","shardId":%d,"data":%b}'
            % (event.session_id.encode(), event.seq, event.shard_id, event.raw)
            for event in events
        ]
        body = b"[%b]" % b",".join(items)
        return b"%b\r\nX-Gateway-Attempt: %d\r\nContent-Length: %d\r\n\r\n%b" % (self._head, attempt, len(body), body)


class _PartOfABatch(msgspec.Struct):
    acknowledged: int


def _acknowledged_of(body: bytes) -> int | None:
    """How many events of a batch the bot says it has taken; None when it says nothing of it."""
    try:
        return msgspec.json.decode(body, type=_PartOfABatch).acknowledged
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _default_tls() -> SSLContext:
    import ssl  # noqa: PLC0415 -- a pod with a plain sink never pays for loading the trust store

    return ssl.create_default_context()
