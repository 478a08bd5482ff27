"""The bodies of what one session is told: READY, RESUMED, and the answers to its requests.

Fields beyond the documented ones are those seen in captured traffic, so that clients meet them here first.
"""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from discord_simulator.events import EventDraft
from discord_simulator.guilds import bot_user, member, user
from discord_simulator.session import Session

_APPLICATION_FLAGS = 565_248  # message content and presence, limited; what a verified small bot has
_TRACE_GATEWAY = '["gateway-sim-us-east1-c-0",{"micros":0.0}]'
_MAX_MATCHED_MEMBERS = 100  # Discord docs, Gateway events: request guild members
_SOME_MEMBERS = 5  # of a whole guild; the simulator's guilds are small


def hello(heartbeat_interval_ms: int) -> dict[str, object]:
    return {"heartbeat_interval": heartbeat_interval_ms, "_trace": [_TRACE_GATEWAY]}


def ready(session: Session, guild_ids: Iterable[int], application_id: int, resume_url: str) -> EventDraft:
    d: dict[str, object] = {
        "v": 10,
        "user_settings": {},
        "user": bot_user(application_id),
        "shard": list(session.shard),
        "session_type": "normal",
        "session_id": session.id,
        "resume_gateway_url": resume_url,
        "relationships": [],
        "private_channels": [],
        "presences": [],
        "guilds": [{"unavailable": True, "id": str(guild_id)} for guild_id in guild_ids],
        "guild_join_requests": [],
        "geo_ordered_rtc_regions": ["us-east", "us-central", "us-south"],
        "application": {"id": str(application_id), "flags": _APPLICATION_FLAGS},
        "_trace": [_TRACE_GATEWAY],
    }
    return EventDraft("READY", None, d, number_position=len(d) - 1)


def resumed() -> EventDraft:
    return EventDraft("RESUMED", None, {"_trace": [_TRACE_GATEWAY]})


def rate_limited(opcode: int, retry_after: float, guild_id: int, nonce: str | None) -> EventDraft:
    meta = {"guild_id": str(guild_id)} | ({"nonce": nonce} if nonce is not None else {})
    return EventDraft("RATE_LIMITED", None, {"opcode": opcode, "retry_after": retry_after, "meta": meta})


def voice_state(session: Session, guild_id: int, request: dict[str, Any], application_id: int) -> EventDraft:
    channel_id = request.get("channel_id")
    d: dict[str, object] = {
        "member": {"user": {"id": str(application_id), "bot": True}, "roles": [], "flags": 0},
        "user_id": str(application_id),
        "suppress": False,
        "session_id": session.id,
        "self_mute": bool(request.get("self_mute")),
        "self_deaf": bool(request.get("self_deaf")),
        "self_video": False,
        "mute": False,
        "deaf": False,
        "request_to_speak_timestamp": None,
        "guild_id": str(guild_id),
        "channel_id": str(channel_id) if channel_id is not None else None,
    }
    return EventDraft("VOICE_STATE_UPDATE", guild_id, d, number_position=3)


def voice_server(guild_id: int, rng: Random) -> EventDraft:
    d: dict[str, object] = {
        "token": f"{rng.getrandbits(64):016x}",
        "guild_id": str(guild_id),
        "endpoint": "us-east-sim.discord.media:443",
    }
    return EventDraft("VOICE_SERVER_UPDATE", guild_id, d, number_position=1)


def members_chunk(guild_id: int, request: dict[str, Any], seed: int) -> EventDraft:
    """Answer op 8 in one chunk: the users asked for by id, or some members of the guild."""
    asked = request.get("user_ids", [])
    wanted: Sequence[object] = asked if isinstance(asked, list) else [asked]
    limit = request.get("limit") or _SOME_MEMBERS
    count = len(wanted) or (min(limit, _SOME_MEMBERS) if isinstance(limit, int) else _SOME_MEMBERS)
    rng = Random(f"members/{seed}/{guild_id}")  # noqa: S311 - repeatable on purpose, keeps no secret
    users = [user(rng) for _ in range(min(count, _MAX_MATCHED_MEMBERS))]
    for each, user_id in zip(users, wanted, strict=False):
        each["id"] = str(user_id)
    d: dict[str, object] = {
        "members": [member(rng, each) for each in users],
        "guild_id": str(guild_id),
        "chunk_index": 0,
        "chunk_count": 1,
    }
    if "nonce" in request:
        d["nonce"] = request["nonce"]
    return EventDraft("GUILD_MEMBERS_CHUNK", guild_id, d, number_position=2)
