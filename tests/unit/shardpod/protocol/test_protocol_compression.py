"""Transport compression against streams framed as Discord frames them (fact sheet, section 2)."""

import json
import tracemalloc
import zlib

import pytest

import shardpod.protocol.compression as module
from shardpod.protocol import CLOSE_RESUMABLE, Close, ProtocolError
from shardpod.protocol.compression import Uncompressed, ZlibStream, ZstdStream, decompressor

from backports import zstd  # isort: skip -- of the standard library from Python 3.14 on

HELLO = b'{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250,"_trace":["[\\"gateway-prd\\"]"]}}'


class Zstd:
    """Discord's sender: windowLog 18, no content size, no checksum, one flushed block a message, never an end."""

    def __init__(self, window_log=18):
        options = {
            zstd.CompressionParameter.window_log: window_log,
            zstd.CompressionParameter.content_size_flag: 0,
            zstd.CompressionParameter.checksum_flag: 0,
        }
        self._stream = zstd.ZstdCompressor(options=options)

    def __call__(self, payload):
        return self._stream.compress(payload, mode=zstd.ZstdCompressor.FLUSH_BLOCK)

    def end(self):
        return self._stream.compress(b"", mode=zstd.ZstdCompressor.FLUSH_FRAME)


class Zlib:
    def __init__(self):
        self._stream = zlib.compressobj()

    def __call__(self, payload):
        return self._stream.compress(payload) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def end(self):
        return self._stream.flush(zlib.Z_FINISH)


def payloads():
    """Small, empty-looking, repetitive, incompressible and large ones, each needing the ones before."""
    big = json.dumps(
        {"op": 0, "d": [{"id": str(number * 7919), "name": "x" * 20} for number in range(20_000)]}
    ).encode()
    return [
        HELLO,
        b'{"op":11}',
        HELLO,
        b'{"d":"' + b"a" * 700_000 + b'"}',
        big,
        bytes(range(256)) * 900,
        b'{"op":11}',
        big,
    ]


@pytest.mark.parametrize(("make", "stream"), [(Zstd, "zstd-stream"), (Zlib, "zlib-stream")])
def test_every_message_gives_back_its_payload_over_one_long_stream(make, stream):
    compress, receive = make(), decompressor(stream)
    for payload in payloads():
        assert receive.decompress(compress(payload)) == payload


def test_discords_zstd_framing_is_what_these_tests_send():
    first = Zstd()(HELLO)

    assert first[:6] == bytes.fromhex("28b52ffd0040")  # the captured Hello: no flags, a window of 256 KiB


def test_without_compression_a_message_is_a_payload():
    assert isinstance(decompressor("none"), Uncompressed)
    assert decompressor("none").decompress(HELLO) == HELLO


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 500])
def test_a_zlib_payload_may_be_spread_over_several_messages_wherever_it_is_cut(size):
    """The suffix is looked for in what was gathered, not in the last message: it may itself be cut in two."""
    compress, receive = Zlib(), ZlibStream()
    for payload in (HELLO, b'{"op":11}' * 300, HELLO):
        packed = compress(payload)
        parts = [packed[at : at + size] for at in range(0, len(packed), size)]

        assert [receive.decompress(part) for part in parts] == [None] * (len(parts) - 1) + [payload]


def test_an_empty_flush_makes_no_payload():
    compress, receive = Zlib(), ZlibStream()
    receive.decompress(compress(HELLO))

    assert receive.decompress(b"\x00\x00\x00\xff\xff") is None


# Broken and hostile streams.


@pytest.mark.parametrize("stream", ["zstd-stream", "zlib-stream"])
@pytest.mark.parametrize("garbage", [b"\x00\x00\xff\xff", b"garbage \x00\x00\xff\xff", HELLO + b"\x00\x00\xff\xff"])
def test_garbage_is_a_protocol_error(stream, garbage):
    receive = decompressor(stream)
    with pytest.raises(ProtocolError):
        receive.decompress(garbage)


@pytest.mark.parametrize(("make", "stream"), [(Zstd, "zstd-stream"), (Zlib, "zlib-stream")])
def test_a_stream_that_ends_is_refused(make, stream):
    compress, receive = make(), decompressor(stream)
    receive.decompress(compress(HELLO))
    ended = compress(HELLO) + compress.end() + (b"" if stream == "zstd-stream" else b"\x00\x00\xff\xff")
    with pytest.raises(ProtocolError):
        receive.decompress(ended)


def test_a_zstd_window_larger_than_decoders_must_support_is_refused():
    compress, receive = Zstd(window_log=25), ZstdStream()
    with pytest.raises(ProtocolError):
        receive.decompress(compress(HELLO))


@pytest.mark.parametrize(("make", "stream"), [(Zstd, "zstd-stream"), (Zlib, "zlib-stream")])
def test_a_decompression_bomb_is_refused_within_bounded_memory(make, stream, monkeypatch):
    monkeypatch.setattr(module, "MAX_PAYLOAD_BYTES", 1024 * 1024)
    bomb = make()(b" " * 50 * 1024 * 1024)
    assert len(bomb) < 100_000
    receive = decompressor(stream)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            receive.decompress(bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("make", "stream"), [(Zstd, "zstd-stream"), (Zlib, "zlib-stream")])
def test_a_payload_just_below_the_bound_is_taken(make, stream, monkeypatch):
    monkeypatch.setattr(module, "MAX_PAYLOAD_BYTES", 100_000)
    compress, receive = make(), decompressor(stream)
    payload = bytes(range(250)) * 399

    assert receive.decompress(compress(payload)) == payload
    assert receive.decompress(compress(payload)) == payload


def test_a_zlib_payload_that_does_not_end_is_refused_at_the_bound(monkeypatch):
    monkeypatch.setattr(module, "MAX_PAYLOAD_BYTES", 10_000)
    receive = ZlibStream()
    for _ in range(10):
        assert receive.decompress(b"x" * 1000) is None
    with pytest.raises(ProtocolError):
        receive.decompress(b"x")


def test_a_refused_stream_closes_the_connection_and_the_next_one_begins_afresh(drive):
    shard = drive(compression="zstd-stream")
    shard.protocol.start()
    shard.take()
    shard.protocol.dialling(shard.now)
    shard.receive(b"garbage")
    assert shard.take() == [Close(CLOSE_RESUMABLE)]
    shard.wait_for_timer()
    shard.protocol.dialling(shard.now)
    shard.receive(Zstd()(HELLO))

    assert shard.state == "awaiting_permit"
