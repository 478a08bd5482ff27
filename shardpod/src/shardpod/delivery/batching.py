"""Which events travel together: those of one lane in their order, then of those whose turn it is after it."""

from shardpod.protocol import Event

from .lane import Batch, Lane, first_live
from .turn import Turn


def fill(lane: Lane, ready: Turn, max_events: int, max_bytes: int) -> Batch:
    """A batch that begins with `lane`, and goes on with the lanes that are ready as long as there is room.

    A lane that failed is left for a batch of its own.
    """
    batch = Batch([], [], 1)
    room = max_bytes
    while True:
        share = 1 if ready.both_wait else max_events
        room = _take_from(lane, batch.events, min(max_events, len(batch.events) + share), room)
        batch.lanes.append(lane)
        if not ready or len(batch.events) >= max_events or room <= 0:
            return batch
        lane = ready.next()
        if lane.attempts or len(first_live(lane).raw) > room:
            ready.next_again(lane)
            return batch


def _take_from(lane: Lane, events: list[Event], max_events: int, room: int) -> int:
    """Move as many of the lane's first events as there is room for; at least one if it is the batch's first."""
    first_live(lane)
    for event in lane.events:
        if event.dropped:
            break  # what follows goes with the next batch: those in flight are the lane's first
        if len(events) >= max_events or (events and len(event.raw) > room):
            break
        event.in_flight = True
        events.append(event)
        lane.in_flight += 1
        room -= len(event.raw)
    return room
