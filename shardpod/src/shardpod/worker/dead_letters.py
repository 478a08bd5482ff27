"""Lists dead letters, and puts them back into the queue or forgets them, as a person has decided."""

import asyncio
from collections.abc import Callable, Iterable

from shardpod.delivery import LaneQueue
from shardpod.handover import key_of
from shardpod.spool import DeadLetter

from .messages import DeadLetters, DeadLetterView, FetchLetters, Letters, LetterSent, Settled, SettleDeadLetters
from .spooler import Spooler


class DeadLetterOffice:
    """The dead letters of a worker's shards. Without a spooler there are none: they were counted and logged only."""

    def __init__(self, spooler: Spooler | None, queue: LaneQueue, notify: Callable[[], None]) -> None:
        self._spooler = spooler
        self._queue = queue
        self._notify = notify

    async def view(self) -> DeadLetters:
        """All of them, oldest first, without their payloads."""
        return DeadLetters(tuple(_view(letter) for letter in sorted(await self._all(), key=lambda one: one.died_wall)))

    async def settle(self, request: SettleDeadLetters) -> Settled:
        """Put back or forget those that were named. What is put back has to be flushed before it counts as kept."""
        chosen = [one for one in await self._all() if request.keys is None or one.event.key in request.keys]
        if self._spooler is not None:
            for shard_id in {letter.event.shard_id for letter in chosen}:
                if (file := self._spooler.files.get(shard_id)) is not None:
                    file.settle_letters([letter.id for letter in chosen if letter.event.shard_id == shard_id])
        if not request.discard:
            self._put_back(chosen)
        return Settled(len(chosen))

    async def of_guilds(self, request: FetchLetters) -> Letters:
        """Those of guilds that belong to another shard set's worker, with their payloads."""
        return Letters(
            tuple(
                LetterSent(letter.event, letter.problem, letter.attempts, letter.died_wall)
                for letter in await self._all()
                if key_of(letter.event) % request.shard_count in request.shard_ids
            )
        )

    async def take_over(self, letters: Iterable[LetterSent], shard_count: int) -> None:
        """Keep what is here not yet, each with the shard that its guild belongs to now."""
        if self._spooler is None:
            return
        known = {letter.event.key for letter in await self._all()}
        now = asyncio.get_running_loop().time()
        for letter in letters:
            if letter.event.key not in known:
                letter.event.shard_id = key_of(letter.event) % shard_count
                letter.event.received_at = now
                self._spooler.bury(letter.event, letter.problem, letter.attempts)

    def _put_back(self, letters: Iterable[DeadLetter]) -> None:
        ready = False
        now = asyncio.get_running_loop().time()
        for letter in letters:
            letter.event.received_at = now
            ready |= self._queue.put_whatever_the_bound(letter.event)
        if ready:
            self._notify()

    async def _all(self) -> list[DeadLetter]:
        return [] if self._spooler is None else await self._spooler.dead_letters()


def _view(letter: DeadLetter) -> DeadLetterView:
    event = letter.event
    return DeadLetterView(
        key=event.key,
        shard_id=event.shard_id,
        type=event.type,
        guild_id=event.guild_id,
        problem=letter.problem,
        attempts=letter.attempts,
        died_at=letter.died_wall,
        bytes=len(event.raw),
    )
