"""What the bot may ask about itself over REST before it connects: libraries do so at login.

Only fields that Discord always sends (Discord docs: User object, Application object), for an application of one owner.
"""

from random import Random

from discord_simulator.entities import bot_user, user

_APPLICATION_FLAGS = 565_248  # as READY tells it


def current_user(application_id: int) -> dict[str, object]:
    """Body of GET /users/@me."""
    return bot_user(application_id) | {"public_flags": 0, "banner": None, "accent_color": None, "locale": "en-US"}


def current_application(application_id: int, guilds: int, seed: int) -> dict[str, object]:
    """Body of GET /applications/@me, and of GET /oauth2/applications/@me, which is older."""
    rng = Random(f"owner/{seed}")  # noqa: S311 - repeatable on purpose, keeps no secret
    return {
        "id": str(application_id),
        "name": "Simulated",
        "icon": None,
        "description": "",
        "bot_public": True,
        "bot_require_code_grant": False,
        "owner": user(rng),
        "verify_key": f"{rng.getrandbits(256):064x}",
        "team": None,
        "flags": _APPLICATION_FLAGS,
        "approximate_guild_count": guilds,
        "approximate_user_install_count": 0,
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "integration_types_config": {"0": {}},
        "bot": bot_user(application_id),
    }
