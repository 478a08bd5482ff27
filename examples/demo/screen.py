"""What the demo shows: a live screen on a terminal, plain lines elsewhere."""

import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

PLAIN_LINE_INTERVAL = 2.0
"""Seconds between lines where there is no terminal."""
_STATE_STYLES = {"connected": "green", "resuming": "yellow", "identifying": "yellow"}


@dataclass
class View:
    """Everything that is shown at one moment."""

    steps: list[tuple[float, str]] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    sent: int = 0
    noted: int = 0
    bot_up: bool = False
    longest_queue: int = 0

    @property
    def queued(self) -> int:
        return sum(pod["queueEvents"] for pod in self.status.get("pods", ()))

    def note_longest_queue(self) -> None:
        """Pods come and go: what the longest queue of any of them was."""
        longest = (pod["queueLongest"] for pod in self.status.get("pods", ()))
        self.longest_queue = max(self.longest_queue, *longest, 0)


class Screen:
    """Shows a View. `step` says what happens now, `refresh` that numbers have changed."""

    def __init__(self) -> None:
        self.view = View()
        self.console = Console(highlight=False)
        self._live: Live | None = None
        self._started = time.monotonic()
        self._last_line = 0.0

    @contextmanager
    def shown(self) -> Iterator[None]:
        if not self.console.is_terminal:
            yield
            return
        with Live(self._render(), console=self.console, refresh_per_second=8) as self._live:
            yield
        self._live = None

    def save(self, picture: Path, below: RenderableType) -> None:
        """Write the screen as it stands, and what was printed below it, as an SVG."""
        console = Console(record=True, force_terminal=True, width=100, file=io.StringIO(), highlight=False)
        console.print(self._render(), below)
        svg = console.export_svg(title="make demo")
        picture.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))  # no fonts from the network

    def step(self, text: str) -> None:
        elapsed = time.monotonic() - self._started
        self.view.steps.append((elapsed, text))
        if self._live is None:
            self.console.print(f"{elapsed:5.1f} s  {text}", soft_wrap=True)
        else:
            self._live.update(self._render())

    def refresh(self) -> None:
        now = time.monotonic()
        if self._live is not None:
            self._live.update(self._render())
        elif now - self._last_line >= PLAIN_LINE_INTERVAL:
            self._last_line = now
            self.console.print(f"{now - self._started:5.1f} s    {self._numbers()}", soft_wrap=True)

    def _numbers(self) -> str:
        view = self.view
        ready, shards = view.status.get("readyShards", 0), view.status.get("shards", 0)
        bot = "up" if view.bot_up else "DOWN"
        return (
            f"shards {ready}/{shards}   sent {view.sent}   at the bot {view.noted}   queued {view.queued}   bot {bot}"
        )

    def _render(self) -> RenderableType:
        steps = Table.grid(padding=(0, 2))
        for elapsed, text in self.view.steps:
            steps.add_row(Text(f"{elapsed:5.1f} s", style="dim"), text)
        bot = Text("up", style="green") if self.view.bot_up else Text("DOWN", style="bold red")
        counts = Table.grid(padding=(0, 3))
        counts.add_row("sent by Discord", "at the bot", "queued in the pods", "longest queue", "bot")
        counts.add_row(
            Text(f"{self.view.sent:,}", style="bold"),
            Text(f"{self.view.noted:,}", style="bold"),
            Text(f"{self.view.queued:,}", style="bold"),
            Text(f"{self.view.longest_queue:,}", style="bold"),
            bot,
        )
        return Panel(Group(steps, "", counts, "", self._shards()), title="discord-gateway: make demo", expand=False)

    def _shards(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in ("shard", "state", "guilds", "latency", "pod"):
            table.add_column(column, justify="right" if column in ("shard", "guilds", "latency") else "left")
        for row in self.view.status.get("shardRows", ()):
            latency = row["latencyMs"]
            table.add_row(
                f"{row['shardId']}/{row['shardCount']}",
                Text(row["state"].replace("_", " "), style=_STATE_STYLES.get(row["state"], "red")),
                str(row["guilds"]),
                "" if latency is None else f"{latency:.1f} ms",
                row["pod"],
            )
        return table
