"""Brings the bot's voice connections over to the sessions of a pending shard set, before the old ones end."""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from shardpod.handover import Orders
from shardpod.protocol import Event

from .shard import Holding, Shard
from .voice import OwnVoice, user_id_of

REJOIN_EVERY = 0.6
"""Seconds between two op 4 of a shard. Discord takes 120 messages in 60 s of a connection, heartbeats among them, and
closes it at the next (fact sheet, section 4)."""

logger = structlog.get_logger("voice")


class Rejoining:
    """For all shards of a worker; it listens only while the worker belongs to a pending set, and else costs nothing.

    `on_change` is called when the order has come, and when all is sent: the old sessions wait for that.
    """

    def __init__(self, shards: Mapping[int, Shard], token: str, *, on_change: Callable[[], None]) -> None:
        self._shards = shards
        self._token = token
        self._on_change = on_change
        self._own: OwnVoice | None = None
        self._wanted = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None

    def follow(self, orders: Orders | None, *, rejoin: bool) -> None:
        """Take the operator's word: whose guilds these are, and whether their voice is to be brought over now."""
        if orders is None or not orders.is_pending:
            self._own = None
        elif self._own is None:
            self._own = OwnVoice(user_id_of(self._token))
        wanted = rejoin and self._own is not None
        if wanted and not self._wanted:
            logger.info("voice is being brought over to this pod's sessions", guilds=self.elsewhere)
            self._timer = self._loop.call_soon(self._tick)
            self._loop.call_soon(self._on_change)
        self._wanted = wanted
        if not wanted:
            self.close()

    def received(self, event: Event) -> None:
        if self._own is not None:
            self._own.received(event)

    @property
    def elsewhere(self) -> int | None:
        """In how many guilds the bot's voice hangs on a session of another pod's; None where nobody listens."""
        own = self._own
        return None if own is None else sum(own.elsewhere(shard.shard_id) for shard in self._held)

    @property
    def to_rejoin(self) -> int | None:
        """In how many of them op 4 has still to be sent; None while nobody asked for it."""
        own = self._own
        if own is None or not self._wanted:
            return None
        return sum(own.to_rejoin(shard.shard_id, _connection(shard)) for shard in self._held)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _held(self) -> list[Shard]:
        """What was given to another pod is that one's to bring over."""
        return [shard for shard in self._shards.values() if shard.holding is Holding.HELD]

    def _tick(self) -> None:
        """One guild a shard. It goes on when all is done: the bot may still be moved, or a session lost."""
        self._timer = self._loop.call_later(REJOIN_EVERY, self._tick)
        if self._own is None or not self.to_rejoin:
            return
        for shard in self._held:
            if shard.runner.can_send and (message := self._own.rejoin_next(shard.shard_id, _connection(shard))):
                shard.runner.send(message)
        if not self.to_rejoin:
            self._on_change()


def _connection(shard: Shard) -> int:
    """Tells one connection of a shard from the next."""
    return shard.counted("identifies") + shard.counted("resumes")
