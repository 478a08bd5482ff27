"""One shard in this worker: its session's runner, what it has outstanding, and whose it is at the moment."""

from collections.abc import Callable
from enum import StrEnum
from random import Random

import msgspec

from shardpod.delivery import LaneQueue, Outstanding
from shardpod.protocol import Event, Session, SessionSettings, ShardProtocol, ShardState
from shardpod.spool import StoredSession
from shardpod.transport import Connector

from .permits import Permits, Predecessors
from .report import ShardReport
from .shard_file import no_session
from .shard_runner import ShardRunner


class Holding(StrEnum):
    """Whose the shard is. Only in `HELD` are its events delivered from here."""

    TAKING = "taking"
    """A peer's, until its session and its backlog have come; what the session receives here waits."""
    HELD = "held"
    """Ours."""
    OFFERED = "offered"
    """Released to a successor that has not said yet that it resumed the session."""
    GIVEN = "given"
    """The successor's, which has still to fetch the backlog."""
    GONE = "gone"
    """The successor's. Nothing of it is here any more."""


class Sources:
    """What every runner of this worker needs, and nothing else: how sessions are opened."""

    def __init__(
        self,
        session: SessionSettings,
        shard_count: int,
        *,
        connector: Connector,
        permits: Permits,
        predecessors: Predecessors,
        random: Random,
        on_change: Callable[[], None],
    ) -> None:
        self.session = session
        self.shard_count = shard_count
        self.connector = connector
        self.permits = permits
        self.predecessors = predecessors
        self.random = random
        self.on_change = on_change


class Shard:
    """A shard of this worker over its changes of hands.

    `arrived` collects events while it is being taken. While it is given away, `given_session` and `last_guilds` are
    what `successor` gets, or what is gone on with if it does not take it. `unsaved`: it was taken over, and what the
    giver had not delivered is not all on disk yet. `incomplete`: it was gone on with before all of that had come;
    `late` is what came then, behind younger events. `began_by_itself`: by a session that needed no giver any more.
    """

    def __init__(
        self, shard_id: int, sources: Sources, queue: LaneQueue, *, on_event: Callable[[Event], None], identity: str
    ) -> None:
        self.shard_id = shard_id
        self.outstanding: Outstanding = queue.shard(shard_id)
        self.holding = Holding.HELD
        self.successor: str | None = None
        self.unsaved = False
        self.incomplete = False
        self.late: list[Event] = []
        self.began_by_itself = False
        self.arrived: list[Event] = []
        self.let_go = False
        self.given_session: Session | None = None
        self.last_guilds = b""
        self._sources = sources
        self._on_event = on_event
        self._identity = identity
        self._guild_changes = -1
        self._counts = {"identifies": 0, "resumes": 0, "sessions_lost": 0, "repeated": 0}
        self.runner = self._make_runner(None)

    @property
    def protocol(self) -> ShardProtocol:
        return self.runner.protocol

    def counted(self, name: str) -> int:
        """Identifies, resumes, sessions lost or repeated dispatches since the worker's start, over all runners."""
        return self._counts[name] + self._count_of_runner(name)

    def start(self, session: Session | None, *, guilds: bytes = b"", now: float, awaits_transfer: bool = False) -> None:
        """Begin to hold the shard: by resuming `session`, with `awaits_transfer` by a peer's, else by identifying."""
        self._replace_runner(session)
        self.began_by_itself = session is not None
        self.protocol.awaits_transfer = awaits_transfer
        if guilds:
            self.protocol.guilds.restore(guilds, now)
        if awaits_transfer:
            self.holding = Holding.TAKING
            self.runner.on_event = self.arrived.append
        else:
            self.holding = Holding.HELD
        self.runner.start()

    def release(self) -> Session | None:
        """Stop receiving, for a successor to go on where this ends; the session is remembered for `take_back`."""
        self.last_guilds = self.protocol.guilds.snapshot()
        self.given_session = self.runner.release()
        self.unsaved = False  # what of a former giver's is not on disk goes on with all the rest
        return self.given_session

    def was_released(self, session: Session | None, guilds: bytes, *, to: str, confirmed: bool) -> None:
        """Before this process was started, `to` was given the session; it may not have said yet that it has it."""
        self.given_session, self.last_guilds, self.successor = session, guilds, to
        self.holding = Holding.GIVEN if confirmed else Holding.OFFERED

    def take_back(self, now: float) -> None:
        """The successor did not resume the session: go on with it."""
        self.successor = None
        self.start(self.given_session, guilds=self.last_guilds, now=now)

    def leave_alone(self) -> None:
        """Stop resuming the session, which stays what it is, until `take_up_again`."""
        self.let_go = True
        self.given_session, self.last_guilds = self.protocol.session, self.protocol.guilds.snapshot()
        self.runner.stop()

    def take_up_again(self, now: float) -> None:
        """There is an operator again, and it has not given the session to another."""
        self.let_go = False
        self.start(self.given_session, guilds=self.last_guilds, now=now)

    def drop_taken(self, now: float) -> None:
        """The peer has taken back what it gave: what arrived here meanwhile, it gets as well. Wait for it anew."""
        if self.holding is Holding.HELD:
            self._counts["sessions_lost"] += 1  # what it gets from now on never comes here, as a handover has to know
        self.unsaved = self.incomplete = False
        self.late.clear()
        self.arrived.clear()
        self.runner.release()
        self.start(None, now=now, awaits_transfer=True)

    def deliver_arrived(self) -> None:
        """All that came before is in the queue: now what arrived meanwhile, and from now on each as it comes."""
        self.holding = Holding.HELD
        arrived, self.arrived = self.arrived, []
        self.runner.on_event = self._on_event
        for event in arrived:
            self._on_event(event)

    def to_store(self) -> StoredSession:
        """The session as it is to be resumed after a crash, without its `seq`, which the queue knows."""
        shard_count = self._sources.shard_count
        session = self.given_session if self.holding in (Holding.OFFERED, Holding.GIVEN) else self.protocol.session
        # Until all that the giver had is on disk here, its copy is the one to go on from.
        taking = self.unsaved or self.holding is Holding.TAKING
        if session is None or taking or session.session_id != self.outstanding.session_id:
            stored = no_session(shard_count, self._identity)
        else:
            stored = StoredSession(
                session_id=session.session_id,
                resume_gateway_url=session.resume_gateway_url,
                seq=0,
                shard_count=shard_count,
                identity=self._identity,
                guilds=self._guilds(),
            )
        if self.holding in (Holding.OFFERED, Holding.GIVEN):
            return _given(stored, self.successor, confirmed=self.holding is Holding.GIVEN)
        return stored

    def report(self, now: float) -> ShardReport:
        protocol, session = self.protocol, self.protocol.session
        ours = session is not None and self.outstanding.session_id == session.session_id and self._has_all()
        gone = self.holding in (Holding.GIVEN, Holding.GONE)
        return ShardReport(
            shard_id=self.shard_id,
            state=ShardState.RELEASED if gone else self.runner.reported_state,
            guilds=protocol.guilds.count,
            unavailable_guilds=protocol.guilds.unavailable,
            all_guilds_loaded=protocol.guilds.all_loaded(now),
            latency=protocol.latency,
            session_id=session.session_id if session else None,
            resume_gateway_url=session.resume_gateway_url if session else None,
            seq=session.seq if session else None,
            settled_seq=self.outstanding.settled_seq if ours else None,
            safe_seq=self.outstanding.safe_seq if ours else None,
            close_code=protocol.close_code,
            problem=self.runner.waiting_for or protocol.problem,
            connected_ago=self.runner.connected_ago(now),
            # Never 0 before the successor has confirmed: dead letters wait for it as well, and the operator for this.
            backlog=max(1, len(self.outstanding.events)) if self.holding is Holding.GIVEN else 0,
            gap=self.runner.gap,
            calm_for=self.runner.calm_for(now),
        )

    def _has_all(self) -> bool:
        """Whether what the session received and is not settled is all in the queue, in order.

        Else what is settled cannot be told by what waits, and a checkpoint would pass what is still to come.
        """
        self.late = [event for event in self.late if id(event) in self.outstanding.events]
        return self.holding is not Holding.TAKING and not self.incomplete and not self.late

    def _guilds(self) -> bytes:
        """A snapshot, made anew only when something has changed: it may be 50 KB."""
        if self.holding in (Holding.OFFERED, Holding.GIVEN):
            return self.last_guilds
        guilds = self.protocol.guilds
        if guilds.changes != self._guild_changes:
            self.last_guilds, self._guild_changes = guilds.snapshot(), guilds.changes
        return self.last_guilds

    def _replace_runner(self, session: Session | None) -> None:
        for name in self._counts:
            self._counts[name] += self._count_of_runner(name)
        self._guild_changes = -1
        self.runner = self._make_runner(session, before=self.runner)

    def _make_runner(self, session: Session | None, before: ShardRunner | None = None) -> ShardRunner:
        sources = self._sources
        runner = ShardRunner(
            ShardProtocol(self.shard_id, sources.shard_count, sources.session, random=sources.random, session=session),
            connector=sources.connector,
            permits=sources.permits,
            predecessors=sources.predecessors,
            on_event=self._on_event,
            on_change=sources.on_change,
        )
        if before is not None:
            runner.gap, runner.interrupted_at = before.gap, before.interrupted_at
            runner.read(on=before.reads)
        if before is not None and session is not None:
            # As far as is known here the same one goes on; what it missed meanwhile is replayed to the new runner.
            runner.protocol.hearing.silent_since = before.protocol.hearing.silent_since
        return runner

    def _count_of_runner(self, name: str) -> int:
        count: int = getattr(self.protocol if name == "repeated" else self.runner, name)
        return count


def _given(stored: StoredSession, successor: str | None, *, confirmed: bool) -> StoredSession:
    return msgspec.structs.replace(stored, released_to=successor, confirmed=confirmed)
