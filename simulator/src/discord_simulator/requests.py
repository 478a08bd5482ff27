"""What clients send: decoded, checked, and refused with the close code Discord gives.

Reads the shape only. Whether a shard, a token or a guild is right is decided by whoever knows.
"""

from dataclasses import dataclass
from typing import Any, TypeGuard

import msgspec

from discord_simulator.intents import ALL_INTENTS
from discord_simulator.rules import MAX_PAYLOAD_BYTES, CloseCode, Opcode, RuleBreachError

_INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Identify:
    """Op 2. Without `shard` a bot is shard 0 of 1."""

    token: str
    intents: int
    shard_id: int
    shard_count: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Op 6."""

    token: str
    session_id: str
    seq: int


def decode(message: str | bytes) -> tuple[Opcode, Any]:
    """Give opcode and `d` of a client's message.

    Raises `RuleBreachError` 4002 for more than 4096 bytes or anything but a JSON object with an int `op`, and 4001 for
    an opcode that clients may not send.
    """
    raw = message.encode() if isinstance(message, str) else message
    if len(raw) > MAX_PAYLOAD_BYTES:
        raise RuleBreachError(
            CloseCode.DECODE_ERROR, "payload-size", f"{len(raw)} bytes; Discord takes {MAX_PAYLOAD_BYTES}"
        )
    try:
        payload = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _undecodable(f"not JSON: {error}") from error
    if not isinstance(payload, dict) or not _is_int(payload.get("op")):
        raise _undecodable("a payload is an object with an integer `op`")
    try:
        opcode = Opcode(payload["op"])
    except ValueError:
        opcode = Opcode.DISPATCH
    if opcode not in _CLIENT_OPCODES:
        raise RuleBreachError(CloseCode.UNKNOWN_OPCODE, "opcode", f"clients may not send op {payload['op']}")
    return opcode, payload.get("d")


_CLIENT_OPCODES = frozenset(
    {
        Opcode.HEARTBEAT,
        Opcode.IDENTIFY,
        Opcode.PRESENCE,
        Opcode.VOICE_STATE,
        Opcode.RESUME,
        Opcode.REQUEST_MEMBERS,
        Opcode.REQUEST_SOUNDBOARD,
        Opcode.REQUEST_CHANNEL_INFO,
    }
)


def read_heartbeat(d: Any) -> int | None:
    if d is not None and not _is_int(d):
        raise _undecodable("a heartbeat's `d` is the last `s`, or null")
    return d


def read_identify(d: Any) -> Identify:
    """Read op 2; raises `RuleBreachError` 4002 for its shape, 4010 for its shard and 4013 for its intents."""
    fields = read_object(d, "Identify")
    token = fields.get("token")
    if not isinstance(token, str) or not isinstance(fields.get("properties"), dict):
        raise _undecodable("Identify needs a string `token` and an object `properties`")
    intents = fields.get("intents")
    if not _is_int(intents) or intents & ~ALL_INTENTS or intents < 0:
        raise RuleBreachError(CloseCode.INVALID_INTENTS, "intents", f"no such intents: {intents!r}")
    shard_id, shard_count = _read_shard(fields.get("shard", [0, 1]))
    return Identify(token=token, intents=intents, shard_id=shard_id, shard_count=shard_count)


def _read_shard(shard: Any) -> tuple[int, int]:
    well_formed = isinstance(shard, list) and len(shard) == 2 and all(_is_int(part) for part in shard)  # noqa: PLR2004 - [id, count]
    if not well_formed or not 0 <= shard[0] < shard[1]:
        raise RuleBreachError(CloseCode.INVALID_SHARD, "shard", f"{shard!r} is no [shard_id, num_shards]")
    return shard[0], shard[1]


def read_resume(d: Any) -> Resume:
    """Read op 6; raises `RuleBreachError` 4002 for its shape."""
    fields = read_object(d, "Resume")
    token, session_id, seq = fields.get("token"), fields.get("session_id"), fields.get("seq")
    if not isinstance(token, str) or not isinstance(session_id, str) or not _is_int(seq) or seq < 0:
        raise _undecodable("Resume needs a string `token`, a string `session_id` and an integer `seq`")
    return Resume(token=token, session_id=session_id, seq=seq)


def read_object(d: Any, of: str) -> dict[str, Any]:
    if not isinstance(d, dict):
        raise _undecodable(f"`d` of {of} is an object")
    return d


def read_guild_id(fields: dict[str, Any]) -> int:
    """Read the snowflake `guild_id`, or raise `RuleBreachError` 4002."""
    return _snowflake("guild_id", fields.get("guild_id"))


def read_guild_ids(fields: dict[str, Any]) -> list[int]:
    """Read the snowflakes in `guild_ids`, or raise `RuleBreachError` 4002."""
    return [_snowflake("guild_ids", given) for given in read_list(fields, "guild_ids")]


def read_list(fields: dict[str, Any], name: str) -> list[Any]:
    """Read the list `name`, or raise `RuleBreachError` 4002."""
    given = fields.get(name)
    if not isinstance(given, list):
        raise _undecodable(f"`{name}` is a list, not {given!r}")
    return given


def _snowflake(name: str, given: Any) -> int:
    """Discord takes a snowflake as a number as well as in a string: discord.py sends numbers."""
    if isinstance(given, str) and given.isascii() and given.isdecimal():
        given = int(given)
    if _is_int(given) and 0 <= given <= _INT64_MAX:
        return given
    raise _undecodable(f"`{name}` wants snowflakes, not {given!r}")


def _undecodable(detail: str) -> RuleBreachError:
    return RuleBreachError(CloseCode.DECODE_ERROR, "decode", detail)


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
