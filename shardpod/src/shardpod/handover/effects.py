"""What a custody wants done with events, in this order, before the next one is looked at."""

from collections.abc import Callable

import msgspec

from shardpod.protocol import Event

Wanted = Callable[[Event], bool]


class Deliver(msgspec.Struct):
    """To the bot, in order: events that were kept and are ours after all. None of them is outstanding."""

    events: list[Event]


class Release(msgspec.Struct):
    """To the bot, in order: events that were held here."""

    events: list[Event]


class Settle(msgspec.Struct):
    """Events that were held here are the other shard set's now."""

    events: list[Event]


class StopLanes(msgspec.Struct):
    """Send nothing of these any more until `StartLanes`."""

    wanted: Wanted


class StartLanes(msgspec.Struct):
    """Send again what was stopped."""


class Discard(msgspec.Struct):
    """What waits of these is the other shard set's: it delivers all of it."""

    wanted: Wanted


Effect = Deliver | Release | Settle | StopLanes | StartLanes | Discard
