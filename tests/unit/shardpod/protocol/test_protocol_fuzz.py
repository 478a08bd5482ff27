"""Whatever comes in, in whatever order: no exception, and effects that fit the state."""

import json
import zlib
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shardpod.protocol import (
    SessionSettings,
    ShardProtocol,
    ShardState,
)

from backports import zstd  # isort: skip -- of the standard library from Python 3.14 on

QUICK = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
GONE = (ShardState.DISCONNECTED, ShardState.REFUSED)

keys = st.sampled_from(
    ["op", "s", "t", "d", "id", "guild_id", "unavailable", "guilds", "session_id", "heartbeat_interval", "x"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "op": st.integers(-1, 12) | json_values,
        "s": st.none() | st.integers(-1, 2**70) | json_values,
        "t": st.sampled_from(["READY", "RESUMED", "GUILD_CREATE", "GUILD_DELETE", "X"]) | json_values,
        "d": json_values,
    },
)
messages = (
    st.binary(max_size=60)
    | envelopes.map(lambda value: json.dumps(value).encode())
    | envelopes.map(lambda value: json.dumps(value).encode()[:-2])
    | json_values.map(lambda value: json.dumps(value).encode())
)


def new_protocol(compression="none", seed=0):
    session = SessionSettings(
        token="secret", gateway_url="wss://main", compression=compression, intents=1, presence=None
    )
    return ShardProtocol(0, 1, session, random=Random(seed))


def packed(payload, compression):
    if compression == "zlib-stream":
        stream = zlib.compressobj()
        return stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH)
    stream = zstd.ZstdCompressor()
    return stream.compress(payload, mode=zstd.ZstdCompressor.FLUSH_BLOCK)


@QUICK
@given(compression=st.sampled_from(["zlib-stream", "zstd-stream"]), data=st.data())
def test_compressed_nonsense_never_raises(compression, data):
    protocol = new_protocol(compression)
    protocol.start()
    protocol.dialling(0.0)
    for _ in range(4):
        message = data.draw(messages)
        if data.draw(st.booleans()):
            message = packed(message, compression)
        if data.draw(st.booleans()):
            message = message[: data.draw(st.integers(0, len(message)))]
        if data.draw(st.booleans()):
            message += b"\x00\x00\xff\xff"
        protocol.received(message, 1.0)

    assert protocol.state in ShardState


@pytest.mark.parametrize("size", [1, 5, 20])
def test_huge_payloads_pass(size):
    protocol = new_protocol()
    protocol.start()
    protocol.dialling(0.0)
    protocol.received(b'{"op":10,"d":{"heartbeat_interval":41250}}', 0.0)
    protocol.permit(0.0)
    guilds = b",".join(b'{"id":"%d","unavailable":true}' % number for number in range(2500))
    protocol.received(
        b'{"t":"READY","s":1,"op":0,"d":{"session_id":"x","resume_gateway_url":"wss://x","guilds":[%b]}}' % guilds, 0.0
    )
    payload = b'{"t":"GUILD_CREATE","s":2,"op":0,"d":{"members":[%b"x"],"id":"7"}}' % (b'{"id":"1"},' * 90_000 * size)
    event = protocol.received(payload, 0.0)

    assert len(payload) > 900_000 * size
    assert event.guild_id == "7"
    assert protocol.guilds.count == 2500
