"""The guilds the bot is in, and what GUILD_CREATE says of them: all of it follows from the seed.

Ids are made in consecutive milliseconds, so that `(id >> 22) % shard_count` fills shards evenly for any count.
"""

from random import Random

from discord_simulator.events import EventDraft, draft_event
from discord_simulator.snowflakes import shard_of, snowflake

_FIRST_GUILD_MS = 1_480_000_000_000  # November 2016
_LOW_BITS = 22
_MIN_MEMBERS, _MAX_MEMBERS = 3, 12
_CHANNELS = (("general", 0), ("off-topic", 0), ("announcements", 5), ("Lounge", 2))
_ROLES = ("@everyone", "Moderators", "Regulars")
_EVERYONE_PERMISSIONS = "1071698660929"


class Guilds:
    """`count` guilds of the bot `application_id`."""

    def __init__(self, count: int, seed: int, application_id: int) -> None:
        rng = Random(f"guilds/{seed}")  # noqa: S311 - repeatable on purpose, keeps no secret
        self._seed = seed
        self._application_id = application_id
        self.ids = [snowflake(_FIRST_GUILD_MS + index, rng.getrandbits(_LOW_BITS)) for index in range(count)]

    def of_shard(self, shard_id: int, shard_count: int) -> list[int]:
        return [guild_id for guild_id in self.ids if shard_of(guild_id, shard_count) == shard_id]

    def creation(self, guild_id: int) -> EventDraft:
        """Give the initial GUILD_CREATE: the same for every session, but for its number."""
        rng = Random(f"guild/{self._seed}/{guild_id}")  # noqa: S311 - as above
        return draft_event(rng, "GUILD_CREATE", guild_id, self._guild(rng, guild_id))

    def _guild(self, rng: Random, guild_id: int) -> dict[str, object]:
        users = [user(rng) for _ in range(rng.randint(_MIN_MEMBERS, _MAX_MEMBERS))]
        users.append(bot_user(self._application_id))
        members = [member(rng, each) for each in users]
        return {
            "name": f"Guild {guild_id >> _LOW_BITS}",
            "roles": [_role(guild_id + index, name, index) for index, name in enumerate(_ROLES)],
            "channels": [_channel(guild_id + index, name, kind) for index, (name, kind) in enumerate(_CHANNELS)],
            "members": members,
            "threads": [{"id": str(guild_id + 90), "guild_id": str(guild_id), "parent_id": str(guild_id), "type": 11}],
            "presences": [],
            "voice_states": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
            "emojis": [{"id": str(guild_id + 70 + n), "name": f"emoji{n}", "animated": False} for n in range(6)],
            "stickers": [],
            "features": ["COMMUNITY", "NEWS"],
            "owner_id": users[0]["id"],
            "member_count": len(members),
            "large": False,
            "joined_at": "2021-03-14T15:09:26.535000+00:00",
            "preferred_locale": "en-US",
            "premium_tier": rng.randint(0, 3),
            "verification_level": rng.randint(0, 4),
            "system_channel_id": str(guild_id),
            "id": str(guild_id),
            "unavailable": False,
        }


def user(rng: Random) -> dict[str, object]:
    user_id = snowflake(_FIRST_GUILD_MS + rng.getrandbits(34), rng.getrandbits(_LOW_BITS))
    return {
        "username": f"user_{user_id % 100_000}",
        "public_flags": 0,
        "id": str(user_id),
        "global_name": None,
        "discriminator": "0",
        "avatar": f"{rng.getrandbits(128):032x}",
    }


def bot_user(application_id: int) -> dict[str, object]:
    return {
        "verified": True,
        "username": "Simulated",
        "mfa_enabled": True,
        "id": str(application_id),
        "global_name": None,
        "flags": 0,
        "email": None,
        "discriminator": "0000",
        "bot": True,
        "avatar": None,
    }


def member(rng: Random, of_user: dict[str, object]) -> dict[str, object]:
    return {
        "user": of_user,
        "roles": [],
        "nick": None,
        "mute": False,
        "joined_at": f"2022-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}T12:00:00.000000+00:00",
        "flags": 0,
        "deaf": False,
    }


def _role(role_id: int, name: str, position: int) -> dict[str, object]:
    return {
        "id": str(role_id),
        "name": name,
        "position": position,
        "permissions": _EVERYONE_PERMISSIONS,
        "color": 0,
        "hoist": False,
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }


def _channel(channel_id: int, name: str, kind: int) -> dict[str, object]:
    return {
        "id": str(channel_id),
        "name": name,
        "type": kind,
        "position": 0,
        "permission_overwrites": [{"id": str(channel_id), "type": 0, "allow": "0", "deny": "2048"}],
        "last_message_id": str(channel_id + 1),
        "topic": None,
        "nsfw": False,
        "flags": 0,
    }
