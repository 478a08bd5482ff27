"""Transport compression, one context per connection (Discord docs, Gateway: transport compression)."""

import zlib
from typing import Protocol

import zstandard

# Level 6 makes the stream begin 78 9C, as Discord's does. zstd's level cannot be seen from outside.
_ZLIB_LEVEL = 6
_ZSTD_LEVEL = 3
_ZSTD_WINDOW_LOG = 18  # 256 KiB, read from a captured frame header


class Compressor(Protocol):
    def compress(self, payload: bytes) -> bytes:
        """Give one WebSocket message that a client can decode at once."""


class ZlibStream:
    """Each message ends with 00 00 FF FF."""

    def __init__(self) -> None:
        self._context = zlib.compressobj(_ZLIB_LEVEL)

    def compress(self, payload: bytes) -> bytes:
        return self._context.compress(payload) + self._context.flush(zlib.Z_SYNC_FLUSH)


class ZstdStream:
    """One frame for the whole connection, never ended: without content size, checksum or dictionary."""

    def __init__(self) -> None:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            _ZSTD_LEVEL,
            window_log=_ZSTD_WINDOW_LOG,
            write_content_size=False,
            write_checksum=False,
            write_dict_id=False,
        )
        self._context = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def compress(self, payload: bytes) -> bytes:
        return self._context.compress(payload) + self._context.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


COMPRESSORS: dict[str, type[ZlibStream] | type[ZstdStream]] = {"zlib-stream": ZlibStream, "zstd-stream": ZstdStream}
