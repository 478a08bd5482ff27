"""A reshard in lines for a terminal: what it would do and cost, and how far it is."""

from collections.abc import Iterator
from datetime import datetime

from gateway_operator.core.reshard_order import ReshardPreview
from gateway_operator.core.spoken import spoken_duration
from gateway_operator.core.status_model import ReshardStatus

RANGES_SHOWN = 8


def preview_lines(preview: ReshardPreview) -> Iterator[str]:
    """What `reshard --plan` prints."""
    if preview.to is None:
        yield f"nothing to do: {preview.message}"
        return
    yield f"from {preview.shards} to {preview.to} shards ({preview.message})"
    yield f"identifies: {_identifies(preview)}"
    yield f"handed over in {_ranges(preview)}"
    yield (
        f"time: about {spoken_duration(preview.seconds)}; {spoken_duration(preview.identifying)} to identify "
        f"(max_concurrency {preview.max_concurrency}), {spoken_duration(preview.watching)} to compare both sets, "
        f"{preview.settling:g} s between the ranges, {preview.draining:g} s to drain"
    )
    if preview.why_not_now is not None:
        yield f"not now: {preview.why_not_now}"


def reshard_line(reshard: ReshardStatus, now: datetime) -> str:
    """What `status` says of it."""
    parts = [f"reshard {reshard.from_} → {reshard.to}: {reshard.phase}", reshard.progress]
    if reshard.waiting_for is not None:
        parts.append(f"waiting: {reshard.waiting_for}")
    elif reshard.paused:
        parts.append("paused")
    if reshard.eta is not None and reshard.eta > now:
        parts.append(f"done in about {spoken_duration((reshard.eta - now).total_seconds())}")
    return ", ".join(parts)


def _identifies(preview: ReshardPreview) -> str:
    needed = f"{preview.identifies} ({preview.to} shards, the others for restarts meanwhile)"
    if preview.identifies_left is None:
        return f"{needed}; how many are left is not known yet"
    return f"{needed}; {preview.identifies_left} are left, {preview.identifies_kept} of them kept back"


def _ranges(preview: ReshardPreview) -> str:
    shown = ", ".join(f"{cut.first_shard_id}-{cut.last_shard_id}" for cut in preview.ranges[:RANGES_SHOWN])
    more = ", …" if len(preview.ranges) > RANGES_SHOWN else ""
    count = "1 range" if len(preview.ranges) == 1 else f"{len(preview.ranges)} ranges"
    return f"{count} of the new shards, a pod each: {shown}{more}"
