"""Lists dead letters, and puts them back into the queue or forgets them, as a person has decided."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping

from shardpod.delivery import LaneQueue
from shardpod.handover import Orders, is_of_session, key_of
from shardpod.protocol import Event
from shardpod.spool import DeadLetter

from .messages import DeadLetters, DeadLetterView, FetchLetters, Letters, LetterSent, Settled, SettleDeadLetters
from .shard import Holding, Shard
from .spooler import Spooler


class DeadLetterOffice:
    """The dead letters of a worker's shards. Without a spooler there are none: they were counted and logged only.

    `orders` are there while a reshard runs.
    """

    def __init__(
        self,
        spooler: Spooler | None,
        shards: Mapping[int, Shard],
        queue: LaneQueue,
        notify: Callable[[], None],
    ) -> None:
        self.orders: Orders | None = None
        self._spooler = spooler
        self._queue = queue
        self._notify = notify
        self._shards = shards

    @property
    def held(self) -> tuple[int, ...]:
        """The shards that are ours, and on their way neither to another pod nor from one."""
        return tuple(shard_id for shard_id, shard in self._shards.items() if shard.holding is Holding.HELD)

    async def view(self) -> DeadLetters:
        """All of them, oldest first, without their payloads."""
        return DeadLetters(tuple(_view(letter) for letter in sorted(await self._all(), key=lambda one: one.died_wall)))

    async def settle(self, request: SettleDeadLetters) -> Settled:
        """Put back or forget those that were named. What is put back has to be flushed before it counts as kept.

        One that is not to be delivered from here stays a dead letter, and goes over to whoever is to.
        """
        chosen = [one for one in await self._all() if request.keys is None or one.event.key in request.keys]
        if not request.discard:
            chosen = [one for one in chosen if self._may_deliver(one.event)]
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

    async def take_over(self, letters: Collection[LetterSent], shard_count: int) -> tuple[str, ...]:
        """As `keep`, of another shard set: each with the shard that its guild belongs to now, if that is ours."""
        known = await self._known()
        for letter in letters:
            letter.event.shard_id = key_of(letter.event) % shard_count
        # Of a shard that goes to another pod the letters may have gone already: what comes now would be deleted here.
        held = self.held
        return self._keep([letter for letter in letters if letter.event.shard_id in held], known)

    async def keep(self, letters: Collection[LetterSent]) -> tuple[str, ...]:
        """Keep what is here not yet, to be flushed; the keys of those that are here now."""
        # Every shard that is taken over asks, nearly always with none: then no file is read.
        return self._keep(letters, await self._known()) if letters else ()

    def _keep(self, letters: Collection[LetterSent], known: set[str]) -> tuple[str, ...]:
        now = asyncio.get_running_loop().time()
        for letter in letters:
            if self._spooler is not None and letter.event.key not in known:
                letter.event.received_at = now
                if self._spooler.bury(letter.event, letter.problem, letter.attempts):
                    known.add(letter.event.key)
        return tuple(letter.event.key for letter in letters if letter.event.key in known)

    async def _known(self) -> set[str]:
        return set() if self._spooler is None else await self._spooler.letter_keys()

    def _may_deliver(self, event: Event) -> bool:
        """Whether its shard is ours, and its guild is this shard set's and not between the two."""
        if event.shard_id not in self.held:
            return False
        orders = self.orders
        if orders is None or is_of_session(event.type):
            return True
        pending_shard = key_of(event) % orders.pending_count
        moving = orders.handover is not None and orders.handover.covers(pending_shard)
        return orders.is_ours(pending_shard) and not moving

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
