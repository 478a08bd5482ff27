"""One lane of the queue, and a batch: what is taken from one lane or several."""

from collections import deque
from collections.abc import Callable

import msgspec

from shardpod.protocol import Event

from .outstanding import Outstanding

LaneKey = str | int

EVENT_BYTES = 512
"""What an event weighs in memory beside its payload: itself, its strings and its places in the indexes (measured)."""


class Lane(msgspec.Struct, eq=False):
    """Events that keep their order. The first `in_flight` of them are with a sender.

    `live` of them have not been dropped. `attempts` counts failures since the last success, `strikes` those of them
    that say something against its first event; both begin anew when that one leaves. `seen` is the sink's count of
    successes at the last of these.
    `backlogged`: it has fallen behind, and gives way to others. `stopped`: nothing is taken from it for the time being.
    """

    key: LaneKey
    shard: Outstanding
    events: deque[Event]
    live: int = 0
    in_flight: int = 0
    attempts: int = 0
    strikes: int = 0
    seen: int = 0
    backlogged: bool = False
    stopped: bool = False


def _never(_batch: "Batch") -> bool:
    return False


class Batch(msgspec.Struct, eq=False):
    """Events of one or more lanes on their way to the sink. `attempt` counts from 1.

    `ask` tells whether it is not to be sent any more.
    """

    events: list[Event]
    lanes: list[Lane]
    attempt: int
    ask: Callable[["Batch"], bool] = _never

    @property
    def called_off(self) -> bool:
        """To be looked at before a send that was held up: meanwhile its events may have become another pod's."""
        return self.ask(self)


def first_live(lane: Lane) -> Event:
    """The lane's first event that was not dropped; those before it leave."""
    while lane.events[0].dropped:
        lane.events.popleft()
    return lane.events[0]
