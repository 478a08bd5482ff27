"""What a worker tells of itself: a snapshot, made when somebody asks and never per event."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from shardpod.handover import UNCONCERNED, HandoverReport
from shardpod.protocol import ShardState


class ShardReport(msgspec.Struct, frozen=True):
    """One shard. `latency` in seconds.

    What its session could resume from: `settled_seq`, all up to it acknowledged or given up; `safe_seq`, that or in the
    spool. `connected_ago`: seconds since it was last connected, 0 while it is, None before the first time. `backlog`:
    events that wait for a successor to fetch them. `gap`: seconds for which nothing was read at the last interruption,
    None before the first. `calm_for`: seconds for which it has been connected and read, None while it is not.
    """

    shard_id: int
    state: ShardState
    guilds: int
    unavailable_guilds: int
    all_guilds_loaded: bool
    latency: float | None
    session_id: str | None
    resume_gateway_url: str | None
    seq: int | None
    settled_seq: int | None
    close_code: int | None
    problem: str | None
    safe_seq: int | None = None
    connected_ago: float | None = None
    backlog: int = 0
    gap: float | None = None
    calm_for: float | None = None


class WorkerReport(msgspec.Struct, frozen=True):
    """All shards of a worker, its queue and its sink; the counts are since its start.

    `watching_for`: seconds for which what was received is remembered, None when no reshard runs. `loop_lag`: seconds
    that the loop was late at most lately, measured while a reshard runs. `not_ours`: events of the other shard set.
    `voice`: guilds where the bot's voice hangs on another pod's session, known to a pending set alone;
    `voice_to_rejoin`: those of them still to be brought over, None until that is ordered.
    """

    shards: tuple[ShardReport, ...] = ()
    queued_events: int = 0
    queued_bytes: int = 0
    queued_longest: int = 0
    oldest_age: float = 0.0
    spooled_events: int = 0
    spooled_bytes: int = 0
    spool_problem: str | None = None
    dead_letters: int = 0
    sink_up: bool = True
    sink_problem: str | None = None
    received: dict[str, int] = {}
    delivered: int = 0
    filtered: int = 0
    repeated: int = 0
    dropped: dict[str, dict[str, int]] = {}
    dead_lettered: int = 0
    identifies: int = 0
    resumes: int = 0
    sessions_lost: int = 0
    transfers: int = 0
    paused: bool = False
    not_ours: int = 0
    handover: HandoverReport | None = None
    watching_for: float | None = None
    loop_lag: float = 0.0
    voice: int | None = None
    voice_to_rejoin: int | None = None


_SUMMED = (
    "queued_events",
    "queued_bytes",
    "queued_longest",
    "spooled_events",
    "spooled_bytes",
    "dead_letters",
    *(
        _COUNTS := (
            "delivered",
            "filtered",
            "repeated",
            "dead_lettered",
            "identifies",
            "resumes",
            "sessions_lost",
            "not_ours",
        )
    ),
    "transfers",
)


def merged(reports: Iterable[WorkerReport]) -> WorkerReport:
    """One report of several workers: their shards in order, their counts summed; the worst of what is a state."""
    every = list(reports)
    return WorkerReport(
        shards=tuple(sorted((shard for one in every for shard in one.shards), key=lambda shard: shard.shard_id)),
        oldest_age=max((one.oldest_age for one in every), default=0.0),
        spool_problem=next((one.spool_problem for one in every if one.spool_problem), None),
        sink_up=all(one.sink_up for one in every),
        sink_problem=next((one.sink_problem for one in every if one.sink_problem), None),
        received=_added(one.received for one in every),
        dropped={
            reason: _added(one.dropped.get(reason, {}) for one in every)
            for reason in dict.fromkeys(reason for one in every for reason in one.dropped)
        },
        paused=any(one.paused for one in every),
        handover=_least_advanced([one.handover for one in every if one.shards]),
        watching_for=min((one.watching_for for one in every if one.watching_for is not None), default=None),
        loop_lag=max((one.loop_lag for one in every), default=0.0),
        voice=_known_sum([one.voice for one in every if one.shards]),
        voice_to_rejoin=_known_sum([one.voice_to_rejoin for one in every if one.shards]),
        **{name: sum(getattr(one, name) for one in every) for name in _SUMMED},
    )


_ADVANCE = (
    "lost",
    "undone",
    "expired",
    "rehearsing",
    "rehearsed",
    "fencing",
    "waiting",
    "fenced",
    "live",
    "settled",
    UNCONCERNED,
)
"""States of a handover: all workers together are as far as the first of these that one of them is in."""


def _least_advanced(reports: list[HandoverReport | None]) -> HandoverReport | None:
    """Of the newest handover that one of them knows. Who has not heard of it yet may be concerned, and is behind all.

    A worker without shards is one that has ended, and is not asked.
    """
    known = [one for one in reports if one is not None]
    newest = max((one.number for one in known), default=0)
    heard = [one for one in known if one.number == newest]
    least = min(heard, key=lambda one: _ADVANCE.index(one.state), default=None)
    if least is None or len(heard) == len(reports) or least.state in ("lost", "undone", "expired"):
        return least
    return HandoverReport(newest, least.role, "rehearsing", "a worker has not heard of it yet")


def _known_sum(counts: list[int | None]) -> int | None:
    """None as soon as one of them does not know. A worker without shards is one that has ended, and is not asked."""
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def counts_only(report: WorkerReport) -> WorkerReport:
    """What of a worker that has ended still belongs into its pod's report: its counts."""
    return WorkerReport(
        received=report.received,
        dropped=report.dropped,
        transfers=report.transfers,
        **{name: getattr(report, name) for name in _COUNTS},
    )


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)
