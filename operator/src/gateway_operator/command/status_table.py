"""Lays out a status for a terminal: what matters in a line, what is wrong in words, then a row a shard."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway_operator.core.spoken import spoken_duration
from gateway_operator.core.standstill import PAUSED_BY_SPEC_REASON, RESHARD_PAUSED_REASON
from gateway_operator.core.status_model import Condition, ConditionStatus, GatewayStatus, Phase, ShardRow

from .reshard_words import reshard_line

_PHASE_STYLES = {Phase.RUNNING: "green", Phase.FAILED: "red"}
_STATE_STYLES = {"connected": "green", "refused": "red"}
_UNSETTLED_STYLE = "yellow"


DEAD_LETTERS = "`discord-gateway dead-letters list`"
"""Where to look at them."""


def status_view(
    status: GatewayStatus, *, wide: bool, now: datetime, dead_letters: str = DEAD_LETTERS
) -> RenderableType:
    """The whole view of one gateway; `wide` adds to each shard what is wrong with it. No row known: no table."""
    reshard = () if status.reshard is None else (reshard_line(status.reshard, now),)
    words = [Text(f"  {message}", style=_UNSETTLED_STYLE) for message in (*reshard, *_not_fine(status, dead_letters))]
    table = (_table(status.shard_rows, wide=wide),) if status.shard_rows else ()
    return Group(_summary(status, now), *words, Text(), *table)


def _summary(status: GatewayStatus, now: datetime) -> Text:
    parts = [
        f"{status.ready_shards:,} of {_held(status):,} shards ready",
        f"{status.guilds:,} guilds",
        _identifies_left(status, now),
    ]
    phase = Text(status.phase, style=_PHASE_STYLES.get(status.phase, _UNSETTLED_STYLE))
    paused = (" (paused)", _UNSETTLED_STYLE) if _is_paused(status) else ""
    return Text.assemble((status.name, "bold"), ": ", phase, paused, ", ", ", ".join(parts))


def _is_paused(status: GatewayStatus) -> bool:
    """The whole gateway: that only a reshard is has its place in the reshard's line."""
    return any(one.reason == PAUSED_BY_SPEC_REASON for one in status.conditions)


def _held(status: GatewayStatus) -> int:
    """Shards of the active set that this gateway holds, which may be a part of it."""
    active = status.active
    if status.shard_rows or active is None:
        return sum(active is None or row.epoch == active.epoch for row in status.shard_rows) or status.shards
    return sum(cut.last_shard_id - cut.first_shard_id + 1 for cut in active.ranges)


def _identifies_left(status: GatewayStatus, now: datetime) -> str:
    limit = status.session_start_limit
    if limit is None:
        return "identifies left not known yet"
    left = f"{limit.remaining:,} of {limit.total:,} identifies left"
    if limit.reset_at is None:
        return left
    return f"{left} (all again in {spoken_duration((limit.reset_at - now).total_seconds())})"


def _not_fine(status: GatewayStatus, dead_letters: str) -> Iterator[str]:
    """Ready is left out where another condition says why it is not."""
    telling = [condition for condition in status.conditions if condition.type != "Ready" and not _is_fine(condition)]
    if status.reshard is not None:
        telling = [condition for condition in telling if condition.reason != RESHARD_PAUSED_REASON]
    if not telling and status.condition("Ready").status is not ConditionStatus.TRUE:
        telling = [status.condition("Ready")]
    yield from dict.fromkeys(condition.message for condition in telling)
    if status.dead_letters:
        events = "1 event" if status.dead_letters == 1 else f"{status.dead_letters:,} events"
        yield f"{events} set aside as the bot kept refusing: see {dead_letters}"


def _is_fine(condition: Condition) -> bool:
    match condition.type:
        case "Progressing":
            # A reshard has a line of its own.
            return condition.reason in ("Complete", "Resharding", "ReshardHeldBack")
        case "Resharding":
            return condition.reason != "ReshardHeldBack"
        case "Degraded" | "Paused":
            return condition.status is ConditionStatus.FALSE
        case _:
            return condition.status is ConditionStatus.TRUE


def _table(rows: tuple[ShardRow, ...], *, wide: bool) -> Table:
    """While a reshard runs there are rows of two sets, told apart by how many shards they have."""
    two_sets = len({row.epoch for row in rows}) > 1
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("SHARD", *(["OF"] if two_sets else []), "STATE", "GUILDS", "LATENCY", "POD QUEUE", "POD"):
        numeric = title in ("SHARD", "OF", "GUILDS", "LATENCY", "POD QUEUE")
        table.add_column(title, justify="right" if numeric else "left", no_wrap=True)
    if wide:
        table.add_column("PROBLEM", overflow="fold")
    for row in rows:
        table.add_row(*_cells(row, two_sets=two_sets, wide=wide))
    return table


def _cells(row: ShardRow, *, two_sets: bool, wide: bool) -> Iterator[RenderableType]:
    yield str(row.shard_id)
    if two_sets:
        yield str(row.shard_count)
    yield Text(row.state.replace("_", " "), style=_STATE_STYLES.get(row.state, _UNSETTLED_STYLE))
    yield f"{row.guilds:,}"
    yield "" if row.latency_ms is None else f"{row.latency_ms:.0f} ms"
    yield f"{row.queue_events:,}"
    yield Text(row.pod)
    if wide:
        # Text, as everything a pod says: brackets in it are no markup.
        yield Text(row.problem or "")
