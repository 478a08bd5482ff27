"""Discord's objects as they are nested in events: with every field that Discord always sends.

Libraries read them whole, and end the session, or drop the event, where a field is missing. Contents follow from the
`Random` that is given.
"""

from random import Random

from discord_simulator.snowflakes import snowflake

FIRST_GUILD_MS = 1_480_000_000_000  # November 2016
LOW_BITS = 22
EVERYONE_PERMISSIONS = "1071698660929"
_VOICE, _PUBLIC_THREAD = 2, 11  # Discord docs, Channel types
_CREATED = "2022-02-02T12:00:00.000000+00:00"


def user(rng: Random) -> dict[str, object]:
    user_id = snowflake(FIRST_GUILD_MS + rng.getrandbits(34), rng.getrandbits(LOW_BITS))
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
        "premium_since": None,
        "pending": False,
        "nick": None,
        "mute": False,
        "joined_at": f"2022-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}T12:00:00.000000+00:00",
        "flags": 0,
        "deaf": False,
        "communication_disabled_until": None,
        "banner": None,
        "avatar": None,
    }


def role(role_id: int, name: str, position: int) -> dict[str, object]:
    return {
        "id": str(role_id),
        "name": name,
        "position": position,
        "permissions": EVERYONE_PERMISSIONS,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "icon": None,
        "unicode_emoji": None,
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }


def channel(channel_id: int, name: str, kind: int) -> dict[str, object]:
    """Give a guild's channel as it stands in GUILD_CREATE: without `guild_id`."""
    common = {
        "id": str(channel_id),
        "name": name,
        "type": kind,
        "position": 0,
        "permission_overwrites": [{"id": str(channel_id), "type": 0, "allow": "0", "deny": "2048"}],
        "parent_id": None,
        "last_message_id": str(channel_id + 1),
        "rate_limit_per_user": 0,
        "nsfw": False,
        "flags": 0,
    }
    if kind == _VOICE:
        return common | {"bitrate": 64_000, "user_limit": 0, "rtc_region": None}
    return common | {"topic": None, "last_pin_timestamp": None}


def thread(thread_id: int, parent_id: object, owner_id: object, name: str) -> dict[str, object]:
    """Give a public thread, without its `guild_id`."""
    return {
        "id": str(thread_id),
        "type": _PUBLIC_THREAD,
        "parent_id": parent_id,
        "owner_id": owner_id,
        "name": name,
        "last_message_id": str(thread_id + 1),
        "message_count": 1,
        "total_message_sent": 1,
        "member_count": 1,
        "rate_limit_per_user": 0,
        "thread_metadata": {
            "archived": False,
            "archive_timestamp": _CREATED,
            "auto_archive_duration": 1440,
            "locked": False,
            "create_timestamp": _CREATED,
        },
        "flags": 0,
    }


def emoji(emoji_id: int, name: str) -> dict[str, object]:
    return {
        "id": str(emoji_id),
        "name": name,
        "roles": [],
        "require_colons": True,
        "managed": False,
        "available": True,
        "animated": False,
    }


def guild_settings(rng: Random, owner_id: object) -> dict[str, object]:
    """Give what GUILD_CREATE and GUILD_UPDATE both say of a guild, less its id, name, roles and emojis."""
    return {
        "owner_id": owner_id,
        "icon": None,
        "splash": None,
        "discovery_splash": None,
        "banner": None,
        "description": None,
        "features": ["COMMUNITY", "NEWS"],
        "stickers": [],
        "region": "deprecated",
        "afk_channel_id": None,
        "afk_timeout": 300,
        "application_id": None,
        "verification_level": rng.randint(0, 4),
        "default_message_notifications": 1,
        "explicit_content_filter": 2,
        "mfa_level": 0,
        "nsfw": False,
        "nsfw_level": 0,
        "premium_tier": rng.randint(0, 3),
        "premium_subscription_count": rng.randint(0, 20),
        "premium_progress_bar_enabled": False,
        "preferred_locale": "en-US",
        "system_channel_id": None,
        "system_channel_flags": 0,
        "rules_channel_id": None,
        "public_updates_channel_id": None,
        "safety_alerts_channel_id": None,
        "widget_enabled": False,
        "widget_channel_id": None,
        "vanity_url_code": None,
        "incidents_data": None,
        "max_presences": None,
        "max_members": 500_000,
        "max_video_channel_users": 25,
        "max_stage_video_channel_users": 50,
    }
