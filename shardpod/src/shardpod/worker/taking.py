"""Takes shards from the pods that hold them: opens a socket up to Hello, asks for the session, resumes it at once.

What the session receives here waits until all that the giver had not delivered has come, so that every lane keeps its
order over the two pods. Until the giver is told that the backlog is safe here, it keeps its copy: whichever of the two
dies in between, the other can go on.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Mapping

import structlog

from shardpod.delivery import LaneQueue
from shardpod.protocol import Event, Session, ShardState
from shardpod.spool import StoredSession

from .asking import Ask, ask_instance
from .dead_letters import DeadLetterOffice
from .messages import (
    Backlog,
    Busy,
    Confirm,
    Failed,
    FetchBacklog,
    Neighbour,
    Nothing,
    Release,
    Released,
    Resumed,
    TakenBack,
    Transfer,
    TransferAnswer,
    Yours,
)
from .shard import Holding, Shard
from .spooler import Spooler

AT_ONCE = 2
"""Shards of a worker that are between two pods at the same time: the fewer, the shorter each one's gap."""
RESUME_PATIENCE = 4.0
"""Seconds to resume in; the giver takes the session back after five."""
CONFIRM_AGAIN_AFTER = 5.0
"""Seconds after the start at which a giver that was not told, because of a crash, hears that its shard is safe."""
_TAKEN_BACK = "the peer has not left it to this pod"
_POLL = 0.002
"""Seconds between two looks whether a session is resumed: it takes milliseconds, once a transfer."""
TAKEOVER_AFTER = 30.0
"""Seconds without a word of the giver after which what arrived here is delivered, and its backlog when it comes."""
SAVE_AGAIN = 1.0
"""Seconds before a backlog that the disk did not take is written again."""
RETRY = 0.2
"""Seconds before a peer that is busy, or cannot be reached, is asked again."""

logger = structlog.get_logger("transfer")


class _TakenBackError(Exception):
    """The giver has resumed the session itself, or is about to, or it has given it to another."""


class Taking:
    """The taker's side, for all shards of a worker; implements the runners' `Predecessors`.

    `neighbours` are those that may hold our shards, by the operator's word; `checkpoints` are its own, which are
    resumed when none of them has the shard after all. `dropped`: a session that was got is another's again.
    """

    def __init__(
        self,
        shards: Mapping[int, Shard],
        queue: LaneQueue,
        spooler: Spooler | None,
        letters: DeadLetterOffice,
        *,
        instance: str,
        identity: str,
        ask: Ask,
        notify: Callable[[], None],
        dropped: Callable[[], None],
    ) -> None:
        self.transfers = 0
        self._neighbours: tuple[Neighbour, ...] = ()
        self._shards = shards
        self._queue = queue
        self._spooler = spooler
        self._instance = instance
        self._identity = identity
        self._ask = ask
        self._notify = notify
        self._letters = letters
        self._dropped = dropped
        self._checkpoints: dict[int, StoredSession] = {}
        self._changed = asyncio.Event()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._held_places: set[int] = set()
        self._finishing: dict[int, asyncio.Task[None]] = {}
        self._confirmed: set[tuple[int, str]] = set()
        self._checking: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def set_neighbours(
        self, neighbours: tuple[Neighbour, ...], checkpoints: Mapping[int, StoredSession] | None = None
    ) -> None:
        self._neighbours = neighbours
        self._checkpoints.update(checkpoints or {})
        if neighbours and self._checking is None:
            self._checking = self._loop.call_later(CONFIRM_AGAIN_AFTER, self._confirm_again)
        self._changed.set()
        self._changed = asyncio.Event()

    def checkpoint(self, shard_id: int) -> StoredSession | None:
        """What the operator knows of the shard's session."""
        return self._checkpoints.get(shard_id)

    def has_neighbour(self, shard_id: int) -> bool:
        return self._neighbour(shard_id) is not None

    async def close(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
        tasks = tuple(self._finishing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # shardpod.worker.Predecessors

    async def take(self, shard_id: int) -> Session | None:
        """Ask whoever holds the session to release it, until somebody does or nobody can. The socket is open."""
        shard = self._shards[shard_id]
        await self._enter(shard_id)
        try:
            session = await self._obtain(shard)
        except BaseException:
            self._leave(shard_id)
            raise
        return session

    async def _obtain(self, shard: Shard) -> Session | None:
        without: set[str] = set()
        while (neighbour := self._neighbour(shard.shard_id, without)) is not None:
            asked_at = self._loop.time()
            answer = await self._call(neighbour, Release(shard.shard_id, self._instance))
            if isinstance(answer, Released):
                shard.runner.interrupted_at = asked_at
                return self._released(shard, neighbour, answer)
            if isinstance(answer, Nothing):
                without.add(neighbour.instance)
                continue
            shard.runner.waiting_for = f"waiting for its session from {neighbour.instance}: {_reason(answer)}"
            # Others may go ahead meanwhile.
            self._leave(shard.shard_id)
            await self._pause()
            await self._enter(shard.shard_id)
        return self._without_a_giver(shard)

    def _released(self, shard: Shard, neighbour: Neighbour, answer: Released) -> Session | None:
        session = None
        if answer.session_id is not None and answer.identity == self._identity:
            session = Session(answer.session_id, answer.resume_gateway_url, answer.seq)
            shard.protocol.guilds.restore(answer.guilds, self._loop.time())
        begun_at = (answer.session_id, answer.seq) if session else None
        self._finishing[shard.shard_id] = self._loop.create_task(self._finish(shard, neighbour, begun_at))
        return session

    def _without_a_giver(self, shard: Shard) -> Session | None:
        """Nobody has it: what the operator knows of its session is all there is."""
        self._leave(shard.shard_id)
        stored = self._checkpoints.get(shard.shard_id)
        session = None
        if stored is not None and stored.session_id is not None and stored.identity == self._identity:
            session = Session(stored.session_id, stored.resume_gateway_url, stored.seq)
            shard.outstanding.begin(session.session_id, session.seq)
            shard.protocol.guilds.assume(stored.guild_count, self._loop.time())
        shard.deliver_arrived()
        return session

    # After the release: the session, then the backlog.

    def is_finishing(self, shard_id: int) -> bool:
        """Whether a peer has released the shard to us, so that it will be ours."""
        task = self._finishing.get(shard_id)
        return task is not None and not task.done()

    async def _finish(self, shard: Shard, neighbour: Neighbour, begun_at: tuple[str | None, int] | None) -> None:
        backlog: list[Event] = []
        try:
            await self._settle_session(shard, neighbour)
            self._leave(shard.shard_id)
            if begun_at is not None and begun_at[0] is not None:
                shard.outstanding.begin(begun_at[0], begun_at[1])
            rest = await self._fetch_backlog(shard, neighbour, 0, backlog, patience=TAKEOVER_AFTER)
            shard.unsaved = True
            shard.incomplete = rest is not None
            shard.deliver_arrived()
            self._notify()
            self.transfers += 1
            if rest is not None:
                rest = await self._fetch_late(shard, neighbour, rest, backlog)
            await self._save(shard, neighbour, backlog)
            if rest is None:
                await self._confirm(shard, neighbour)
        except _TakenBackError:
            self._drop(shard, _TAKEN_BACK)
        except Exception:
            # A fault that nobody foresaw must not leave the shard between two pods, where nobody would ever deliver it.
            logger.exception("a shard could not be taken over", shard=shard.shard_id, of=neighbour.instance)
            await self._pause()
            self._drop(shard, "it could not be taken over")
        finally:
            self._leave(shard.shard_id)

    def _drop(self, shard: Shard, why: str) -> None:
        """Let go of a session that is another's by the giver's word, or only half here, and ask anew.

        What of it is in the queue is delivered all the same: the other gets it as well, if Discord still has it.
        """
        if shard.holding not in (Holding.TAKING, Holding.HELD):
            return  # it has been given on, and its next holder is told the same
        logger.warning("asking anew for a shard", shard=shard.shard_id, why=why)
        shard.drop_taken(self._loop.time())
        self._loop.call_soon(self._dropped)  # by then this shard's task, which is about to end, has ended

    async def _fetch_late(self, shard: Shard, neighbour: Neighbour, start: int, backlog: list[Event]) -> int | None:
        """What comes now stands behind younger events; None if it has all come, else the giver has gone."""
        logger.error("a backlog is delivered late, out of order", shard=shard.shard_id, of=neighbour.instance)
        came = len(backlog)
        rest = await self._fetch_backlog(shard, neighbour, start, backlog, patience=math.inf)
        shard.late = backlog[came:]
        shard.incomplete = False
        return rest

    async def _settle_session(self, shard: Shard, neighbour: Neighbour) -> None:
        """Say that the session is here once it is; raises _TakenBackError if the giver has it again, or soon will."""
        begun = self._loop.time()
        await asyncio.sleep(0)  # the runner gets the session in this turn of the loop
        while shard.protocol.session is not None and shard.protocol.state is not ShardState.CONNECTED:
            if self._loop.time() - begun > RESUME_PATIENCE:
                raise _TakenBackError
            await asyncio.sleep(_POLL)
        while self._still_there(neighbour) and self._loop.time() - begun < TAKEOVER_AFTER:
            answer = await self._call(neighbour, Resumed(shard.shard_id, self._instance))
            if isinstance(answer, TakenBack):
                raise _TakenBackError
            if isinstance(answer, Yours | Nothing):
                return
            await self._pause()

    async def _fetch_backlog(
        self, shard: Shard, neighbour: Neighbour, start: int, backlog: list[Event], *, patience: float
    ) -> int | None:
        """Put what the giver had not delivered into the queue, in order, and into `backlog`. Raises _TakenBackError.

        Returns None when all has come, or where to go on if the giver cannot be reached for `patience` seconds.
        """
        heard_at = self._loop.time()
        while self._still_there(neighbour):
            answer = await self._call(neighbour, FetchBacklog(shard.shard_id, self._instance, start))
            if isinstance(answer, TakenBack):
                raise _TakenBackError
            if isinstance(answer, Nothing):
                return None
            if isinstance(answer, Backlog):
                self._take_in(answer)
                backlog += answer.events
                await self._letters.keep(answer.letters)
                heard_at = self._loop.time()
                if answer.next is None:
                    return None
                start = answer.next
                continue
            if isinstance(answer, Busy):
                heard_at = self._loop.time()
            elif self._loop.time() - heard_at > patience:
                return start
            shard.runner.waiting_for = f"waiting for the backlog of {neighbour.instance}: {_reason(answer)}"
            await self._pause()
        logger.error("the peer has gone before its backlog had come", shard=shard.shard_id, of=neighbour.instance)
        return start

    def _take_in(self, part: Backlog) -> None:
        now = self._loop.time()
        for event, age in zip(part.events, part.ages, strict=True):
            event.received_at = now - age
            event.spool_id = 0
            event.in_flight = event.dropped = False
            self._queue.put_whatever_the_bound(event)
        self._notify()

    async def _save(self, shard: Shard, neighbour: Neighbour, backlog: list[Event]) -> None:
        """First what was fetched, then the session: whoever finds that on disk after a crash needs no giver."""
        if self._spooler is not None:
            await self._save_backlog(shard, neighbour, backlog, self._spooler)
        shard.unsaved = False
        if self._spooler is not None:
            await self._spooler.flush([shard.outstanding], everything=True)
        logger.info(
            "shard taken over", shard=shard.shard_id, of=neighbour.instance, gap=round(shard.runner.gap or 0, 3)
        )
        shard.runner.waiting_for = None

    async def _save_backlog(self, shard: Shard, neighbour: Neighbour, backlog: list[Event], spooler: Spooler) -> None:
        """Return when all of it is on disk or delivered, or the giver with its copy has gone."""
        complained = False
        while not await spooler.flush([shard.outstanding], everything=True) and self._still_there(neighbour):
            backlog = [event for event in backlog if self._queue.is_waiting(event)]
            if not backlog and not spooler.has_unwritten_letters(shard.shard_id):
                return
            if not complained:
                logger.warning("the backlog of a shard is in memory alone, the giver keeps it", shard=shard.shard_id)
            complained = True
            # To the giver a successor that says nothing is a lost one.
            if isinstance(await self._call(neighbour, Resumed(shard.shard_id, self._instance)), TakenBack):
                raise _TakenBackError
            await asyncio.sleep(SAVE_AGAIN)

    async def _confirm(self, shard: Shard, neighbour: Neighbour) -> None:
        """All of it is safe here: what is not on disk has been delivered. Until it hears so, the giver keeps it.

        Raises _TakenBackError.
        """
        self._confirmed.add((shard.shard_id, neighbour.instance))
        while self._still_there(neighbour):
            answer = await self._call(neighbour, Confirm(shard.shard_id, self._instance))
            if isinstance(answer, TakenBack):
                raise _TakenBackError
            if isinstance(answer, Yours | Nothing):
                return
            await self._pause()

    async def _confirm_late(self, shard: Shard, neighbour: Neighbour) -> None:
        try:
            await self._confirm(shard, neighbour)
        except _TakenBackError:
            self._drop(shard, _TAKEN_BACK)

    def _confirm_again(self) -> None:
        """A shard that began by its own session may have been taken over before a crash, and not confirmed."""
        self._checking = None
        for shard in self._shards.values():
            neighbour = self._neighbour(shard.shard_id)
            if (
                neighbour is None
                or shard.holding is not Holding.HELD
                or not shard.began_by_itself
                or self.is_finishing(shard.shard_id)
                or (shard.shard_id, neighbour.instance) in self._confirmed
            ):
                continue
            self._finishing[shard.shard_id] = self._loop.create_task(self._confirm_late(shard, neighbour))
        if self._neighbours:
            self._checking = self._loop.call_later(CONFIRM_AGAIN_AFTER, self._confirm_again)

    # Peers.

    async def _call(self, neighbour: Neighbour, request: Transfer) -> TransferAnswer:
        # It may have been started again at another address since.
        address = next((one.address for one in self._neighbours if one.instance == neighbour.instance), None)
        return await ask_instance(self._ask, neighbour.instance, address, request)

    def _neighbour(self, shard_id: int, without: Collection[str] = ()) -> Neighbour | None:
        return next((one for one in self._neighbours if one.covers(shard_id) and one.instance not in without), None)

    def _still_there(self, neighbour: Neighbour) -> bool:
        return any(known.instance == neighbour.instance for known in self._neighbours)

    async def _pause(self) -> None:
        changed = self._changed
        try:
            async with asyncio.timeout(RETRY):
                await changed.wait()
        except TimeoutError:
            pass

    async def _enter(self, shard_id: int) -> None:
        await self._places.acquire()
        self._held_places.add(shard_id)

    def _leave(self, shard_id: int) -> None:
        if shard_id in self._held_places:
            self._held_places.discard(shard_id)
            self._places.release()


def _reason(answer: TransferAnswer) -> str:
    if isinstance(answer, Busy):
        return answer.reason
    return answer.problem if isinstance(answer, Failed) else type(answer).__name__
