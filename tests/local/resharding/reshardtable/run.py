"""One reshard in a world, from the first event of its load on."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from faulttable.machine import PATIENCE_S, Machine, until

from discord_simulator import Simulator
from gateway_operator.core.reshard_order import ReshardOrder
from gateway_operator.core.world import ReshardPhase
from gateway_operator.local.status_socket import ask_reshard

from .arrivals import Arrival, Counted, WatchingBot, count, numbers_by_key
from .world import World

RATE = 330.0
"""Events a second. The table promises 300; the rest is for a machine that falls behind for a moment."""
AT_LEAST = 300.0
LOOK_ALIKES = 0.2
"""Of the events that can look alike, which are two of five."""


@dataclass(slots=True)
class Run:
    """`refused`: shards were refused by Discord, so that some events went to sessions alone that did not own them."""

    world: World
    refused: bool = False
    _first: int = 0
    _arrivals_before: int = 0
    _identifies_before: int = 0
    _violations_before: int = 0
    _sessions_before: frozenset[str] = frozenset()
    _disconnected_before: frozenset[str] = frozenset()
    _log_from: int = 0
    _began: float = 0.0
    seconds: float = 0.0

    @property
    def simulator(self) -> Simulator:
        return self.world.simulator

    @property
    def bot(self) -> WatchingBot:
        return self.world.bot

    @property
    def machine(self) -> Machine:
        return self.world.machine

    def begin(self) -> None:
        ledger = self.simulator.ledger
        self._first, self._arrivals_before = ledger.next_number, len(self.bot.arrivals)
        self._identifies_before, self._violations_before = ledger.identifies, len(ledger.violations)
        self._sessions_before = frozenset(str(one["session_id"]) for one in self.simulator.sessions)
        self._disconnected_before = frozenset(
            str(one["session_id"]) for one in self.simulator.sessions if not one["connected"]
        )
        self._log_from, self._began = self.machine.log_size(), time.monotonic()
        self.simulator.start_load(RATE, look_alikes=LOOK_ALIKES)

    async def load(self, seconds: float) -> None:
        """Wait until as many more events have been sent as the rate gives in that time."""
        wanted = self.simulator.ledger.next_number + int(seconds * RATE)
        await until(lambda: self.simulator.ledger.next_number >= wanted, "Discord to send the load", seconds * 2 + 40)

    async def phase(self, phase: ReshardPhase, within: float = 60.0) -> None:
        """Wait until the reshard has come so far, with no range between the two sets."""
        await self.world.until_reshard(
            lambda reshard: reshard is not None and reshard.phase is phase and reshard.fenced is None,
            f"the reshard to be {phase}",
            within,
        )

    async def between(self, handed: int = 0) -> None:
        """Wait until a range is between both sets, after `handed` others."""
        await self.world.until_reshard(
            lambda reshard: reshard is not None and reshard.fenced is not None and len(reshard.handed) >= handed,
            "a range to be on its way",
        )

    async def delivering_on_lease(self, handed: int) -> None:
        """Wait until a range, after `handed` others, is delivered by its new owner, and not yet handed over."""
        await self.between(handed)
        since = self.machine.log_size()
        await until(lambda: self.machine.said('"state": "live"', since), "a new owner to deliver", every=0.005)

    async def handed(self, ranges: int) -> None:
        await self.world.until_reshard(
            lambda reshard: reshard is not None and len(reshard.handed) >= ranges, f"{ranges} ranges to be handed over"
        )

    async def until(
        self, condition: Callable[[], bool | Awaitable[bool]], what: str, within: float = PATIENCE_S
    ) -> None:
        await until(condition, lambda: f"{what}\n{self.machine.last_words()}", within)

    async def until_refused(self) -> None:
        """Wait until Discord has refused a shard, as there are too few."""

        async def refused() -> bool:
            status = await self.machine.status()
            return status is not None and any(shard.state == "refused" for shard in status.shard_rows)

        await self.until(refused, "a shard to be refused")

    async def over(self, shards: int, within: float = 90.0) -> None:
        """Wait until the reshard has ended, with so many shards that deliver everything."""
        await self.world.holds(shards, within)

    async def order(self, order: ReshardOrder) -> None:
        """What the command asks of the operator, without the time that a process takes to start."""
        answer = await ask_reshard(self.machine.state / "status.sock", order)
        assert not answer.problems, answer

    async def end(self, *, within: float = 60.0) -> None:
        """Stop the load, and wait until all of it has arrived."""
        self.seconds = time.monotonic() - self._began
        pace = (self.simulator.ledger.next_number - self._first) / self.seconds
        self.simulator.stop_load()
        rows = list(self.simulator.ledger.rows(self._first))
        numbers, looked_at = numbers_by_key(rows), self._arrivals_before
        missing = {number for number, _, _, kind, receivers in rows if kind == "load" and receivers}

        def arrived() -> bool:
            nonlocal looked_at
            new = self.bot.arrivals[looked_at:]
            looked_at += len(new)
            missing.difference_update(numbers.get(arrival.key, 0) for arrival in new)
            return not missing

        with contextlib.suppress(AssertionError):  # what does not arrive is counted, and told
            await until(arrived, "", 5 if self.refused else within, every=0.1)
        await self.world.is_whole()
        assert pace >= AT_LEAST, f"only {pace:.0f} events/s were sent: this machine is too busy for these tests"

    async def count(self) -> Counted:
        """Hold what arrived against what was sent; in a thread, for Discord and the bot still have to answer."""
        return await asyncio.to_thread(self._count)

    def _count(self) -> Counted:
        rows = list(self.simulator.ledger.rows(self._first))
        new = frozenset(self.world.weather.delays) - self._sessions_before if self.refused else frozenset()
        # What the sessions began with may still be on its way to the bot when a run begins; load may not.
        earlier = self.simulator.ledger.rows(1, self._first - 1)
        beginnings = numbers_by_key(row for row in earlier if row[3] == "session")
        arrivals = [one for one in self.bot.arrivals[self._arrivals_before :] if one.key not in beginnings]
        numbers = numbers_by_key(rows)
        counted = count(rows, arrivals, numbers, new)
        counted.longest_delay = self._longest_delay(arrivals, numbers)
        return counted

    def _longest_delay(self, arrivals: Iterable[Arrival], numbers: Mapping[str, int]) -> float:
        """From when Discord sent an event to when the bot had it first, less what that session's is held back for."""
        first: dict[int, float] = {}
        for arrival in arrivals:
            number = numbers.get(arrival.key)
            if number is not None and number not in first:
                held_back = self.world.weather.delays.get(arrival.key.partition(":")[0], 0.0)
                first[number] = arrival.at - self.world.pulse.sent_at(number) - held_back
        return max(first.values(), default=0.0)

    @property
    def identifies(self) -> int:
        return self.simulator.ledger.identifies - self._identifies_before

    @property
    def violations(self) -> list[str]:
        """Rules of Discord's that were broken, but that of 4011 where that is what is tested."""
        broken = islice(self.simulator.ledger.violations, self._violations_before, None)
        return [one.detail for one in broken if not (self.refused and one.rule == "sharding-required")]

    def times_said(self, text: str) -> int:
        """How many lines the operator has logged in this run with `text` in them."""
        with self.machine.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().count(text.encode())

    @property
    def ended_sessions(self) -> set[str]:
        """Those of this run's sessions that can never be resumed."""
        sessions = self.simulator.ledger.summary()["sessions"]
        assert isinstance(sessions, dict)
        of_this_run = (self._sessions_before - self._disconnected_before) | (
            frozenset(self.world.weather.delays) - self._sessions_before
        )
        return {session for session in of_this_run if sessions[session]["state"] == "ended"}
