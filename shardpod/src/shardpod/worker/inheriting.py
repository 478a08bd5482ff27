"""After the last range of a reshard, or of its abort: fetches the dead letters of the shard set that is about to go.

What waited for the bot was delivered before each range changed hands; dead letters wait for a person, and stay.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from shardpod.handover import Orders

from .asking import Ask, ask_instance
from .dead_letters import DeadLetterOffice
from .messages import FetchLetters, ForgetLetters, Letters, Neighbour, TransferAnswer

RETRY = 0.5
"""Seconds before a pod that cannot be asked now is asked again."""
AGAIN = 3.0
"""Seconds before all are asked again while the operator hears that some still have any: an event may die late."""

logger = structlog.get_logger("handover")


class Inheriting:
    """For all shards of a worker. `save` puts on disk what was fetched; false if it cannot."""

    def __init__(
        self,
        office: DeadLetterOffice,
        *,
        ask: Ask,
        save: Callable[[], Awaitable[bool]],
    ) -> None:
        self._office = office
        self._ask = ask
        self._save = save
        self._heirs_of: set[str] = set()
        self._more = False
        self._counterparts: tuple[Neighbour, ...] = ()
        self._fetching: asyncio.Task[None] | None = None

    def follow(self, orders: Orders | None, counterparts: tuple[Neighbour, ...], *, inherits: bool = False) -> None:
        """Take the operator's word: when all ranges are ours, what the other set still has is ours as well.

        The active set has all before the first handover, too: it has to be told that it `inherits`.
        """
        heir = orders is not None and (orders.is_pending or inherits) and _has_all(orders)
        self._counterparts = counterparts if heir else ()
        if inherits and not self._more:
            self._heirs_of.clear()
        self._more = inherits
        if orders is not None and self._left() and (self._fetching is None or self._fetching.done()):
            self._fetching = asyncio.get_running_loop().create_task(self._fetch_all(orders.shard_count))

    def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()

    def _left(self) -> list[Neighbour]:
        return [one for one in self._counterparts if one.instance not in self._heirs_of]

    async def _fetch_all(self, shard_count: int) -> None:
        while left := self._left():
            for one in left:
                if await self._fetch(one, shard_count):
                    self._heirs_of.add(one.instance)
            if self._left():
                await asyncio.sleep(RETRY)
            elif self._more:
                await asyncio.sleep(AGAIN)
                if self._more:
                    self._heirs_of.clear()

    async def _fetch(self, other: Neighbour, shard_count: int) -> bool:
        """Whether all that it had for us is here."""
        # Of a shard that has a successor they are the successor's to fetch, as soon as it holds it.
        if not self._office.held:
            return True
        answer = await self._call(other, FetchLetters(shard_count, self._office.held))
        if not isinstance(answer, Letters):
            return False
        kept = await self._office.take_over(answer.letters, shard_count)
        if kept:
            if not await self._save():
                return False
            logger.info("took over dead letters", of=other.instance, letters=len(kept))
            await self._call(other, ForgetLetters(kept))
        return True

    async def _call(self, other: Neighbour, request: FetchLetters | ForgetLetters) -> TransferAnswer:
        return await ask_instance(self._ask, other.instance, other.address, request)


def _has_all(orders: Orders) -> bool:
    """Whether every range is this set's, and none on its way."""
    return orders.handover is None and all(orders.is_ours(shard) for shard in range(orders.pending_count))
