"""Events as a running bot gets them, in types, sizes and shape: all from a seed and none from the clock.

Nested objects carry `id` and `guild_id` of their own, as Discord's do.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from random import Random

from discord_simulator.events import EventDraft, draft_event
from discord_simulator.guilds import member, user
from discord_simulator.snowflakes import snowflake

# Weights without presences and typing switched off: messages dominate (working model of the fact sheet, section 7).
DEFAULT_MIX: Mapping[str, float] = {
    "MESSAGE_CREATE": 40,
    "MESSAGE_UPDATE": 8,
    "MESSAGE_DELETE": 3,
    "MESSAGE_REACTION_ADD": 10,
    "MESSAGE_REACTION_REMOVE": 1,
    "TYPING_START": 10,
    "PRESENCE_UPDATE": 12,
    "VOICE_STATE_UPDATE": 4,
    "INTERACTION_CREATE": 4,
    "GUILD_MEMBER_ADD": 2,
    "GUILD_MEMBER_UPDATE": 2,
    "GUILD_MEMBER_REMOVE": 1,
    "CHANNEL_UPDATE": 1,
    "THREAD_CREATE": 0.5,
    "GUILD_AUDIT_LOG_ENTRY_CREATE": 0.5,
    "GUILD_UPDATE": 0.5,
    "ENTITLEMENT_CREATE": 0.25,
    "USER_UPDATE": 0.25,
}
_FIRST_EVENT_MS = 1_780_000_000_000  # June 2026; events have a clock of their own
_DIRECT_MESSAGE_SHARE = 0.02
_USERS = 400
_LOW_BITS = 22
_TEXT = (
    "the a to and of shard gateway is it that was for on are with they be at one have this from by hot but some what"
    " there we can out other were all your when up use word how said an each she which do their time if will way about"
    " many then them would write like so these her long make thing see him two has look more day could go come did"
)
_WORDS = _TEXT.split()
_WORDS_SHORT, _WORDS_LONG, _LONG_SHARE = 25, 220, 0.1
_EMBED_SHARE = 0.15


class MixError(ValueError):
    """A type the simulator cannot make, or weights that leave nothing to send."""

    allowed = f"weights of 0 or more for {', '.join(DEFAULT_MIX)}"


class EventGenerator:
    """Makes load events for `guild_ids`; `mix` maps event types to weights. Raises `MixError`."""

    def __init__(self, guild_ids: Sequence[int], seed: str, mix: Mapping[str, float] | None = None) -> None:
        chosen = DEFAULT_MIX if mix is None else mix
        check_mix(chosen)
        self._guild_ids = guild_ids
        self._rng = Random(seed)  # noqa: S311 - repeatable on purpose, keeps no secret
        self._users = [user(self._rng) for _ in range(_USERS)]
        self._types = list(chosen)
        self._cumulative = [sum(list(chosen.values())[: index + 1]) for index in range(len(chosen))]
        self._now_ms = _FIRST_EVENT_MS

    def next(self) -> EventDraft:
        rng = self._rng
        self._now_ms += rng.randint(1, 20)
        event_type = rng.choices(self._types, cum_weights=self._cumulative)[0]
        guild_id: int | None = None
        direct = event_type == "MESSAGE_CREATE" and rng.random() < _DIRECT_MESSAGE_SHARE
        if self._guild_ids and not direct and event_type not in _WITHOUT_GUILD:
            guild_id = rng.choice(self._guild_ids)
        body = _BODIES[event_type](self)
        if guild_id is None:
            body.pop("member", None)
        else:
            body["id" if event_type == "GUILD_UPDATE" else "guild_id"] = str(guild_id)
        return draft_event(rng, event_type, guild_id, body)

    # Parts

    def _id(self) -> str:
        return str(snowflake(self._now_ms, self._rng.getrandbits(_LOW_BITS)))

    def _old_id(self) -> str:
        return str(snowflake(self._now_ms - self._rng.randint(1, 10**9), self._rng.getrandbits(_LOW_BITS)))

    def _timestamp(self) -> str:
        return datetime.fromtimestamp(self._now_ms / 1000, UTC).isoformat(timespec="microseconds")

    def _user(self) -> dict[str, object]:
        return self._rng.choice(self._users)

    def _member(self) -> dict[str, object]:
        return member(self._rng, self._user())

    def _text(self) -> str:
        most = _WORDS_LONG if self._rng.random() < _LONG_SHARE else _WORDS_SHORT
        return " ".join(self._rng.choices(_WORDS, k=self._rng.randint(1, most)))

    def _mention(self) -> dict[str, object]:
        """A mentioned user carries a member without `user`: nested ids, which routing must not take for the event's."""
        details = self._member()
        return {**self._user(), "member": {key: details[key] for key in details if key != "user"}}

    def _embed(self) -> dict[str, object]:
        fields = [{"name": self._rng.choice(_WORDS), "value": self._text(), "inline": True} for _ in range(3)]
        return {"type": "rich", "title": self._rng.choice(_WORDS), "description": self._text(), "fields": fields}

    def _reference(self) -> dict[str, object]:
        return {"type": 0, "message_id": self._old_id(), "channel_id": self._old_id(), "guild_id": self._old_id()}

    # Bodies of `d`, without the guild

    def message(self) -> dict[str, object]:
        rng = self._rng
        sender = self._member()
        return {
            "type": 0,
            "tts": False,
            "timestamp": self._timestamp(),
            "pinned": False,
            "nonce": self._id(),
            "mentions": [self._mention() for _ in range(rng.choice((0, 0, 0, 1, 2)))],
            "mention_roles": [],
            "mention_everyone": False,
            "message_reference": self._reference() if rng.random() < _EMBED_SHARE else None,
            "member": {key: sender[key] for key in sender if key != "user"},
            "id": self._id(),
            "flags": 0,
            "embeds": [self._embed()] if rng.random() < _EMBED_SHARE else [],
            "edited_timestamp": None,
            "content": self._text(),
            "components": [],
            "channel_type": 0,
            "channel_id": self._old_id(),
            "author": sender["user"],
            "attachments": [],
        }

    def message_update(self) -> dict[str, object]:
        return self.message() | {"id": self._old_id(), "edited_timestamp": self._timestamp()}

    def message_delete(self) -> dict[str, object]:
        return {"id": self._old_id(), "channel_id": self._old_id()}

    def reaction(self) -> dict[str, object]:
        return {
            "user_id": self._user()["id"],
            "type": 0,
            "message_id": self._old_id(),
            "message_author_id": self._user()["id"],
            "member": self._member(),
            "emoji": {"name": "shipit", "id": self._old_id()},
            "channel_id": self._old_id(),
            "burst": False,
        }

    def typing(self) -> dict[str, object]:
        sender = self._member()
        return {
            "user_id": self._user()["id"],
            "timestamp": self._now_ms // 1000,
            "member": sender,
            "channel_id": self._old_id(),
        }

    def presence(self) -> dict[str, object]:
        status = self._rng.choice(("online", "idle", "dnd", "offline"))
        activity = {"type": 0, "name": self._rng.choice(_WORDS), "id": "ec0b28a579ecb4bd", "created_at": self._now_ms}
        return {
            "user": {"id": self._user()["id"]},
            "status": status,
            "client_status": {"desktop": status},
            "activities": [activity],
        }

    def voice_state(self) -> dict[str, object]:
        who = self._member()
        return {
            "member": who,
            "user_id": self._user()["id"],
            "suppress": False,
            "session_id": f"{self._rng.getrandbits(128):032x}",
            "self_mute": self._rng.random() < _EMBED_SHARE,
            "self_deaf": False,
            "self_video": False,
            "request_to_speak_timestamp": None,
            "mute": False,
            "deaf": False,
            "channel_id": self._old_id(),
        }

    def interaction(self) -> dict[str, object]:
        return {
            "version": 1,
            "type": 2,
            "token": f"{self._rng.getrandbits(512):0128x}",
            "member": self._member() | {"permissions": "1071698660929"},
            "locale": "en-US",
            "id": self._id(),
            "guild": {"locale": "en-US", "id": self._old_id(), "features": ["COMMUNITY"]},
            "data": {"type": 1, "name": self._rng.choice(_WORDS), "id": self._old_id(), "options": []},
            "channel_id": self._old_id(),
            "application_id": self._old_id(),
        }

    def member_added(self) -> dict[str, object]:
        return self._member()

    def member_removed(self) -> dict[str, object]:
        return {"user": self._user()}

    def channel(self) -> dict[str, object]:
        overwrites = [{"id": self._old_id(), "type": 0, "allow": "0", "deny": "2048"}]
        return {
            "type": 0,
            "topic": self._text(),
            "position": self._rng.randint(0, 50),
            "permission_overwrites": overwrites,
            "name": self._rng.choice(_WORDS),
            "last_message_id": self._old_id(),
            "id": self._old_id(),
        }

    def thread(self) -> dict[str, object]:
        started = self._id()
        metadata = {"archived": False, "auto_archive_duration": 1440, "archive_timestamp": self._timestamp()}
        return {
            "type": 11,
            "thread_metadata": metadata,
            "parent_id": self._old_id(),
            "owner_id": self._user()["id"],
            "name": self._rng.choice(_WORDS),
            "member": {"id": started, "user_id": self._user()["id"], "flags": 1},
            "newly_created": True,
            "id": started,
        }

    def audit_log_entry(self) -> dict[str, object]:
        return {
            "user_id": self._user()["id"],
            "target_id": self._user()["id"],
            "options": {"id": self._old_id(), "type": "1", "delete_member_days": "1"},
            "id": self._id(),
            "changes": [{"key": "nick", "new_value": self._rng.choice(_WORDS)}],
            "action_type": 24,
        }

    def guild(self) -> dict[str, object]:
        roles = [{"id": self._old_id(), "name": self._rng.choice(_WORDS), "permissions": "0"} for _ in range(3)]
        return {"roles": roles, "owner_id": self._user()["id"], "name": self._rng.choice(_WORDS), "features": []}

    def entitlement(self) -> dict[str, object]:
        return {"user_id": self._user()["id"], "type": 8, "sku_id": self._old_id(), "id": self._id(), "deleted": False}

    def own_user(self) -> dict[str, object]:
        return dict(self._user()) | {"bot": True, "flags": self._now_ms % 1000}


_WITHOUT_GUILD = frozenset({"ENTITLEMENT_CREATE", "USER_UPDATE"})
_BODIES: Mapping[str, Callable[[EventGenerator], dict[str, object]]] = {
    "MESSAGE_CREATE": EventGenerator.message,
    "MESSAGE_UPDATE": EventGenerator.message_update,
    "MESSAGE_DELETE": EventGenerator.message_delete,
    "MESSAGE_REACTION_ADD": EventGenerator.reaction,
    "MESSAGE_REACTION_REMOVE": EventGenerator.reaction,
    "TYPING_START": EventGenerator.typing,
    "PRESENCE_UPDATE": EventGenerator.presence,
    "VOICE_STATE_UPDATE": EventGenerator.voice_state,
    "INTERACTION_CREATE": EventGenerator.interaction,
    "GUILD_MEMBER_ADD": EventGenerator.member_added,
    "GUILD_MEMBER_UPDATE": EventGenerator.member_added,
    "GUILD_MEMBER_REMOVE": EventGenerator.member_removed,
    "CHANNEL_UPDATE": EventGenerator.channel,
    "THREAD_CREATE": EventGenerator.thread,
    "GUILD_AUDIT_LOG_ENTRY_CREATE": EventGenerator.audit_log_entry,
    "GUILD_UPDATE": EventGenerator.guild,
    "ENTITLEMENT_CREATE": EventGenerator.entitlement,
    "USER_UPDATE": EventGenerator.own_user,
}


def check_mix(mix: Mapping[str, float]) -> None:
    unknown = sorted(set(mix) - set(_BODIES))
    if unknown:
        raise MixError(f"unknown event types {', '.join(unknown)}")
    if any(weight < 0 for weight in mix.values()) or not sum(mix.values()) > 0:
        raise MixError("weights are numbers of 0 or more, with one above 0 at least")
