"""Every fault that can be asked for, with its fields: one vocabulary for HTTP, Python and timelines.

Reads and checks; the doing is the injector's.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias, cast, get_args, get_origin

import msgspec

from discord_simulator.conditions import HelloMode, LiveResume, RestAnswer
from discord_simulator.manner import SplitInto
from discord_simulator.wrong_input import Input, WrongInputError, checked

_Positive: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]
_AtLeastOne: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
_Share: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=1)]
_CloseCode: TypeAlias = Annotated[int, msgspec.Meta(ge=1000, le=4999)]
_FAILING_STATUSES = "401, 429, or 500 to 599; 200 too where `answer` is garbage"
_HOW_LONG = {"seconds": "above 0; without, until heal"}
_EVENTS = {
    "events": 'a list such as ["INTERACTION_CREATE"]; without, all load',
    "share": "above 0, up to 1",
    "count": "how many events at most, 1 or more",
    **_HOW_LONG,
}
_TARGET = {"target": "all, a shard such as 0/4, or a session id"}
_GUILDS = {
    "guilds": "a list of guild ids as strings; without, `count` of the target's",
    "count": "1 or more",
    "target": "all, or a shard such as 0/4",
}


class FaultRequest(Input, tag_field="fault", kw_only=True, frozen=True):
    """What all faults have in common: nothing but their name."""


class _OnSessions(FaultRequest, kw_only=True, frozen=True):
    allowed: ClassVar[dict[str, str]] = _TARGET
    target: str = "all"


class TcpReset(_OnSessions, tag="tcp-reset", kw_only=True, frozen=True):
    """RST without a close frame."""

    allowed: ClassVar[dict[str, str]] = {"resumable": "true or false", **_TARGET}
    resumable: bool = True


class Close(_OnSessions, tag="close", kw_only=True, frozen=True):
    """A close frame; the session ends where Discord's docs tell clients to identify anew, or as `resumable` says."""

    allowed: ClassVar[dict[str, str]] = {"code": "1000 to 4999", "resumable": "true or false", **_TARGET}
    code: _CloseCode = 4000
    resumable: bool | None = None


class Reconnect(_OnSessions, tag="reconnect", kw_only=True, frozen=True):
    """Op 7, and a close 5 s later."""


class InvalidSession(_OnSessions, tag="invalid-session", kw_only=True, frozen=True):
    """Op 9 with `resumable` as its `d`."""

    allowed: ClassVar[dict[str, str]] = {"resumable": "true or false", **_TARGET}
    resumable: bool = False


class HeartbeatRequest(_OnSessions, tag="heartbeat-request", kw_only=True, frozen=True):
    """Op 1."""


class ReplayOverflow(_OnSessions, tag="replay-overflow", kw_only=True, frozen=True):
    """The session's replay buffer is lost: its next Resume is answered with op 9, false."""


class _OnEvents(_OnSessions, kw_only=True, frozen=True):
    allowed: ClassVar[dict[str, str]] = _EVENTS | _TARGET
    events: tuple[str, ...] | None = None
    share: _Share = 1.0
    count: _AtLeastOne | None = None
    seconds: _Positive | None = None


class Drop(_OnEvents, tag="drop", kw_only=True, frozen=True):
    """Events never reach these sessions; `s` shows no gap. With `events`: silent loss of these types (#8162)."""


class Duplicate(_OnEvents, tag="duplicate", kw_only=True, frozen=True):
    """Events come again at once, under further sequence numbers."""

    allowed: ClassVar[dict[str, str]] = {"copies": "further ones of each event, 1 to 10"} | _EVENTS | _TARGET
    copies: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1


class Reorder(_OnEvents, tag="reorder", kw_only=True, frozen=True):
    """Events come after the next `by` of their session, or a second later; other sessions see them in order."""

    allowed: ClassVar[dict[str, str]] = {"by": "1 to 100"} | _EVENTS | _TARGET
    by: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1


class Vary(_OnSessions, tag="vary", kw_only=True, frozen=True):
    """Each session gets `d` with its keys in an order of its own, and with values of its own in `fields`."""

    allowed: ClassVar[dict[str, str]] = {
        "key_order": "true or false",
        "fields": 'a list of names in `d`, such as ["_trace"]',
        **_HOW_LONG,
        **_TARGET,
    }
    key_order: bool = True
    fields: tuple[str, ...] = ("_trace",)
    seconds: _Positive | None = None


class Delay(_OnSessions, tag="delay", kw_only=True, frozen=True):
    """Everything sent to the session comes so much later, in order; 0 ends it."""

    allowed: ClassVar[dict[str, str]] = {"seconds": "0 to 3600", **_TARGET}
    seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)]


class _OnConnections(_OnSessions, kw_only=True, frozen=True):
    allowed: ClassVar[dict[str, str]] = _HOW_LONG | _TARGET
    seconds: _Positive | None = None


class NoAck(_OnConnections, tag="no-ack", kw_only=True, frozen=True):
    """Heartbeats stay without ACK on the present connections; one that resumes has it again."""


class Stall(_OnConnections, tag="stall", kw_only=True, frozen=True):
    """Nothing is written to the present sockets."""


class Slow(_OnConnections, tag="slow", kw_only=True, frozen=True):
    """The present sockets are written to at this pace, in bytes on the wire."""

    allowed: ClassVar[dict[str, str]] = {"bytes_per_second": "above 0"} | _HOW_LONG | _TARGET
    bytes_per_second: _Positive


class HalfOpen(_OnSessions, tag="half-open", kw_only=True, frozen=True):
    """Nothing is written to or read from the present sockets, closes included; a missed heartbeat resets them."""


class Split(_OnSessions, tag="split", kw_only=True, frozen=True):
    """Messages come in pieces; with target all also on connections to come. 1 part ends it."""

    allowed: ClassVar[dict[str, str]] = {
        "parts": "1 to 100",
        "into": "frames, or messages (zlib-stream only; others stay whole)",
        **_TARGET,
    }
    parts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    into: SplitInto = SplitInto.FRAMES


class Heal(_OnSessions, tag="heal", kw_only=True, frozen=True):
    """End drop, duplicate, reorder, vary, delay, no-ack, stall, slow and split; with target all what is global, too."""


class GuildJoin(FaultRequest, tag="guild-join", kw_only=True, frozen=True):
    """The bot joins new guilds, or guilds that it left."""

    allowed: ClassVar[dict[str, str]] = {"count": "how many new ones, 1 or more", "guilds": "a list of ids it left"}
    count: _AtLeastOne = 1
    guilds: tuple[str, ...] | None = None


class _OnGuilds(FaultRequest, kw_only=True, frozen=True):
    allowed: ClassVar[dict[str, str]] = _GUILDS
    guilds: tuple[str, ...] | None = None
    count: _AtLeastOne = 1
    target: str = "all"


class GuildLeave(_OnGuilds, tag="guild-leave", kw_only=True, frozen=True):
    """The bot leaves guilds: GUILD_DELETE without `unavailable`."""


class GuildOutage(_OnGuilds, tag="guild-outage", kw_only=True, frozen=True):
    """Guilds become unavailable, and return by themselves or by guild-return."""

    allowed: ClassVar[dict[str, str]] = _GUILDS | {"seconds": "above 0; without, until guild-return"}
    seconds: _Positive | None = None


class GuildReturn(_OnGuilds, tag="guild-return", kw_only=True, frozen=True):
    """Unavailable guilds return: GUILD_CREATE with `unavailable` false."""


class Hello(FaultRequest, tag="hello", kw_only=True, frozen=True):
    """How the next connections are greeted."""

    allowed: ClassVar[dict[str, str]] = {
        "mode": ", ".join(mode.value for mode in HelloMode),
        "times": "how many connections, 1 or more",
    }
    mode: HelloMode
    times: _AtLeastOne = 1


class RefuseLogin(_OnSessions, tag="refuse-login", kw_only=True, frozen=True):
    """The next Identifies or Resumes are answered with this code."""

    allowed: ClassVar[dict[str, str]] = {
        "code": "9 for Invalid Session, or a close code from 1000 to 4999",
        "resumable": "`d` of an Invalid Session: true or false",
        "times": "how many logins, 1 or more",
        "target": "all, or a shard such as 0/4",
    }
    code: int
    resumable: bool = False
    times: _AtLeastOne = 1


class DeadResumeHost(FaultRequest, tag="dead-resume-host", kw_only=True, frozen=True):
    """READY names a resume_gateway_url where nobody listens, in sessions to come."""

    allowed: ClassVar[dict[str, str]] = {"on": "true or false"}
    on: bool = True


class LiveResumeSwitch(FaultRequest, tag="live-resume", kw_only=True, frozen=True):
    """What a Resume does to a live connection of the same session."""

    allowed: ClassVar[dict[str, str]] = {"mode": ", ".join(mode.value for mode in LiveResume)}
    mode: LiveResume


class GatewayBot(FaultRequest, tag="gateway-bot", kw_only=True, frozen=True):
    """How GET /gateway/bot fails."""

    allowed: ClassVar[dict[str, str]] = {
        "status": _FAILING_STATUSES,
        "answer": "json, html (as Cloudflare's) or garbage (JSON cut off)",
        "retry_after": "seconds above 0, for a 429",
        "times": "how many answers, 1 or more",
    }
    status: Annotated[int, msgspec.Meta(ge=200, le=599)]
    answer: RestAnswer = RestAnswer.JSON
    retry_after: _Positive = 1.0
    times: _AtLeastOne = 1


class Rules(FaultRequest, tag="rules", kw_only=True, frozen=True):
    """What Discord recommends and allows from now on."""

    allowed: ClassVar[dict[str, str]] = {
        "shards": "recommended shards, 1 or more",
        "max_concurrency": "1 or more",
        "remaining": "identifies left today, 0 or more",
        "granted_intents": "bits, 0 or more",
    }
    shards: _AtLeastOne | None = None
    max_concurrency: _AtLeastOne | None = None
    remaining: Annotated[int, msgspec.Meta(ge=0)] | None = None
    granted_intents: Annotated[int, msgspec.Meta(ge=0)] | None = None


AnyFault: TypeAlias = (
    TcpReset | Close | Reconnect | InvalidSession | HeartbeatRequest | ReplayOverflow
    | Drop | Duplicate | Reorder | Vary | Delay | NoAck | Stall | Slow | HalfOpen | Split | Heal
    | GuildJoin | GuildLeave | GuildOutage | GuildReturn
    | Hello | RefuseLogin | DeadResumeHost | LiveResumeSwitch | GatewayBot | Rules
)  # fmt: skip

_BY_NAME: dict[str, type[FaultRequest]] = {
    str(each.__struct_config__.tag): each for each in cast("tuple[type[FaultRequest], ...]", AnyFault.__args__)
}
_INVALID_SESSION = 9
_CLOSE_CODES = range(1000, 5000)
_OK = 200
_REST_FAILURES = frozenset({401, 429, *range(500, 600)})


def catalogue() -> dict[str, dict[str, str]]:
    """Give what may be asked for: fields and their values, by fault."""
    return {name: each.allowed for name, each in _BY_NAME.items()}


def read_fault(asked: Mapping[str, Any]) -> FaultRequest:
    """Read `{"fault": name, …}`; raises `WrongInputError`."""
    return _read(_kind(asked.get("fault")), asked, strict=True)


def read_words(fault: str, words: Mapping[str, str]) -> FaultRequest:
    """Read fields as a command line has them: `share` is `0.5`, `events` is `A,B`; raises `WrongInputError`."""
    kind = _kind(fault)
    lists = {field.name for field in msgspec.structs.fields(kind) if _is_list(field.type)}
    values = {name: _split(word) if name in lists else word for name, word in words.items()}
    return _read(kind, {"fault": fault} | values, strict=False)


def _kind(name: object) -> type[FaultRequest]:
    kind = _BY_NAME.get(name) if isinstance(name, str) else None
    if kind is None:
        raise WrongInputError("fault", f"no such fault: {name!r}", ", ".join(_BY_NAME))
    return kind


def _read(kind: type[FaultRequest], asked: Mapping[str, Any], *, strict: bool) -> FaultRequest:
    request = checked(lambda: msgspec.convert(asked, kind, str_keys=True, strict=strict), kind.allowed)
    _check_codes(request)
    return request


def _is_list(field_type: Any) -> bool:
    return any(get_origin(each) is tuple for each in (field_type, *get_args(field_type)))


def _split(word: str) -> Any:
    """`A,B`, or a list in JSON as it stands in the explanations of fields."""
    if not word.startswith("["):
        return word.split(",")
    try:
        return msgspec.json.decode(word)
    except msgspec.DecodeError:
        return word  # no list: refused with the field's name


def _check_codes(request: FaultRequest) -> None:
    """What types cannot say."""
    if isinstance(request, RefuseLogin) and request.code != _INVALID_SESSION and request.code not in _CLOSE_CODES:
        raise WrongInputError("code", f"{request.code} is no such code", request.allowed["code"])
    if isinstance(request, GatewayBot):
        failures = _REST_FAILURES | {_OK} if request.answer is RestAnswer.GARBAGE else _REST_FAILURES
        if request.status not in failures:
            raise WrongInputError("status", f"{request.status} is no failure", request.allowed["status"])
