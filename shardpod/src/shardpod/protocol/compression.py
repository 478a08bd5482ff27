"""Transport compression: one decompression context for the life of a connection (Discord docs, Gateway).

A message may not grow beyond `MAX_PAYLOAD_BYTES` when decompressed: neither a bug nor a forged stream may fill
the memory of a pod that holds many other sessions.
"""

import sys
from typing import Literal, Protocol

from zlib_ng import zlib_ng

from .errors import ProtocolError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Compression = Literal["zstd-stream", "zlib-stream", "none"]

MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
"""Discord sets no bound; the largest payload seen in public is 5.6 MB (fact sheet, section 2)."""

_ZLIB_SUFFIX = b"\x00\x00\xff\xff"
"""Ends each payload of zlib-stream: the mark of Z_SYNC_FLUSH (RFC 1951; Discord docs, zlib-stream)."""

_MAX_WINDOW_LOG = 23
"""8 MiB, what every zstd decoder should support (RFC 8878, 3.1.1.1.2). Discord uses 18."""


class Decompressor(Protocol):
    """Turns WebSocket messages into payloads."""

    def decompress(self, message: bytes) -> bytes | None:
        """Return the payload that `message` completes, or None when more must come."""


class Uncompressed:
    """Messages that are payloads already."""

    def decompress(self, message: bytes) -> bytes | None:
        return message


class ZlibStream:
    """zlib-stream: a payload may be spread over several messages, and ends with the suffix."""

    def __init__(self) -> None:
        self._inflate = zlib_ng.decompressobj()
        self._pending = bytearray()

    def decompress(self, message: bytes) -> bytes | None:
        if self._pending or not message.endswith(_ZLIB_SUFFIX):
            self._hold(message)
            if not self._pending.endswith(_ZLIB_SUFFIX):
                return None
            message = bytes(self._pending)
            self._pending.clear()
        try:
            payload = self._inflate.decompress(message, MAX_PAYLOAD_BYTES)
        except zlib_ng.error as error:  # type: ignore[misc]  # its stub declares an instance
            raise ProtocolError(f"zlib-stream: {error}") from error
        if self._inflate.unconsumed_tail or self._inflate.eof:
            raise ProtocolError("zlib-stream: the payload is too large, or the stream has ended")
        return payload or None

    def _hold(self, message: bytes) -> None:
        if len(self._pending) + len(message) > MAX_PAYLOAD_BYTES:
            self._pending.clear()
            raise ProtocolError("zlib-stream: a payload does not end")
        self._pending += message


class ZstdStream:
    """zstd-stream: each message is exactly one payload, and the frame goes on through the whole connection."""

    def __init__(self) -> None:
        options = {int(zstd.DecompressionParameter.window_log_max): _MAX_WINDOW_LOG}
        self._zstd = zstd.ZstdDecompressor(options=options)

    def decompress(self, message: bytes) -> bytes | None:
        try:
            payload = self._zstd.decompress(message, MAX_PAYLOAD_BYTES)
        except (zstd.ZstdError, EOFError) as error:
            raise ProtocolError(f"zstd-stream: {error}") from error
        # At the bound there may be more to come: a payload of exactly this size is refused as well.
        if len(payload) == MAX_PAYLOAD_BYTES or self._zstd.eof:
            raise ProtocolError("zstd-stream: the payload is too large, or the frame has ended")
        return payload or None


def decompressor(compression: Compression) -> Decompressor:
    """Make the decompressor for one new connection."""
    if compression == "zstd-stream":
        return ZstdStream()
    if compression == "zlib-stream":
        return ZlibStream()
    return Uncompressed()
