"""What follows a message: its links unfurl one by one, and somebody may correct it.

A message with five links is one MESSAGE_CREATE without embeds and five MESSAGE_UPDATEs; an edit of it is six more. An
unfurl is no edit: its `edited_timestamp` is null, or that of the last edit cut to milliseconds (fact sheet, section 7).
"""

from collections import deque
from collections.abc import Callable
from random import Random

from discord_simulator.settings import StoryShares

_MOST_LINKS = 5
_MOST_WAITING = 10_000  # updates; a mix without MESSAGE_UPDATE never takes any
_MICROSECONDS_BELOW_MS = 3  # digits

Message = dict[str, object]


class MessageStories:
    """The updates still to come, oldest first. `timestamp` tells the time in events."""

    def __init__(self, rng: Random, shares: StoryShares, timestamp: Callable[[], str]) -> None:
        self._rng = rng
        self._shares = shares
        self._timestamp = timestamp
        self._waiting: deque[tuple[int | None, Message]] = deque(maxlen=_MOST_WAITING)

    def begin(self, guild_id: int | None, message: Message) -> Message:
        """Give the message as it is created, with links or without."""
        if self._rng.random() >= self._shares.links:
            return message
        links = [
            f"https://example.com/{self._rng.getrandbits(32):08x}" for _ in range(self._rng.randint(1, _MOST_LINKS))
        ]
        created = message | {"content": f"{message['content']} {' '.join(links)}", "embeds": []}
        self._unfurl(guild_id, created, links, None)
        if self._rng.random() < self._shares.edits:
            edited_at = self._timestamp()
            edited = created | {"content": f"{created['content']}!", "edited_timestamp": edited_at}
            self._waiting.append((guild_id, edited))
            self._unfurl(guild_id, edited, links, _cut_to_milliseconds(edited_at))
        return created

    def next(self, is_there: Callable[[int], bool]) -> tuple[int | None, Message] | None:
        """Give the next update of a guild that is still there, if there is one."""
        while self._waiting:
            guild_id, message = self._waiting.popleft()
            if guild_id is None or is_there(guild_id):
                return guild_id, message
        return None

    def _unfurl(self, guild_id: int | None, message: Message, links: list[str], edited_at: str | None) -> None:
        for count in range(1, len(links) + 1):
            embeds = [{"type": "link", "url": link, "title": "Example"} for link in links[:count]]
            self._waiting.append((guild_id, message | {"embeds": embeds, "edited_timestamp": edited_at}))


def _cut_to_milliseconds(timestamp: str) -> str:
    """`…05.123456+00:00` becomes `…05.123000+00:00`."""
    whole, _, zone = timestamp.partition("+")
    return f"{whole[:-_MICROSECONDS_BELOW_MS]}{'0' * _MICROSECONDS_BELOW_MS}+{zone}"
