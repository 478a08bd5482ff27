"""Events as a running bot gets them, in types, sizes and shape: all from a seed and none from the clock.

Nested objects carry `id` and `guild_id` of their own, as Discord's do.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from random import Random

from discord_simulator.discord import APPLICATION_ID
from discord_simulator.entities import (
    EVERYONE_PERMISSIONS,
    bot_user,
    channel,
    guild_settings,
    member,
    role,
    thread,
    user,
)
from discord_simulator.events import EventDraft, draft_event
from discord_simulator.message_stories import MessageStories
from discord_simulator.settings import StoryShares
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
_USUAL_STORIES = StoryShares()
_USERS = 400
_OLD_MS = 10**9  # eleven days; many ids are drawn, so by random() and not by the slower randint()
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
    """Makes load events for `guild_ids`, sorted, which may change meanwhile; raises `MixError`.

    `mix` maps event types to weights; `look_alikes` and `stories` are as in `LoadSettings`.
    """

    def __init__(
        self,
        guild_ids: Sequence[int],
        seed: str,
        mix: Mapping[str, float] | None = None,
        *,
        look_alikes: float = 0.0,
        stories: StoryShares = _USUAL_STORIES,
    ) -> None:
        chosen = DEFAULT_MIX if mix is None else mix
        check_mix(chosen)
        self._guild_ids = guild_ids
        self._rng = Random(seed)  # noqa: S311 - repeatable on purpose, keeps no secret
        self._users = [user(self._rng) for _ in range(_USERS)]
        self._members = [member(self._rng, each) for each in self._users]
        self._types = list(chosen)
        self._cumulative = [sum(list(chosen.values())[: index + 1]) for index in range(len(chosen))]
        self._now_ms = _FIRST_EVENT_MS
        self._look_alikes = look_alikes
        self._last: dict[str, EventDraft] = {}
        self._stories = MessageStories(self._rng, stories, self._timestamp)

    def next(self) -> EventDraft:
        rng = self._rng
        self._now_ms += rng.randint(1, 20)
        event_type = rng.choices(self._types, cum_weights=self._cumulative)[0]
        last = self._last.get(event_type)
        if last is not None and rng.random() < self._look_alikes and self._is_there(last.guild_id):
            return last
        draft = self._next_of(event_type)
        if event_type in _LOOK_ALIKES:
            self._last[event_type] = draft
        return draft

    def _next_of(self, event_type: str) -> EventDraft:
        update = self._stories.next(self._is_there) if event_type == "MESSAGE_UPDATE" else None
        if update is not None:
            return draft_event(self._rng, event_type, *update)
        guild_id = self._guild_for(event_type)
        body = _BODIES[event_type](self)
        if guild_id is not None:
            body["id" if event_type == "GUILD_UPDATE" else "guild_id"] = str(guild_id)
        else:
            sender = body.pop("member", None)
            if event_type == "INTERACTION_CREATE" and isinstance(sender, dict):
                # Discord docs, Interaction object: `user` in direct messages, `member` in guilds.
                body["user"] = sender["user"]
                body.pop("guild", None)
        if event_type == "MESSAGE_CREATE":
            body = self._stories.begin(guild_id, body)
        return draft_event(self._rng, event_type, guild_id, body)

    def _guild_for(self, event_type: str) -> int | None:
        share = _DIRECT_SHARES.get(event_type, 0.0)
        direct = share > 0 and self._rng.random() < share
        return self._rng.choice(self._guild_ids) if self._guild_ids and not direct else None

    def _is_there(self, guild_id: int | None) -> bool:
        if guild_id is None:
            return True
        index = bisect_left(self._guild_ids, guild_id)
        return index < len(self._guild_ids) and self._guild_ids[index] == guild_id

    # Parts

    def _id(self) -> str:
        return str(snowflake(self._now_ms, self._rng.getrandbits(_LOW_BITS)))

    def _old_id(self) -> str:
        return str(snowflake(self._now_ms - int(self._rng.random() * _OLD_MS), self._rng.getrandbits(_LOW_BITS)))

    def _timestamp(self) -> str:
        return datetime.fromtimestamp(self._now_ms / 1000, UTC).isoformat(timespec="microseconds")

    def _user(self) -> dict[str, object]:
        return self._rng.choice(self._users)

    def _member(self) -> dict[str, object]:
        return dict(self._rng.choice(self._members))

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
        reference = {"message_reference": self._reference()} if rng.random() < _EMBED_SHARE else {}
        return {
            "type": 0,
            "tts": False,
            "timestamp": self._timestamp(),
            "pinned": False,
            "nonce": self._id(),
            "mentions": [self._mention() for _ in range(rng.choice((0, 0, 0, 1, 2)))],
            "mention_roles": [],
            "mention_everyone": False,
            **reference,
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
            "burst_colors": [],
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
        used_in = channel(int(self._old_id()), self._rng.choice(_WORDS), kind=0)
        del used_in["permission_overwrites"]  # a partial channel, with the permissions of who used the command
        return {
            "version": 1,
            "type": 2,
            "token": f"{self._rng.getrandbits(512):0128x}",
            "member": self._member() | {"permissions": EVERYONE_PERMISSIONS},
            "locale": "en-US",
            "id": self._id(),
            "guild": {"locale": "en-US", "id": self._old_id(), "features": ["COMMUNITY"]},
            "data": {"type": 1, "name": self._rng.choice(_WORDS), "id": self._old_id(), "options": []},
            "channel_id": used_in["id"],
            "channel": used_in | {"permissions": EVERYONE_PERMISSIONS},
            "authorizing_integration_owners": {"1": self._user()["id"]},
            "attachment_size_limit": 10_485_760,
            "application_id": str(APPLICATION_ID),
            "app_permissions": EVERYONE_PERMISSIONS,
            "context": 0,
            "entitlements": [],
        }

    def member_added(self) -> dict[str, object]:
        return self._member()

    def member_removed(self) -> dict[str, object]:
        return {"user": self._user()}

    def channel(self) -> dict[str, object]:
        changed = channel(int(self._old_id()), self._rng.choice(_WORDS), kind=0)
        return changed | {"topic": self._text(), "position": self._rng.randint(0, 50)}

    def thread(self) -> dict[str, object]:
        started, owner = self._id(), self._user()["id"]
        joined = {"id": started, "user_id": owner, "flags": 1, "join_timestamp": self._timestamp()}
        begun = thread(int(started), self._old_id(), owner, self._rng.choice(_WORDS))
        return begun | {"member": joined, "newly_created": True}

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
        roles = [role(int(self._old_id()), self._rng.choice(_WORDS), position) for position in range(3)]
        settings = guild_settings(self._rng, self._user()["id"])
        return settings | {"name": self._rng.choice(_WORDS), "roles": roles, "emojis": []}

    def entitlement(self) -> dict[str, object]:
        return {
            "user_id": self._user()["id"],
            "type": 8,
            "starts_at": None,
            "sku_id": self._old_id(),
            "id": self._id(),
            "ends_at": None,
            "deleted": False,
            "consumed": False,
            "application_id": str(APPLICATION_ID),
        }

    def own_user(self) -> dict[str, object]:
        return bot_user(APPLICATION_ID) | {"flags": self._now_ms % 1000}


# The share of each type that comes without a guild, and so to shard 0.
_DIRECT_SHARES: Mapping[str, float] = {
    "MESSAGE_CREATE": 0.02,
    "TYPING_START": 0.02,
    "INTERACTION_CREATE": 0.05,
    "ENTITLEMENT_CREATE": 0.5,
    "USER_UPDATE": 1.0,
}
# Types without an id of their own: two of them may be the same, content for content.
_LOOK_ALIKES = frozenset(
    {"TYPING_START", "PRESENCE_UPDATE", "VOICE_STATE_UPDATE", "MESSAGE_REACTION_ADD", "GUILD_MEMBER_ADD"}
    | {"GUILD_MEMBER_UPDATE", "GUILD_MEMBER_REMOVE"}
)
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
