"""Gives shards to a successor: first the session, at once; then what was not delivered; then it forgets the shard.

Of the two pods the giver decides whose a session is. Released, it is offered for `CONFIRM_TIMEOUT`; "resumed" makes it
the successor's, silence makes it the giver's again. A successor that is lost before it has all of the shard is passed
over for the next one that asks. All that waits is on disk before the offer is made, so that a giver that crashes goes
on where it was; nothing is deleted before the successor has it on disk as well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import structlog

from shardpod.delivery import LaneQueue
from shardpod.protocol import Event, ShardState

from .messages import (
    Backlog,
    Busy,
    Confirm,
    FetchBacklog,
    LetterSent,
    Nothing,
    Release,
    Released,
    Resumed,
    TakenBack,
    TransferAnswer,
    TransferRequest,
    Yours,
)
from .shard import Holding, Shard
from .spooler import Spooler

SUCCESSOR_LOST_AFTER = 30.0
"""Seconds without a word of the successor after which another one may have the shard: one that lives asks again and
again for whatever it waits for."""
CONFIRM_TIMEOUT = 5.0
"""Seconds after which a session that was released, and not resumed, is taken back (architecture: Transfer)."""
IN_FLIGHT_PATIENCE = 2.0
"""Seconds an asker waits for requests that are under way to the bot, before it is told to ask again."""
PART_EVENTS = 2_000
PART_BYTES = 1024 * 1024
"""One part of a backlog: small enough to hold twice, large enough that 100,000 events need some hundred questions."""
_POLL = 0.02

logger = structlog.get_logger("transfer")


class Giving:
    """The giver's side, for all shards of a worker. `may_release`: a successor is expected, by the operator's word.

    `handover_open`: a range is between two shard sets, and no session may change hands before that is over.
    """

    def __init__(
        self,
        shards: Mapping[int, Shard],
        queue: LaneQueue,
        spooler: Spooler | None,
        *,
        notify: Callable[[], None],
        on_change: Callable[[], None],
        identity: str,
    ) -> None:
        self.may_release = False
        self.handover_open: Callable[[], bool] = lambda: False
        self._shards = shards
        self._queue = queue
        self._spooler = spooler
        self._notify = notify
        self._on_change = on_change
        self._identity = identity
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._heard_at: dict[int, float] = {}
        # By shard and name: successors that were silent for so long that another got the shard.
        self._passed_over: set[tuple[int, str]] = set()
        self._loop = asyncio.get_running_loop()

    async def answer(self, request: TransferRequest) -> TransferAnswer:
        """Answer a successor's request."""
        shard = self._shards.get(request.shard_id)
        if (request.shard_id, request.to) in self._passed_over and not isinstance(request, Release):
            return TakenBack()
        if shard is None or shard.holding is Holding.GONE:
            return Nothing()
        if not self.may_release and shard.holding in (Holding.HELD, Holding.TAKING):
            return Busy("the operator has not said that this pod has a successor")
        if shard.successor == request.to:
            self._heard_at[shard.shard_id] = self._loop.time()
        elif shard.successor is not None and (refusal := self._refusal(shard, request)) is not None:
            return refusal
        if shard.holding is Holding.TAKING and not isinstance(request, Release):
            return Nothing()  # it is not yet ours, and what a successor had of us before is long his
        answers: dict[type, Callable[[Shard, TransferRequest], Awaitable[TransferAnswer]]] = {
            Release: self._release,
            Resumed: self._resumed,
            FetchBacklog: self._backlog,
            Confirm: self._confirm,
        }
        return await answers[type(request)](shard, request)

    def resume_offer(self, shard: Shard) -> None:
        """After a restart: the successor of a shard that was offered has as long again to say that it has it."""
        self._queue.freeze(shard.shard_id)
        self._heard_at[shard.shard_id] = self._loop.time()
        if shard.holding is Holding.OFFERED:
            self._timers[shard.shard_id] = self._loop.call_later(CONFIRM_TIMEOUT, self._take_back, shard)

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()

    async def nothing_left(self, shard: Shard) -> None:
        """After a restart: of this shard nothing is here that a successor could want."""
        shard.holding = Holding.GONE
        if self._spooler is not None:
            await self._spooler.delete(shard.shard_id)

    async def _release(self, shard: Shard, request: TransferRequest) -> TransferAnswer:
        if shard.holding is Holding.HELD or shard.successor not in (None, request.to):
            if shard.protocol.state is ShardState.IDENTIFYING:
                return Busy("its Identify is under way")
            if self.handover_open():
                return Busy("a range of guilds is being handed over to another shard set")
            self._offer(shard, request.to)
            if self._spooler is not None and not await self._spooler.flush([shard.outstanding], everything=True):
                logger.warning("a shard is given away while its spool cannot be written", shard=shard.shard_id)
        elif shard.holding is Holding.TAKING:
            return Busy("it is being taken from another pod itself")
        if shard.holding not in (Holding.OFFERED, Holding.GIVEN):
            return Busy("it was taken back")
        session = shard.given_session
        if session is None:
            return Released(None)
        return Released(session.session_id, session.resume_gateway_url, session.seq, self._identity, shard.last_guilds)

    def _refusal(self, shard: Shard, request: TransferRequest) -> TransferAnswer | None:
        """What another than the successor is told; None: it may become the successor."""
        if isinstance(request, Release) and self._is_successor_lost(shard):
            return None
        if isinstance(request, Resumed | FetchBacklog):
            # Only who was given the session asks so: it was passed over, maybe before this process was started.
            return TakenBack()
        return Busy(f"it is being given to {shard.successor}")

    def _is_successor_lost(self, shard: Shard) -> bool:
        # One that has not said yet that it resumed the session has a timer of its own.
        if shard.holding is not Holding.GIVEN:
            return False
        return self._loop.time() - self._heard_at[shard.shard_id] > SUCCESSOR_LOST_AFTER

    def _offer(self, shard: Shard, to: str) -> None:
        if shard.holding is Holding.HELD:
            shard.release()
        elif shard.successor is not None:
            # What the lost one received and delivered since nobody here knows. So the next one resumes from where the
            # session was released: Discord replays what it still has, the backlog is all here, and whatever was
            # delivered comes again under its key. If the lost one lives, it lets go as soon as it says anything.
            logger.warning("the successor is lost, another one gets the shard", shard=shard.shard_id, to=to)
            self._passed_over.add((shard.shard_id, shard.successor))
        self._passed_over.discard((shard.shard_id, to))
        self._heard_at[shard.shard_id] = self._loop.time()
        shard.successor = to
        shard.holding = Holding.OFFERED
        self._queue.freeze(shard.shard_id)
        self._timers[shard.shard_id] = self._loop.call_later(CONFIRM_TIMEOUT, self._take_back, shard)
        logger.info("shard released", shard=shard.shard_id, to=to, waiting=len(shard.outstanding.events))

    def _take_back(self, shard: Shard) -> None:
        self._timers.pop(shard.shard_id, None)
        if shard.holding is not Holding.OFFERED:
            return
        logger.warning("the successor did not resume the shard, which is taken back", shard=shard.shard_id)
        shard.take_back(self._loop.time())
        self._queue.thaw(shard.shard_id)
        self._notify()

    async def _resumed(self, shard: Shard, _request: TransferRequest) -> TransferAnswer:
        if shard.holding is Holding.HELD:
            return TakenBack()
        self._give(shard)
        if self._spooler is not None:
            # Or a crash would make the giver offer it again, and take it back from one who was told that it is his.
            await self._spooler.flush([shard.outstanding])
        return Yours()

    def _give(self, shard: Shard) -> None:
        if shard.holding is Holding.OFFERED:
            shard.holding = Holding.GIVEN
            if (timer := self._timers.pop(shard.shard_id, None)) is not None:
                timer.cancel()
            self._on_change()

    async def _backlog(self, shard: Shard, request: TransferRequest) -> TransferAnswer:
        assert isinstance(request, FetchBacklog)
        if shard.holding is Holding.HELD:
            return TakenBack()
        # Nobody asks for the backlog of a session that he does not have: after a restart this may be the first word.
        self._give(shard)
        with suppress(TimeoutError):
            async with asyncio.timeout(IN_FLIGHT_PATIENCE):
                while shard.outstanding.in_flight:  # noqa: ASYNC110 -- once a transfer, and only while the bot is slow
                    await asyncio.sleep(_POLL)
        if shard.outstanding.in_flight:
            return Busy("requests to the bot are under way")
        return await self._part(shard, request.start)

    async def _part(self, shard: Shard, start: int) -> Backlog:
        now = self._loop.time()
        events: list[Event] = []
        size = 0
        waiting = list(shard.outstanding.events.values())
        for event in waiting[start : start + PART_EVENTS]:
            if events and size + len(event.raw) > PART_BYTES:
                break
            events.append(event)
            size += len(event.raw)
        end = start + len(events)
        return Backlog(
            tuple(events),
            tuple(now - event.received_at for event in events),
            end if end < len(waiting) else None,
            await self._letters(shard) if end >= len(waiting) else (),
        )

    async def _letters(self, shard: Shard) -> tuple[LetterSent, ...]:
        if self._spooler is None:
            return ()
        # One may have died after the shard was released: its request was under way.
        await self._spooler.flush([shard.outstanding], everything=True)
        return tuple(
            LetterSent(letter.event, letter.problem, letter.attempts, letter.died_wall)
            for letter in await self._spooler.dead_letters()
            if letter.event.shard_id == shard.shard_id
        )

    async def _confirm(self, shard: Shard, _request: TransferRequest) -> TransferAnswer:
        if shard.holding is Holding.HELD:
            return TakenBack()
        if shard.outstanding.in_flight:
            return Busy("requests to the bot are under way")
        self._give(shard)
        shard.holding = Holding.GONE
        self._queue.forget(shard.shard_id)
        if self._spooler is not None:
            await self._spooler.delete(shard.shard_id)
        logger.info("shard handed over", shard=shard.shard_id, to=shard.successor)
        self._on_change()
        return Yours()
