"""Reading the envelope `{op,d,s,t}` and, of `d`, only what routes the event.

msgspec walks the JSON once and builds nothing but these few fields; `d` stays the bytes it was. The walk knows
depth: an `id` inside a nested author or member is never taken for the event's own (key order inside `d` is
arbitrary; fact sheet, section 2).
"""

import math
from typing import Annotated, Any

import msgspec

from .errors import ProtocolError

_KEYED_BY_ID = frozenset({"GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE"})
"""Events whose guild is `d.id` and not `d.guild_id` (fact sheet, section 6)."""


_Seq = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Bounded, for it is sent back: msgspec reads integers of any length and writes those of 64 bits."""

# msgspec reports bytes that are no UTF-8 and nesting without end by exceptions that are not its own.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Routing(msgspec.Struct, gc=False):
    """Of a dispatch's `d`: the snowflakes that route it, and whether a guild is unavailable."""

    guild_id: str | None = None
    id: str | None = None
    unavailable: bool | None = None


class Envelope(msgspec.Struct, gc=False):
    op: int
    s: _Seq | None = None
    t: str | None = None
    d: Routing | bool | int | None = None


class _AnyRouting(msgspec.Struct):
    guild_id: Any = None
    id: Any = None
    unavailable: Any = None


class _AnyEnvelope(msgspec.Struct):
    op: int
    s: _Seq | None = None
    t: str | None = None
    d: msgspec.Raw = msgspec.Raw(b"null")


class _HelloData(msgspec.Struct):
    heartbeat_interval: float


class _Hello(msgspec.Struct):
    d: _HelloData


class UnavailableGuild(msgspec.Struct, gc=False):
    id: str | int


class ReadyData(msgspec.Struct):
    """Of READY's `d`: the session, and the guilds whose GUILD_CREATE will follow."""

    session_id: str
    resume_gateway_url: str
    guilds: list[UnavailableGuild] = []


class _Ready(msgspec.Struct):
    d: ReadyData


_envelope = msgspec.json.Decoder(Envelope)
_any_envelope = msgspec.json.Decoder(_AnyEnvelope)
_any_routing = msgspec.json.Decoder(_AnyRouting)
_hello = msgspec.json.Decoder(_Hello)
_ready = msgspec.json.Decoder(_Ready)


def read_envelope(payload: bytes) -> Envelope:
    """Read one payload; raises ProtocolError when it is not an envelope.

    A `d` of unexpected shape in a dispatch is Discord's to send: such an event is forwarded like any other, with
    no guild where none can be read.
    """
    try:
        return _envelope.decode(payload)
    except _UNREADABLE:
        return _read_any_envelope(payload)


def _read_any_envelope(payload: bytes) -> Envelope:
    try:
        loose = _any_envelope.decode(payload)
        if memoryview(loose.d)[:1].tobytes() != b"{":
            return Envelope(loose.op, loose.s, loose.t, None)
        routing = _any_routing.decode(loose.d)
    except _UNREADABLE as error:
        raise ProtocolError(f"not a gateway payload: {error}") from error
    return Envelope(
        loose.op,
        loose.s,
        loose.t,
        Routing(_snowflake(routing.guild_id), _snowflake(routing.id), routing.unavailable is True or None),
    )


def _snowflake(value: object) -> str | None:
    """Snowflakes are JSON strings, but a number of 64 bits is read as well."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 0 <= value < 2**64 else None
    return value if isinstance(value, str) else None


def guild_of(event_type: str, routing: Routing | None) -> str | None:
    """The guild that an event belongs to, None for the ones of shard 0."""
    if routing is None:
        return None
    guild_id = routing.id if event_type in _KEYED_BY_ID else routing.guild_id
    return guild_id if guild_id is not None and guild_id.isdecimal() else None


def read_heartbeat_interval(payload: bytes) -> float:
    """Hello's interval in seconds."""
    try:
        interval = _hello.decode(payload).d.heartbeat_interval / 1000
    except _UNREADABLE as error:
        raise ProtocolError(f"Hello without a heartbeat interval: {error}") from error
    if not (interval > 0 and math.isfinite(interval)):
        raise ProtocolError("Hello with a heartbeat interval that is not positive, or without end")
    return interval


def read_ready(payload: bytes) -> ReadyData:
    try:
        return _ready.decode(payload).d
    except _UNREADABLE as error:
        raise ProtocolError(f"READY without a session: {error}") from error
