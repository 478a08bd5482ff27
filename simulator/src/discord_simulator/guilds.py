"""The guilds the bot is in, and what GUILD_CREATE says of them: all of it follows from the seed.

Ids are made in consecutive milliseconds, so that `(id >> 22) % shard_count` fills shards evenly for any count.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping
from random import Random

from discord_simulator.entities import (
    FIRST_GUILD_MS,
    LOW_BITS,
    bot_user,
    channel,
    emoji,
    guild_settings,
    member,
    role,
    thread,
    user,
)
from discord_simulator.events import EventDraft, draft_event
from discord_simulator.snowflakes import shard_of, snowflake

_MIN_MEMBERS, _MAX_MEMBERS = 3, 12
_LARGE = 50  # members; the default of Identify's large_threshold
_CHANNELS = (("general", 0), ("off-topic", 0), ("announcements", 5), ("Lounge", 2))
_ROLES = ("@everyone", "Moderators", "Regulars")


class Guilds:
    """`count` guilds of the bot `application_id`, at first; `ids` and `available_ids` are kept sorted."""

    def __init__(self, count: int, seed: int, application_id: int, members: int | None = None) -> None:
        rng = Random(f"guilds/{seed}")  # noqa: S311 - repeatable on purpose, keeps no secret
        self._seed = seed
        self._application_id = application_id
        self._members = members
        self._rng = rng
        self._made = 0
        self.ids = [self.next_id() for _ in range(count)]
        self.available_ids = list(self.ids)
        self.unavailable: set[int] = set()
        self.left: set[int] = set()
        self._bot_in_voice: dict[int, dict[str, object]] = {}

    def next_id(self) -> int:
        """Make the id of one more guild; it is greater than all before."""
        self._made += 1
        return snowflake(FIRST_GUILD_MS + self._made - 1, self._rng.getrandbits(LOW_BITS))

    def has(self, guild_id: int) -> bool:
        return _holds(self.ids, guild_id)

    def available(self, guild_id: int) -> bool:
        return _holds(self.available_ids, guild_id)

    def add(self, guild_id: int) -> None:
        """Join a guild, for the first time or again."""
        insort(self.ids, guild_id)
        insort(self.available_ids, guild_id)
        self.left.discard(guild_id)

    def remove(self, guild_id: int) -> None:
        self.ids.remove(guild_id)
        if self.available(guild_id):
            self.available_ids.remove(guild_id)
        self.unavailable.discard(guild_id)
        self.left.add(guild_id)
        self._bot_in_voice.pop(guild_id, None)

    def set_available(self, guild_id: int, *, available: bool) -> None:
        if available:
            self.unavailable.discard(guild_id)
            insort(self.available_ids, guild_id)
        else:
            self.unavailable.add(guild_id)
            self.available_ids.remove(guild_id)

    def bot_in_voice(self, guild_id: int, voice_state: Mapping[str, object]) -> None:
        """Note the bot's own voice state, which whoever asks for the guild later is told with it."""
        self._bot_in_voice.pop(guild_id, None)
        if voice_state["channel_id"] is not None:
            self._bot_in_voice[guild_id] = {name: voice_state[name] for name in voice_state if name != "guild_id"}

    def of_shard(self, shard_id: int, shard_count: int) -> list[int]:
        return [guild_id for guild_id in self.ids if shard_of(guild_id, shard_count) == shard_id]

    def arrival(self, guild_id: int) -> EventDraft:
        """Give what a new session hears of a guild: GUILD_CREATE, or in an outage GUILD_DELETE."""
        if guild_id in self.unavailable:
            return self.deletion(guild_id, unavailable=True)
        return self.creation(guild_id)

    def deletion(self, guild_id: int, *, unavailable: bool) -> EventDraft:
        """Give GUILD_DELETE: without `unavailable` the bot is no longer a member (Discord docs, Gateway events)."""
        d: dict[str, object] = {"id": str(guild_id)} | ({"unavailable": True} if unavailable else {})
        return EventDraft("GUILD_DELETE", guild_id, d, number_position=1)

    def creation(self, guild_id: int, *, new: bool = False) -> EventDraft:
        """Give GUILD_CREATE: the same for every session, but for its number. A `new` guild has no `unavailable`."""
        rng = Random(f"guild/{self._seed}/{guild_id}")  # noqa: S311 - as above
        guild = self._guild(rng, guild_id)
        if new:
            del guild["unavailable"]
        return draft_event(rng, "GUILD_CREATE", guild_id, guild)

    def _guild(self, rng: Random, guild_id: int) -> dict[str, object]:
        users = [user(rng) for _ in range(rng.randint(_MIN_MEMBERS, _MAX_MEMBERS))]
        users.append(bot_user(self._application_id))
        members = [member(rng, each) for each in users]
        owner_id = users[0]["id"]
        member_count = len(members) if self._members is None else self._members
        return guild_settings(rng, owner_id) | {
            "name": f"Guild {guild_id >> LOW_BITS}",
            "roles": [role(guild_id + index, name, index) for index, name in enumerate(_ROLES)],
            "channels": [channel(guild_id + index, name, kind) for index, (name, kind) in enumerate(_CHANNELS)],
            "members": members,
            "threads": [
                thread(guild_id + 90, str(guild_id), owner_id, "a thread") | {"guild_id": str(guild_id)},
            ],
            "presences": [],
            "voice_states": [self._bot_in_voice[guild_id]] if guild_id in self._bot_in_voice else [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
            "embedded_activities": [],
            "emojis": [emoji(guild_id + 70 + n, f"emoji{n}") for n in range(6)],
            "member_count": member_count,
            "large": member_count > _LARGE,
            "lazy": True,
            "joined_at": "2021-03-14T15:09:26.535000+00:00",
            "system_channel_id": str(guild_id),
            "id": str(guild_id),
            "unavailable": False,
        }


def _holds(ids: list[int], guild_id: int) -> bool:
    index = bisect_left(ids, guild_id)
    return index < len(ids) and ids[index] == guild_id
