"""The pod's state put into the contract's words: the report to the operator and the answer of /readyz."""

from collections.abc import Iterable, Sequence
from typing import Literal, cast

from shardpod.contract import (
    Assignment,
    Checkpoint,
    Counters,
    HandoverObserved,
    HandoverState,
    Observed,
    QueueObserved,
    ShardObserved,
    SinkObserved,
    SpoolObserved,
)
from shardpod.handover import UNCONCERNED
from shardpod.protocol import ShardState
from shardpod.worker import ShardReport, WorkerReport

_AS_WANTED = (ShardState.CONNECTED, ShardState.RELEASED)
_NAMED_SHARDS = 3
"""How many shards a sentence names before it only counts them."""
RECONNECT_GRACE = 30.0
"""Seconds that a shard with a session may be without a connection before its pod counts as not ready: Discord asks
every shard to reconnect some times a day (op 7), and a resume takes seconds (fact sheet, section 3)."""


def observe(
    *,
    pod: str,
    instance: str = "",
    identity: str = "",
    worker_restarts: int = 0,
    assignment: Assignment | None,
    report: WorkerReport | None,
    stopping: bool,
    http_address: str | None,
    problem: str | None = None,
    worker_problem: str | None = None,
    all_running: bool = True,
) -> Observed:
    """Make the whole report of a pod; without an assignment it has only its name to tell.

    `problem`: why the assignment cannot be carried out. `worker_problem`: why a worker does not run. `identity`: of the
    sessions that this pod opens. `all_running`: every worker runs, so the report is all of it.
    """
    why_not_ready = explain_not_ready(
        assignment, report, stopping=stopping, problem=problem, worker_problem=worker_problem
    )
    if assignment is None or report is None:
        return Observed(
            pod=pod, instance=instance, stopping=stopping, http_address=http_address, why_not_ready=why_not_ready
        )
    return Observed(
        pod=pod,
        instance=instance,
        term=assignment.term,
        n=assignment.n,
        epoch=assignment.epoch,
        shard_count=assignment.shard_count,
        range=assignment.range,
        ownership=assignment.ownership,
        ready=why_not_ready is None,
        why_not_ready=why_not_ready,
        stopping=stopping,
        http_address=http_address,
        shards=tuple(_shard(shard, assignment.shard_count, identity) for shard in report.shards),
        queue=QueueObserved(
            events=report.queued_events,
            bytes=report.queued_bytes,
            oldest_age=report.oldest_age,
            events_longest=report.queued_longest,
        ),
        spool=SpoolObserved(events=report.spooled_events, bytes=report.spooled_bytes, problem=report.spool_problem),
        dead_letters=report.dead_letters,
        sink=SinkObserved(up=report.sink_up, problem=report.sink_problem),
        handover=_handover(report, all_running=all_running),
        watching_for=report.watching_for if all_running else None,
        loop_lag=report.loop_lag,
        voice=report.voice if all_running else None,
        voice_to_rejoin=report.voice_to_rejoin if all_running else None,
        counters=Counters(
            received=sum(report.received.values()),
            delivered=report.delivered,
            filtered=report.filtered,
            dropped={reason: sum(by_type.values()) for reason, by_type in report.dropped.items()},
            dead_lettered=report.dead_lettered,
            identifies=report.identifies,
            resumes=report.resumes,
            transfers=report.transfers,
            worker_restarts=worker_restarts,
        ),
    )


def explain_not_ready(
    assignment: Assignment | None,
    report: WorkerReport | None,
    *,
    stopping: bool,
    problem: str | None = None,
    worker_problem: str | None = None,
) -> str | None:
    """Say in words why the pod does not hold its sessions; None when it does."""
    if stopping:
        return "stopping"
    if problem is not None:
        return f"the assignment cannot be carried out: {problem}"
    if assignment is None or report is None:
        return "waiting for the operator's assignment"
    wanted = assignment.range.last_shard_id - assignment.range.first_shard_id + 1
    if len(report.shards) < wanted:
        why = f" ({worker_problem})" if worker_problem else ""
        return f"{len(report.shards)} of {wanted} shards have a worker, the others are being started{why}"
    waiting = [shard for shard in report.shards if shard.state not in _AS_WANTED]
    if all(_holds_session(shard) for shard in waiting):
        return None
    connected = len(report.shards) - len(waiting)
    return f"{connected} of {len(report.shards)} shards connected; {'; '.join(_explain(waiting))}"


def explain_reconnecting(observed: Observed) -> str | None:
    """Say in words which shards of a ready pod are between two connections; None when none is."""
    reconnecting = [shard for shard in observed.shards if ShardState(shard.state) not in _AS_WANTED]
    return f"reconnecting: {'; '.join(_explain(reconnecting))}" if reconnecting else None


def _holds_session(shard: ShardReport) -> bool:
    """Whether a shard that is not connected has a session, and had a connection a moment ago."""
    if shard.state is ShardState.REFUSED or shard.session_id is None or shard.connected_ago is None:
        return False
    return shard.connected_ago <= RECONNECT_GRACE


def _explain(shards: Sequence[ShardReport | ShardObserved]) -> Iterable[str]:
    for shard in shards[:_NAMED_SHARDS]:
        problem = f" ({shard.problem})" if shard.problem else ""
        yield f"shard {shard.shard_id} is {shard.state.replace('_', ' ')}{problem}"
    if len(shards) > _NAMED_SHARDS:
        yield f"and {len(shards) - _NAMED_SHARDS} more"


def _shard(shard: ShardReport, shard_count: int, identity: str) -> ShardObserved:
    return ShardObserved(
        shard_id=shard.shard_id,
        state=shard.state.value,
        guilds=shard.guilds,
        unavailable_guilds=shard.unavailable_guilds,
        all_guilds_loaded=shard.all_guilds_loaded,
        latency=shard.latency,
        session_id=shard.session_id,
        seq=shard.seq,
        acknowledged_seq=shard.settled_seq,
        checkpoint_local=_checkpoint(shard, shard.safe_seq, shard_count, identity),
        checkpoint_remote=_checkpoint(shard, shard.settled_seq, shard_count, identity),
        backlog=shard.backlog,
        gap=shard.gap,
        calm_for=shard.calm_for,
        close_code=shard.close_code,
        problem=shard.problem,
    )


def _handover(report: WorkerReport, *, all_running: bool) -> HandoverObserved | None:
    """The pod's part in a handover; a worker that does not run may be one that it concerns."""
    one = report.handover
    if one is None or (all_running and one.state == UNCONCERNED):
        return None
    role: Literal["giver", "taker"] = "giver" if one.role == "giver" else "taker"
    if not all_running:
        return HandoverObserved(number=one.number, role=role, state="lost", reason="a worker is being started again")
    return HandoverObserved(number=one.number, role=role, state=cast("HandoverState", one.state), reason=one.reason)


def _checkpoint(shard: ShardReport, seq: int | None, shard_count: int, identity: str) -> Checkpoint | None:
    if shard.session_id is None or seq is None or shard.resume_gateway_url is None:
        return None
    return Checkpoint(
        shard_id=shard.shard_id,
        shard_count=shard_count,
        session_id=shard.session_id,
        seq=seq,
        resume_gateway_url=shard.resume_gateway_url,
        identity=identity,
        guilds=shard.guilds,
    )
