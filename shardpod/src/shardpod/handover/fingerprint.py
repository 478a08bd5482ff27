"""What an event is told by, whichever session received it: `s` differs between sessions, and so may the writing of `d`.

Sessions share nothing else to compare (fact sheet, section 5). Most events are told by their type and `d` in one
canonical form: keys in order at every depth, no spaces, no escapes but the necessary ones, one way to write a number.
"""

from hashlib import blake2b
from typing import Any

import msgspec

SIZE = 16
"""Bytes of a fingerprint. Its first tells how it was made."""

_BY_OWN_ID = b"\x01"
_BY_CONTENT = b"\x00"

_WITH_OWN_ID = frozenset(
    {
        "MESSAGE_CREATE",
        "MESSAGE_DELETE",
        "INTERACTION_CREATE",
        "GUILD_AUDIT_LOG_ENTRY_CREATE",
        "GUILD_SCHEDULED_EVENT_CREATE",
        "STAGE_INSTANCE_CREATE",
        "AUTO_MODERATION_RULE_CREATE",
        "ENTITLEMENT_CREATE",
    }
)
"""Types that occur once for each `d.id`: the act makes what the id names, or ends it, and a snowflake is never used
again (Discord docs, Reference: Snowflakes). Not among them are THREAD_CREATE, which comes again when the bot is added
to the thread, and GUILD_CREATE, which comes again after an outage (Discord docs, Gateway Events)."""

_DIFFERING = ("_trace",)
"""Fields of `d` that are the session's own: the hosts which it came through."""

_UNREADABLE = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""ValueError: bytes that are no UTF-8. OverflowError: msgspec reads integers of any length, and writes 64 bits."""


class _Identified(msgspec.Struct, gc=False):
    id: str | int


class _Guild(msgspec.Struct, gc=False):
    id: str | int
    unavailable: bool | None = None


class _IdentifiedEvent(msgspec.Struct, gc=False):
    d: _Identified


class _GuildEvent(msgspec.Struct, gc=False):
    d: _Guild


class _AnyEvent(msgspec.Struct):
    d: Any = None


class _RawEvent(msgspec.Struct):
    d: msgspec.Raw = msgspec.Raw(b"null")


def _number(text: str) -> int | float:
    """One value for all ways to write a number: 1.0 and 1e0 are 1. Only integers come past without this."""
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"no number of 64 bits: {text}")
    return int(number) if number.is_integer() and abs(number) < 2**63 else number


_identified = msgspec.json.Decoder(_IdentifiedEvent)
_guild = msgspec.json.Decoder(_GuildEvent)
_any = msgspec.json.Decoder(_AnyEvent, float_hook=_number)
_raw = msgspec.json.Decoder(_RawEvent)
_canonical = msgspec.json.Encoder(order="sorted")


def fingerprint(event_type: str, raw: bytes) -> bytes:
    """Fingerprint of an event; `raw` is the whole envelope. Never raises: what cannot be read is told by its bytes."""
    if event_type in _WITH_OWN_ID:
        own_id = _own_id(raw)
        if own_id is not None:
            return _BY_OWN_ID + _digest(event_type, own_id)
    content = _guild_and_state(raw) if event_type == "GUILD_CREATE" else _content(raw)
    return _BY_CONTENT + _digest(event_type, content)


def has_own_id(fingerprint: bytes) -> bool:
    """Whether it was made of an id that occurs once, so that equal ones mean one event, however far apart they came."""
    return fingerprint.startswith(_BY_OWN_ID)


def _digest(event_type: str, content: bytes) -> bytes:
    return blake2b(b"%b\0%b" % (event_type.encode(), content), digest_size=SIZE - 1).digest()


def _own_id(raw: bytes) -> bytes | None:
    try:
        return str(_identified.decode(raw).d.id).encode()
    except _UNREADABLE:
        return None


def _guild_and_state(raw: bytes) -> bytes:
    """Of GUILD_CREATE only what happened to the guild: the rest is a picture of it, taken for each session anew."""
    try:
        guild = _guild.decode(raw).d
        return _canonical.encode([str(guild.id), guild.unavailable is True])
    except _UNREADABLE:
        return _content(raw)


def _content(raw: bytes) -> bytes:
    try:
        d = _any.decode(raw).d
        if isinstance(d, dict):
            for field in _DIFFERING:
                d.pop(field, None)
        return _canonical.encode(d)
    except _UNREADABLE:
        return _as_written(raw)


def _as_written(raw: bytes) -> bytes:
    """The bytes of `d`, without the `s` beside it which no other session shares; of all where no `d` is found."""
    try:
        return bytes(_raw.decode(raw).d)
    except _UNREADABLE:
        return raw
