"""Tells the bot, by an event of ours among Discord's, that another shard set delivers from now on."""

from collections.abc import Callable, Mapping

import msgspec
import structlog

from shardpod.handover import Orders
from shardpod.protocol import Event

from .shard import Holding, Shard

SHARDS_CHANGED = "GATEWAY_SHARDS_CHANGED"

_FIRST_SHARD = 0
"""Whoever holds it says it for the whole set, and delivers what belongs to no guild."""

logger = structlog.get_logger("handover")


class Announcing:
    """For all shards of a worker. `deliver` takes the event, whatever filters and bounds say."""

    def __init__(
        self, shards: Mapping[int, Shard], *, deliver: Callable[[Event], None], now: Callable[[], float]
    ) -> None:
        self._shards = shards
        self._deliver = deliver
        self._now = now
        self._told: set[int] = set()

    def follow(self, orders: Orders | None, *, announce: bool) -> None:
        """Take the operator's word. A worker that is started anew says it again, under the key that it had."""
        if orders is None or not announce or not orders.is_pending or orders.pending_epoch in self._told:
            return
        shard = self._shards.get(_FIRST_SHARD)
        if shard is None or shard.holding not in (Holding.HELD, Holding.TAKING):
            return
        self._told.add(orders.pending_epoch)
        event = shards_changed(orders, self._now())
        if all(waiting.key != event.key for waiting in shard.outstanding.events.values()):
            logger.info("the bot is told of the new shard set", epoch=orders.pending_epoch, shards=orders.pending_count)
            self._deliver(event)


def shards_changed(orders: Orders, now: float) -> Event:
    """The event. It is of no session of Discord's, so that no checkpoint counts it; its key tells the epoch."""
    after = {"epoch": orders.pending_epoch, "shard_count": orders.pending_count}
    before = {"epoch": orders.active_epoch, "shard_count": orders.active_count}
    raw = msgspec.json.encode({"t": SHARDS_CHANGED, "s": None, "op": 0, "d": {**after, "before": before}})
    return Event(SHARDS_CHANGED, 1, None, _FIRST_SHARD, f"epoch-{orders.pending_epoch}", now, raw)
