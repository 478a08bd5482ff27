"""Takes shards from the pods that hold them: opens a socket up to Hello, asks for the session, resumes it at once.

What the session receives here waits until all that the giver had not delivered has come, so that every lane keeps its
order over the two pods. Until the giver is told that the backlog is safe here, it keeps its copy: whichever of the two
dies in between, the other can go on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from shardpod.delivery import LaneQueue
from shardpod.protocol import Session, ShardState
from shardpod.spool import StoredSession

from .link import LinkClosedError
from .messages import (
    AskPeer,
    Backlog,
    Busy,
    Confirm,
    Failed,
    FetchBacklog,
    LetterSent,
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
from .shard import Shard
from .spooler import Spooler

AT_ONCE = 2
"""Shards of a worker that are between two pods at the same time: the fewer, the shorter each one's gap."""
RESUME_PATIENCE = 4.0
"""Seconds to resume in; the giver takes the session back after five."""
_POLL = 0.002
"""Seconds between two looks whether a session is resumed: it takes milliseconds, once a transfer."""
RETRY = 0.2
"""Seconds before a peer that is busy, or cannot be reached, is asked again."""

logger = structlog.get_logger("transfer")

Ask = Callable[[AskPeer], Awaitable[TransferAnswer]]
"""Carries a request to a peer. Answers `Failed` when the peer cannot be reached."""


class Taking:
    """The taker's side, for all shards of a worker; implements the runners' `Predecessors`.

    `neighbours` are those that may hold our shards, by the operator's word; `checkpoints` are its own, which are
    resumed when none of them has the shard after all.
    """

    def __init__(
        self,
        shards: Mapping[int, Shard],
        queue: LaneQueue,
        spooler: Spooler | None,
        *,
        instance: str,
        identity: str,
        ask: Ask,
        notify: Callable[[], None],
        checkpoints: Mapping[int, StoredSession],
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
        self._checkpoints = checkpoints
        self._changed = asyncio.Event()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._held_places: set[int] = set()
        self._finishing: dict[int, asyncio.Task[None]] = {}
        self._loop = asyncio.get_running_loop()

    def set_neighbours(self, neighbours: tuple[Neighbour, ...]) -> None:
        self._neighbours = neighbours
        self._changed.set()
        self._changed = asyncio.Event()

    def has_neighbour(self, shard_id: int) -> bool:
        return self._neighbour(shard_id) is not None

    async def close(self) -> None:
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
        while (neighbour := self._neighbour(shard.shard_id)) is not None:
            asked_at = self._loop.time()
            answer = await self._call(neighbour, Release(shard.shard_id, self._instance))
            if isinstance(answer, Released):
                shard.runner.interrupted_at = asked_at
                return self._released(shard, neighbour, answer)
            if isinstance(answer, Nothing):
                break
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
        shard.deliver_arrived()
        return session

    # After the release: the session, then the backlog.

    async def _finish(self, shard: Shard, neighbour: Neighbour, begun_at: tuple[str | None, int] | None) -> None:
        try:
            kept = await self._settle_session(shard, neighbour)
        finally:
            self._leave(shard.shard_id)
        if not kept:
            logger.warning("the peer has taken its shard back, asking again", shard=shard.shard_id)
            shard.drop_taken(self._loop.time())
            return
        if begun_at is not None and begun_at[0] is not None:
            shard.outstanding.begin(begun_at[0], begun_at[1])
        if not await self._fetch_backlog(shard, neighbour):
            shard.drop_taken(self._loop.time())
            return
        shard.deliver_arrived()
        self._notify()
        self.transfers += 1
        await self._confirm(shard, neighbour)

    async def _settle_session(self, shard: Shard, neighbour: Neighbour) -> bool:
        """Say that the session is here once it is; false if the giver has taken it back meanwhile, or soon will."""
        give_up_at = self._loop.time() + RESUME_PATIENCE
        await asyncio.sleep(0)  # the runner gets the session in this turn of the loop
        while shard.protocol.session is not None and shard.protocol.state is not ShardState.CONNECTED:
            if self._loop.time() > give_up_at:
                return False
            await asyncio.sleep(_POLL)
        while True:
            answer = await self._call(neighbour, Resumed(shard.shard_id, self._instance))
            if isinstance(answer, TakenBack):
                return False
            if isinstance(answer, Yours | Nothing):
                return True
            if not self._still_there(neighbour):
                return True
            await self._pause()

    async def _fetch_backlog(self, shard: Shard, neighbour: Neighbour) -> bool:
        """Put what the giver had not delivered into the queue, in order; false if it has taken the shard back."""
        start: int | None = 0
        while start is not None:
            answer = await self._call(neighbour, FetchBacklog(shard.shard_id, self._instance, start))
            if isinstance(answer, Backlog):
                self._take_in(answer)
                start = answer.next
            elif isinstance(answer, TakenBack):
                return False
            elif isinstance(answer, Nothing):
                return True
            elif not self._still_there(neighbour):
                logger.error(
                    "the peer has gone before its backlog had come", shard=shard.shard_id, peer=neighbour.instance
                )
                return True
            else:
                shard.runner.waiting_for = f"waiting for the backlog of {neighbour.instance}: {_reason(answer)}"
                await self._pause()
        return True

    def _take_in(self, part: Backlog) -> None:
        now = self._loop.time()
        for event, age in zip(part.events, part.ages, strict=True):
            event.received_at = now - age
            event.spool_id = 0
            event.in_flight = event.dropped = False
            self._queue.put_whatever_the_bound(event)
        self._notify()
        for letter in part.letters:
            self._keep(letter, now)

    def _keep(self, letter: LetterSent, now: float) -> None:
        letter.event.received_at = now
        if self._spooler is not None:
            self._spooler.bury(letter.event, letter.problem, letter.attempts)

    async def _confirm(self, shard: Shard, neighbour: Neighbour) -> None:
        """All of it is safe here: what is not on disk by now has been delivered."""
        if self._spooler is not None and not await self._spooler.flush([shard.outstanding], everything=True):
            logger.warning("the backlog of a shard is in memory alone", shard=shard.shard_id)
        logger.info(
            "shard taken over", shard=shard.shard_id, of=neighbour.instance, gap=round(shard.runner.gap or 0, 3)
        )
        shard.runner.waiting_for = None
        while self._still_there(neighbour):
            answer = await self._call(neighbour, Confirm(shard.shard_id, self._instance))
            if isinstance(answer, Yours | Nothing):
                return
            await self._pause()

    # Peers.

    async def _call(self, neighbour: Neighbour, request: Transfer) -> TransferAnswer:
        # It may have been started again at another address since.
        address = next((one.address for one in self._neighbours if one.instance == neighbour.instance), None)
        if address is None:
            return Failed(f"{neighbour.instance} cannot be reached at the moment")
        try:
            return await self._ask(AskPeer(address, request))
        except (LinkClosedError, TimeoutError) as error:
            return Failed(str(error) or "no answer")

    def _neighbour(self, shard_id: int) -> Neighbour | None:
        return next((neighbour for neighbour in self._neighbours if neighbour.covers(shard_id)), None)

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
