"""What a session without MESSAGE_CONTENT sees of messages (Discord docs, Gateway: message content intent).

Contents are empty but in the bot's own messages, in direct messages, and in messages that mention the bot.
"""

from dataclasses import replace

from discord_simulator.events import EventDraft
from discord_simulator.intents import Intent

_MESSAGES = frozenset({"MESSAGE_CREATE", "MESSAGE_UPDATE"})
_MESSAGE_CONTENT = int(Intent.MESSAGE_CONTENT)  # plain, for it is asked of every event
_EMPTY: dict[str, object] = {"content": "", "embeds": [], "attachments": [], "components": []}


def may_see_content(intents: int) -> bool:
    return bool(intents & _MESSAGE_CONTENT)


def without_content(draft: EventDraft, application_id: int) -> EventDraft:
    """Give the draft as such a session gets it; the same one where nothing has to be hidden."""
    if draft.type not in _MESSAGES or draft.guild_id is None or _concerns_bot(draft.d, str(application_id)):
        return draft
    shown = {name: _EMPTY.get(name, value) for name, value in draft.d.items() if name != "poll"}
    return replace(draft, d=shown, number_position=min(draft.number_position, len(shown)))


def _concerns_bot(d: dict[str, object], bot_id: str) -> bool:
    author, mentions = d.get("author"), d.get("mentions")
    users = [author, *(mentions if isinstance(mentions, list) else [])]
    return any(isinstance(each, dict) and each.get("id") == bot_id for each in users)
