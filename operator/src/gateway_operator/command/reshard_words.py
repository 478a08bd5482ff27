"""A reshard in lines for a terminal: what it would do and cost, and how far it is."""

from collections.abc import Iterator
from datetime import datetime

from gateway_operator.core.reshard_order import ReshardPreview
from gateway_operator.core.reshard_step import PAUSED, PAUSED_BY_SPEC, SUSPENDED
from gateway_operator.core.spoken import spoken_duration
from gateway_operator.core.status_model import ReshardStatus
from shardpod.contract import ShardRange

RANGES_SHOWN = 8


def preview_lines(preview: ReshardPreview) -> Iterator[str]:
    """What `reshard --plan` prints."""
    if preview.to is None:
        yield f"nothing to do: {preview.message}"
        return
    yield f"from {preview.shards:,} to {_shards(preview.to)} ({preview.message})"
    yield f"identifies: {_identifies(preview)}"
    yield f"handed over in {_ranges(preview)}"
    yield (
        f"time: about {spoken_duration(preview.seconds)}; {spoken_duration(preview.identifying)} to identify "
        f"(max_concurrency {preview.max_concurrency}), {spoken_duration(preview.watching)} to compare both sets, "
        f"{spoken_duration(preview.settling)} to hand over, {spoken_duration(preview.draining)} to drain"
    )
    if preview.why_not_now is not None:
        yield f"{'refused' if preview.refused else 'not now'}: {preview.why_not_now}"


def reshard_line(reshard: ReshardStatus, now: datetime) -> str:
    """What `status` says of it."""
    parts = [f"reshard {reshard.from_:,} → {reshard.to:,}: {reshard.phase}", reshard.progress]
    if reshard.waiting_for is not None:
        parts.append(f"waiting: {reshard.waiting_for}")
    if reshard.paused and reshard.waiting_for not in (PAUSED, PAUSED_BY_SPEC, SUSPENDED):
        parts.append("paused")
    if reshard.eta is not None and reshard.eta > now:
        parts.append(f"done in about {spoken_duration((reshard.eta - now).total_seconds())}")
    return ", ".join(parts)


def _identifies(preview: ReshardPreview) -> str:
    needed = f"{preview.identifies:,} ({_shards(preview.to)}, the others for restarts meanwhile)"
    if preview.identifies_left is None:
        return f"{needed}; how many are left is not known yet"
    return f"{needed}; {preview.identifies_left:,} are left, {preview.identifies_kept:,} of them kept back"


def _ranges(preview: ReshardPreview) -> str:
    shown = ", ".join(_range(cut) for cut in preview.ranges[:RANGES_SHOWN])
    more = ", …" if len(preview.ranges) > RANGES_SHOWN else ""
    count = "1 range" if len(preview.ranges) == 1 else f"{len(preview.ranges):,} ranges"
    return f"{count} of the new shards, a pod each: {shown}{more}"


def _range(cut: ShardRange) -> str:
    first, last = cut.first_shard_id, cut.last_shard_id
    return f"{first}" if first == last else f"{first}-{last}"


def _shards(count: int | None) -> str:
    return "1 shard" if count == 1 else f"{count:,} shards"
