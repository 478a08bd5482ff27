"""Asks the operator for leave to deliver a range that is being handed over to this pod, as long as that lasts.

A lease counts from its *asking*, so an answer that was long on its way only makes it shorter.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from shardpod.contract import Assignment, Handover
from shardpod.worker.messages import Lease

ASK_EVERY = 0.05
"""Seconds between two questions while no lease was granted yet: so long events of the range may wait for this."""


class Operator(Protocol):
    """Who grants leases; in production the control client."""

    async def ask_lease(self, number: int, *, live: bool) -> float | None:
        """Seconds from the asking, None when there is no lease now."""
        ...


class Leases:
    """Follows the assignments of one pod. `live` tells whether a worker had a lease under the present handover."""

    def __init__(self, operator: Operator, *, tell: Callable[[Lease], None], is_live: Callable[[int], bool]) -> None:
        self._operator = operator
        self._tell = tell
        self._is_live = is_live
        self._number: int | None = None
        self._asking: asyncio.Task[None] | None = None

    def follow(self, assignment: Assignment) -> None:
        """Ask while the assignment's handover is to here and under way, and no longer."""
        handover = assignment.handover
        mine = handover is not None and handover.step == "go" and handover.to_epoch == assignment.epoch
        number = handover.number if handover is not None and mine and _concerns(assignment, handover) else None
        if number == self._number:
            return
        self.close()
        self._number = number
        if number is not None:
            again = assignment.windows.fence_timeout / 2
            self._asking = asyncio.get_running_loop().create_task(self._ask_forever(number, again))

    def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    async def _ask_forever(self, number: int, again: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked_at = loop.time()
            lasts = None
            with suppress(TimeoutError):  # a question that is lost must not cost the lease: there is time for another
                async with asyncio.timeout(again):
                    lasts = await self._operator.ask_lease(number, live=self._is_live(number))
            if lasts is not None:
                self._tell(Lease(number, asked_at + lasts))
            await asyncio.sleep(ASK_EVERY if lasts is None else asked_at + again - loop.time())


def _concerns(assignment: Assignment, handover: Handover) -> bool:
    """Whether this pod may have sessions with guilds of the range: of another, nobody waits for the lease."""
    mine, pending = assignment.range, handover.range
    if assignment.epoch == assignment.ownership.pending_epoch:
        return mine.first_shard_id <= pending.last_shard_id and pending.first_shard_id <= mine.last_shard_id
    return True
