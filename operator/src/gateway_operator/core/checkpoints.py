"""The sessions that the operator knows: what a shard resumes from when its pod is gone with all it had.

Only pods say what may be resumed; here it is kept, whatever becomes of them. A report without a session takes nothing
away: the shard may be on its way back to the one it had.
"""

from collections.abc import Collection, Iterable, Mapping

from shardpod.contract import Checkpoint, Observed

Checkpoints = Mapping[tuple[int, int], Checkpoint]
"""The last remote checkpoint by (shard_id, shard_count)."""


def with_reports(known: Checkpoints, reports: Iterable[Observed]) -> Checkpoints:
    """What is known after these reports, given in the order in which they came."""
    result = dict(known)
    for observed in reports:
        for shard in observed.shards:
            told = shard.checkpoint_remote
            if told is None:
                continue
            before = result.get(key := (told.shard_id, told.shard_count))
            same_session = before is not None and before.session_id == told.session_id
            # Who gave a shard away speaks of the past: its successor may have another session by now.
            if shard.state == "released" and before is not None and not same_session:
                continue
            # Two instances may speak of one session during a transfer: what is settled stays settled.
            if not same_session or before is None or told.seq > before.seq:
                result[key] = told
    return result


def of_live_sets(known: Checkpoints, shard_counts: Collection[int]) -> Checkpoints:
    """Without the sessions of shard sets that are over."""
    return {key: kept for key, kept in known.items() if key[1] in shard_counts}


def another_session(before: Checkpoints, after: Checkpoints) -> bool:
    """Whether what is stored would resume a session that is not the present one: this must be stored at once."""
    return {key: kept.session_id for key, kept in before.items()} != {
        key: kept.session_id for key, kept in after.items()
    }
