"""The protocol against bytes that Discord itself sent: what the simulator does cannot make these pass.

The captures stand in public test sources. zlib-stream: `DiscordBM/DiscordBM`, commit e66ae52,
Tests/WebSocketTests/CompressionTests.swift. zstd-stream: `twilight-rs/twilight`, commit 2fd4b98,
twilight-gateway/src/compression/zstd.rs.
"""

import json

import pytest

from shardpod.protocol import ProtocolError, ShardState
from shardpod.protocol.compression import decompressor

ZLIB_HELLO = bytes.fromhex(
    "789c34c94d0a83301006d0bb7ceba424fd5bcc558cc818072ba42ac9d85242eede6eba7bf02a14b41e2919943fb61de49dc1"
    "04aa7808671d8575585695fce204bafaf3edf783668e02ead005ccacf2e68fddf3648f62858b7a1bede53ece01a6063c9798"
    "b71240eee45a8fbeb52f000000ffff"
)
ZSTD_HELLO = bytes.fromhex(
    "28b52ffd00406403004207191c7089737428d0cb55ffa74a4b7ecbdee7ff9712d3d4ab9097d2ff3304312247620224fd7a8d"
    "63cbe10ba22f85f106c952f55bcef7a4e29c5c6c827b0b5fc70f3db3759d1c25414019fab608c7cd2c492f13da2d1b0ef5ca"
    "51527aa77947ad3d8cbe0f030100244a12"
)
HEARTBEAT_INTERVAL_S = 41.25

CAPTURES = [
    pytest.param("zlib-stream", ZLIB_HELLO, "gateway-prd-us-east1-c-36bg", id="zlib-stream"),
    pytest.param("zstd-stream", ZSTD_HELLO, "gateway-prd-us-east1-c-7s4x", id="zstd-stream"),
]


def test_the_captures_are_whole():
    assert (len(ZLIB_HELLO), len(ZSTD_HELLO)) == (115, 117)


@pytest.mark.parametrize(("compression", "capture", "host"), CAPTURES)
def test_discords_captured_hello_decompresses_to_hello_from_that_gateway(compression, capture, host):
    payload = json.loads(decompressor(compression).decompress(capture))

    assert (payload["op"], payload["t"], payload["s"]) == (10, None, None)
    assert payload["d"]["heartbeat_interval"] == HEARTBEAT_INTERVAL_S * 1000
    assert host in payload["d"]["_trace"][0]


@pytest.mark.parametrize(("compression", "capture", "_host"), CAPTURES)
def test_discords_captured_hello_leads_to_the_permit_and_its_interval_paces_the_heartbeats(
    drive, compression, capture, _host
):
    shard = drive(compression=compression)
    shard.protocol.start()
    shard.take()
    shard.protocol.dialling(shard.now)

    shard.receive(capture)

    assert shard.state is ShardState.AWAITING_PERMIT
    assert shard.wait_for_timer() <= HEARTBEAT_INTERVAL_S  # the first beat comes at a random part of the interval
    assert shard.sent() == [{"op": 1, "d": None}]


@pytest.mark.parametrize("compression", ["zlib-stream", "zstd-stream"])
def test_a_captured_hello_of_the_other_compression_is_refused(compression):
    other = ZSTD_HELLO + b"\x00\x00\xff\xff" if compression == "zlib-stream" else ZLIB_HELLO

    with pytest.raises(ProtocolError):
        decompressor(compression).decompress(other)
