"""Writes the requests of the HTTP sink, byte for byte as docs/delivery.md says. What never changes is made once."""

from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

from zlib_ng import zlib_ng

from shardpod.protocol import Event

BodyCompression = Literal["none", "gzip"]

SMALLEST_COMPRESSED_BYTES = 256
"""A shorter body gains next to nothing, and would cost both sides the work."""
_GZIP_LEVEL = 1
"""Twice as fast as the next level, and within a third of its size."""
_GZIP_WBITS = 31
"""The largest window, in gzip's format and not zlib's (zlib's manual, deflateInit2)."""


class RequestWriter:
    """Puts events into whole requests. With `batching` even a single event travels in an array."""

    def __init__(
        self,
        url: str,
        *,
        epoch: int,
        shard_count: int,
        batching: bool,
        authorization: str | None,
        compression: BodyCompression,
    ) -> None:
        parts = urlsplit(url)
        self._batching = batching
        self._shard_count = shard_count
        self._gzip = compression == "gzip"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = [f"POST {path} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}", "Content-Type: application/json"]
        if authorization is not None:
            head.append(f"Authorization: {authorization}")
        head.append(f"X-Gateway-Epoch: {epoch}")
        self._head = "\r\n".join(head).encode()

    def write(self, events: Sequence[Event], attempt: int) -> bytes:
        return self._batch(events, attempt) if self._batching else self._single(events[0], attempt)

    def _single(self, event: Event, attempt: int) -> bytes:
        encoding, body = self._encoded(b'{"shardId":%d,"data":%b}' % (event.shard_id, event.raw))
        return (
            b"%b\r\nIdempotency-Key: %b:%d\r\nX-Gateway-Shard: %d/%d\r\n"
            b"X-Gateway-Attempt: %d\r\n%b%bContent-Length: %d\r\n\r\n%b"
        ) % (
            self._head,
            event.session_id.encode(),
            event.seq,
            event.shard_id,
            self._shard_count,
            attempt,
            b"X-Gateway-Event: %b\r\n" % event.content.encode() if event.content else b"",
            encoding,
            len(body),
            body,
        )

    def _batch(self, events: Sequence[Event], attempt: int) -> bytes:
        items = [
            b'{"key":"%b:%d",%b"shardId":%d,"data":%b}'
            % (
                event.session_id.encode(),
                event.seq,
                b'"event":"%b",' % event.content.encode() if event.content else b"",
                event.shard_id,
                event.raw,
            )
            for event in events
        ]
        encoding, body = self._encoded(b"[%b]" % b",".join(items))
        return b"%b\r\nX-Gateway-Events: %d\r\nX-Gateway-Attempt: %d\r\n%bContent-Length: %d\r\n\r\n%b" % (
            self._head,
            len(events),
            attempt,
            encoding,
            len(body),
            body,
        )

    def _encoded(self, body: bytes) -> tuple[bytes, bytes]:
        """The header that says how the body is encoded, if it is, and the body."""
        if not self._gzip or len(body) < SMALLEST_COMPRESSED_BYTES:
            return b"", body
        return b"Content-Encoding: gzip\r\n", zlib_ng.compress(body, _GZIP_LEVEL, _GZIP_WBITS)
