"""The bodies of what one session is told: READY, RESUMED, and the answers to its requests.

Fields beyond the documented ones are those seen in captured traffic, so that clients meet them here first.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from random import Random
from typing import Any

from discord_simulator.entities import bot_user, member, user
from discord_simulator.events import EventDraft
from discord_simulator.session import Session

_APPLICATION_FLAGS = 565_248  # message content and presence, limited; what a verified small bot has
_TRACE_GATEWAY = '["gateway-sim-us-east1-c-0",{"micros":0.0}]'
_MAX_CHUNK = 1000  # members; Discord docs, Gateway events: guild members chunk
_MAX_MATCHED_MEMBERS = 100  # Discord docs, Gateway events: request guild members
_VOICE_CHANNEL_OFFSET = 3  # of GUILD_CREATE's channels
_SOUND_OFFSET = 80  # ids of what belongs to a guild are made from its own
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


def voice_state(session: Session, guild_id: int, request: Mapping[str, Any], application_id: int) -> EventDraft:
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


def soundboard_sounds(guild_id: int) -> EventDraft:
    """Answer op 31 for one guild: the simulator's have a sound each."""
    sound = {
        "name": "airhorn",
        "sound_id": str(guild_id + _SOUND_OFFSET),
        "volume": 1.0,
        "emoji_id": None,
        "emoji_name": "\N{POSTAL HORN}",
        "guild_id": str(guild_id),
        "available": True,
    }
    return EventDraft("SOUNDBOARD_SOUNDS", guild_id, {"soundboard_sounds": [sound], "guild_id": str(guild_id)}, 1)


def channel_info(guild_id: int, fields: Collection[object]) -> EventDraft:
    """Answer op 43 with what was asked for of the guild's voice channel."""
    known: dict[str, object] = {"status": "listening", "voice_start_time": None}
    channel = {"id": str(guild_id + _VOICE_CHANNEL_OFFSET)} | {name: known[name] for name in known if name in fields}
    return EventDraft("CHANNEL_INFO", guild_id, {"channels": [channel], "guild_id": str(guild_id)}, 1)


def members_chunks(guild_id: int, request: dict[str, Any], seed: int, members: int | None) -> list[EventDraft]:
    """Answer op 8 with the users asked for by id, or members of the guild: all of them where no limit is set.

    `members` is how many a guild has; None stands for some.
    """
    asked = request.get("user_ids", [])
    wanted: Sequence[object] = asked if isinstance(asked, list) else [asked]
    there = _SOME_MEMBERS if members is None else members
    limit = request.get("limit")
    most = min(limit, _MAX_MATCHED_MEMBERS) if isinstance(limit, int) and limit > 0 else there
    rng = Random(f"members/{seed}/{guild_id}")  # noqa: S311 - repeatable on purpose, keeps no secret
    users = [user(rng) for _ in range(min(len(wanted), _MAX_MATCHED_MEMBERS) or min(most, there))]
    for each, user_id in zip(users, wanted, strict=False):
        each["id"] = str(user_id)
    nonce = {"nonce": request["nonce"]} if "nonce" in request else {}
    parts = [users[start : start + _MAX_CHUNK] for start in range(0, len(users), _MAX_CHUNK)] or [[]]
    return [
        EventDraft(
            "GUILD_MEMBERS_CHUNK",
            guild_id,
            {
                "members": [member(rng, each) for each in part],
                "guild_id": str(guild_id),
                "chunk_index": index,
                "chunk_count": len(parts),
                **nonce,
            },
            number_position=2,
        )
        for index, part in enumerate(parts)
    ]
