"""The HTTP sink: POST `{"shardId": 3, "data": <what Discord sent>}`, acknowledged by any 2xx.

The format is that of the Discordeno guide; keys and counts travel in headers (docs/delivery.md).
"""

import asyncio
from collections.abc import Sequence
from ssl import SSLContext
from urllib.parse import urlsplit

from shardpod.protocol import Event

from .http_connection import Answer, HttpConnection
from .sink import SinkError


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

    async def deliver(self, events: Sequence[Event], attempt: int) -> None:
        message = self._batch(events, attempt) if self._batching else self._single(events[0], attempt)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._send(message)
        except TimeoutError:
            raise SinkError(f"no answer within {self._timeout:g} s") from None
        if not 200 <= answer.status < 300:  # noqa: PLR2004 -- RFC 9110, 15.3: 2xx
            raise SinkError(f"the bot answered {answer.status}", retry_after=answer.retry_after)

    async def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _send(self, message: bytes) -> Answer:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_open:
                continue
            try:
                return await self._request(connection, message)
            except SinkError:
                # A kept connection may have been closed by the bot at this very moment: once more, on a new one.
                break
        try:
            connection = await HttpConnection.open(self._host, self._port, self._tls)
        except OSError as error:
            raise SinkError(f"cannot connect to {self._host}:{self._port}: {error}", unreachable=True) from error
        return await self._request(connection, message)

    async def _request(self, connection: HttpConnection, message: bytes) -> Answer:
        answer = await connection.request(message)
        if connection.is_open:
            self._idle.append(connection)
        return answer

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


def _default_tls() -> SSLContext:
    import ssl  # noqa: PLC0415 -- a pod with a plain sink never pays for loading the trust store

    return ssl.create_default_context()
