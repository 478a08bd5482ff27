"""What the operator keeps of a reshard between two passes: its record, the leases that follow from it, and the log."""

from dataclasses import replace

import structlog

from .core.leases import LeaseBook
from .core.reshard_record import ReshardRecord
from .core.world import Plan, Reshard, ReshardRequest
from .seams import Memory

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Resharding:
    """The record is stored before a pass acts on it. `now` is on the operator's monotonic clock, `wall_now` a date."""

    def __init__(self, memory: Memory, leases: LeaseBook, *, now: float, wall_now: float) -> None:
        self._memory = memory
        self._leases = leases
        self._stored = memory.remembered_reshard()
        self.record = self._stored
        if (reshard := self._stored.reshard) is not None:
            # While no operator was there nothing could move, and nobody is to blame for that.
            self.record = replace(self._stored, reshard=replace(reshard, progressed_at=wall_now))
            if (handover := reshard.fenced) is not None:
                leases.resume(handover.number, lasts=reshard.windows.lease, now=now)

    @property
    def shard_counts(self) -> frozenset[int]:
        """Of the pending set, if its pods run."""
        reshard = self.record.reshard
        return frozenset({reshard.pending.shard_count} if reshard is not None and reshard.live else ())

    def ask(self, request: ReshardRequest) -> None:
        """What a person wants from now on."""
        self._store(replace(self.record, request=request))

    def commits(self, wanted: Plan) -> bool:
        """Whether a range changes its owner by this plan: its sessions must be stored first."""
        before = self.record.reshard
        return before is not None and wanted.reshard is not None and before.handed != wanted.reshard.handed

    def remember(self, wanted: Plan) -> None:
        """What is planned, for the memory to store."""
        before = self.record
        self._store(
            ReshardRecord(
                reshard=wanted.reshard,
                request=wanted.request,
                last_epoch=wanted.last_epoch,
                last_handover=wanted.last_handover,
                aborted=wanted.aborted,
            )
        )
        _tell(before.reshard, wanted)

    def follow(self, wanted: Plan) -> None:
        """Let leases be granted by what is planned: only once it is stored."""
        reshard = wanted.reshard
        fenced = reshard.fenced if reshard is not None else None
        self._leases.follow(
            fenced.number if fenced is not None else None,
            givers=wanted.givers,
            takers=wanted.takers,
            lasts=reshard.windows.lease if reshard is not None else 0.0,
            closed=reshard is not None and reshard.giving_back is not None,
        )

    def _store(self, record: ReshardRecord) -> None:
        if record != self._stored:
            self._memory.remember_reshard(record)
        self._stored = self.record = record


def _tell(before: Reshard | None, wanted: Plan) -> None:
    """One line for each thing that a person may later look for."""
    after = wanted.reshard
    if before is None or after is None or before.pending.epoch != after.pending.epoch:
        if before is not None:
            _tell_of_the_end(before, wanted)
        if after is not None:
            _tell_of_the_phase(after)
        return
    if before.phase != after.phase:
        _tell_of_the_phase(after)
    _tell_of_the_handover(before, after)


def _tell_of_the_phase(reshard: Reshard) -> None:
    more = {} if reshard.aborted_because is None else {"given_up_because": reshard.aborted_because}
    logger.info(
        "reshard",
        phase=reshard.phase,
        to=reshard.pending.shard_count,
        epoch=reshard.pending.epoch,
        reason=reshard.reason,
        **more,
    )


def _tell_of_the_end(before: Reshard, wanted: Plan) -> None:
    done = wanted.active is not None and wanted.active.epoch == before.pending.epoch
    logger.info(
        "reshard done" if done else "reshard given up",
        shards=wanted.active.shard_count if wanted.active else 0,
        to=before.pending.shard_count,
        epoch=before.pending.epoch,
    )


def _tell_of_the_handover(before: Reshard, after: Reshard) -> None:
    if after.fenced is not None and before.fenced is None:
        logger.info("handover begun", **_handover(after))
    if after.giving_back is not None and before.giving_back is None:
        logger.warning("handover is being given back", because=after.giving_back, **_handover(after))
    if before.fenced is not None and after.fenced is None:
        done = before.handed != after.handed
        logger.info(
            "handover committed" if done else "handover given back", **_handover(before), ranges=len(after.handed)
        )


def _handover(reshard: Reshard) -> dict[str, int]:
    handover = reshard.handover
    assert handover is not None, "it is on its way"
    return {
        "number": handover.number,
        "first_shard_id": handover.range.first_shard_id,
        "last_shard_id": handover.range.last_shard_id,
        "from_epoch": handover.from_epoch,
        "to_epoch": handover.to_epoch,
    }
