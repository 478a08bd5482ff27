"""One fault in a world, from the first event of its load on."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from reshardtable.arrivals import Counted

from .counting import count_run, missing
from .services import Connection, Totals, longest_gap
from .world import World

RATE = 150.0
"""Events a second. The table promises 100; the rest is for a machine that falls behind for a moment."""
AT_LEAST = 100.0
LOOK_ALIKES = 0.2
"""Of the events that can look alike, which are two of five."""
ARRIVES_WITHIN_S = 90.0


@dataclass(slots=True)
class Run:
    """A scenario notes when a node's sockets fell silent (`silent_since`), as their loss would not tell."""

    world: World
    _before: Totals
    _arrivals_before: int
    _since: datetime
    _loading: float
    silent_since: datetime | None = None

    @classmethod
    def begin(cls, world: World) -> "Run":
        run = cls(world, world.discord.totals(), world.bot.count(), datetime.now(UTC), time.monotonic())
        world.discord.start_load(RATE, LOOK_ALIKES)
        return run

    def load(self, seconds: float) -> None:
        """Wait until as many more events have been sent as the rate gives in that time."""
        wanted = self.world.discord.published() + int(seconds * RATE)
        within = 3 * seconds + 60
        self.world.until(lambda: self.world.discord.published() >= wanted, "Discord to send the load", within)

    def end(self) -> "Outcome":
        """Stop the load, wait until all of it has arrived and the gateway is at rest, and count."""
        discord, bot, first = self.world.discord, self.world.bot, self._before.events + 1
        pace = discord.published() / (time.monotonic() - self._loading)
        discord.stop_load()
        rows, came = discord.rows(), bot.arrivals(self._arrivals_before)
        deadline = time.monotonic() + ARRIVES_WITHIN_S
        while missing(rows, first, came) and time.monotonic() < deadline:
            # What does not come at all is counted, and told as lost.
            since = len(came) + self._arrivals_before
            self.world.until(lambda: bot.count() > since or time.monotonic() > deadline, "more to arrive")  # noqa: B023
            came += bot.arrivals(since)
        self.world.at_rest(self.world.shards)
        came += bot.arrivals(len(came) + self._arrivals_before)
        assert pace >= AT_LEAST, f"only {pace:.0f} events/s were sent: this machine is too busy for these tests"
        return Outcome(
            counted=count_run(discord.rows(), first, came),  # with what Discord has said since the load had ended
            identifies=discord.totals().identifies - self._before.identifies,
            violations=discord.violations(self._before.violations),
            gap=self._longest_gap(),
        )

    def _longest_gap(self) -> float:
        connections = self.world.discord.connections(self._since)
        gap = longest_gap(connections)
        return gap if self.silent_since is None else max(gap, _until_resumed(connections, self.silent_since))


def _until_resumed(connections: list[Connection], since: datetime) -> float:
    resumed = [one.at for one in connections if one.event == "session resumed"]
    return max(((at - since).total_seconds() for at in resumed), default=0.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`gap` in seconds."""

    counted: Counted
    identifies: int
    violations: list[str]
    gap: float
