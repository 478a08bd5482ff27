"""What it costs a worker to watch while a reshard runs: microseconds of CPU an event, in this process, nothing else.

The floor reads the envelope and makes the event of it, which a worker does anyway. On top comes the custody: whose an
event is, and its fingerprint, which is made apart from the delivery path but by the same process.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from discord_simulator.events import EventKind, number_event
from discord_simulator.generator import EventGenerator
from shardpod.handover import Custody, Orders
from shardpod.protocol.envelope import Routing, guild_of, read_envelope
from shardpod.protocol.event import Event

EVENTS = 20_000
GUILDS = 500
RATE = 500.0
"""Events a second of the events' own clock: so many are remembered as of that rate, by windows as by default."""
TICK = 0.1
OLD_SET, NEW_SET = 16, 32


@dataclass(frozen=True)
class Watching:
    """Microseconds an event: the floor, and what watching adds in the set that delivers and in the one that is to."""

    floor: float
    old: float
    new: float


class NothingWaits:
    """The queue, of which a custody asks only while a range is handed over."""

    def waiting(self, wanted: Callable[[Event], bool]) -> list[Event]:
        return []

    def is_waiting(self, event: Event) -> bool:
        return False


def payloads() -> list[bytes]:
    random = Random(1)
    generator = EventGenerator([random.getrandbits(62) for _ in range(GUILDS)], "bench")
    return [number_event(generator.next(), number, EventKind.LOAD).payload(number) for number in range(EVENTS)]


def read(payload: bytes, now: float) -> Event:
    envelope = read_envelope(payload)
    assert envelope.s is not None
    assert envelope.t is not None
    routing = envelope.d if isinstance(envelope.d, Routing) else None
    return Event(envelope.t, envelope.s, guild_of(envelope.t, routing), 0, "session", now, payload)


def custody(*, new_set: bool) -> Custody:
    """Of a worker that holds all shards of one set, before anything is handed over."""
    orders = Orders(2 if new_set else 1, 1, OLD_SET, 2, NEW_SET)
    return Custody(range(orders.shard_count), orders, NothingWaits(), now=0.0, resuming=False)


def microseconds(events: list[bytes], watching: Custody | None) -> float:
    began, now, due = time.process_time(), 0.0, TICK
    for payload in events:
        now += 1 / RATE
        event = read(payload, now)
        if watching is not None:
            watching.received(event)
            if now >= due:
                due += TICK
                watching.tick(now, connected=True)
    return (time.process_time() - began) / len(events) * 1e6


def measure_watching(runs: int) -> Watching:
    """Medians of some runs."""
    events = payloads()
    floors, old, new = [], [], []
    for _ in range(runs):  # in turn, so that a slow minute of the machine touches all of them
        floor = microseconds(events, None)
        floors.append(floor)
        old.append(microseconds(events, custody(new_set=False)) - floor)
        new.append(microseconds(events, custody(new_set=True)) - floor)
    return Watching(*(statistics.median(figures) for figures in (floors, old, new)))
