"""What a viewer of the demo is told of a reshard, and how what Discord sent is counted when two shard sets live."""

from collections.abc import Iterator
from typing import Any


class Progress:
    """Turns what `status` says of a reshard into lines, each of them once."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._connected = False
        self._handed: set[tuple[int, int]] = set()
        self._over = False

    def lines(self, status: dict[str, Any]) -> Iterator[str]:
        """What is new since the last look. Two looks may be far apart on a busy machine, so nothing is left out."""
        reshard, active = status.get("reshard"), status.get("active")
        over = reshard is None and active is not None and active["shardCount"] == self._to
        if reshard is None and not over:
            return
        if not self._connected and (over or reshard["phase"] in ("Warming", "HandingOver", "Draining")):
            self._connected = True
            yield f"all {self._to} new shards are connected: both sets watch what comes in, the old one delivers it"
        handed = active["ranges"] if over else reshard["handedRanges"]
        for first, last in sorted((cut["firstShardId"], cut["lastShardId"]) for cut in handed):
            if (first, last) not in self._handed:
                self._handed.add((first, last))
                yield f"range {first}-{last} handed over: its guilds' events come from the new pod now"
        if over and not self._over and not _old_pods(status):
            self._over = True
            yield f"the old set is closed: {self._to} shards deliver everything"

    @property
    def is_over(self) -> bool:
        """Whether the new set is alone, and that was told."""
        return self._over


def _old_pods(status: dict[str, Any]) -> bool:
    return any(pod["epoch"] != status["active"]["epoch"] for pod in status["pods"])


def owed(ledger: dict[str, Any], new_shards: int) -> list[Any]:
    """The ledger's events that the bot is to get, each once, whichever of two sets' sessions they were sent to.

    Not among them are the guilds that a session of the new set is told of at its start: the old set has told the bot of
    them already. One that arrives all the same is then counted as unknown.
    """
    new = {name for name, session in ledger["sessions"].items() if session["shard"][1] == new_shards}

    def of_a_new_start(event: Any) -> bool:
        _number, event_type, _guild, kind, receivers = event
        return kind == "session" and event_type == "GUILD_CREATE" and {session for session, _ in receivers} <= new

    return [event for event in ledger["events"] if not event[4] or not of_a_new_start(event)]
