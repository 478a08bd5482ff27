"""What goes wrong, and in which step of a reshard it does."""

import asyncio
from random import Random
from typing import TYPE_CHECKING

from gateway_operator.core.world import ReshardPhase, ReshardRequest

from .pods import Instance
from .workers import SimulatedWorker

if TYPE_CHECKING:
    from .run import World

STEPS = ("Starting", "Warming", "rehearse", "fencing", "fenced", "live", "settled", "Draining", "Aborting")

CRASHES = (
    "old worker crashes",
    "new worker crashes",
    "old pod crashes",
    "new pod crashes",
    "old node is lost",
    "new node is lost",
    "operator crashes",
    "new worker crashes, and its pod is cut off",
    "old worker hangs",
    "new worker hangs",
)
NETWORK = (
    "old pod is cut off from the operator",
    "new pod is cut off from the operator",
    "old pod has no network",
    "new pod has no network",
    "control messages are late",
    "control connections break",
)
DISCORD = (
    "old session reconnects",
    "new session reconnects",
    "old session is lost",
    "new session is lost",
    "old set misses events",
    "new set misses events",
    "old session is late",
    "new session is late",
    "old session goes dead",
    "new session goes dead",
    "old session stalls",
    "new session stalls",
    "old set reorders events",
    "new set reorders events",
    "identify budget changes",
)
BOT = ("bot is slow", "bot is down", "bot crashes")
PEOPLE = ("abort", "another target", "pods are replaced", "another leader")
FAULTS = (*CRASHES, *NETWORK, *DISCORD, *BOT, *PEOPLE)

REPEATING = (*CRASHES, *NETWORK, "bot crashes", "another leader", "bot is down", "pods are replaced")
"""After these the bot may get an event again with the same key."""


class Injection:
    """Does `fault` once `step` is reached. `done`: it was; `settled`: whatever was taken away is there again."""

    def __init__(self, fault: str, step: str, random: Random) -> None:
        self.fault = fault
        self.step = step
        self.done = False
        self.at = 0.0
        self.settled = True
        self._random = random

    def prepare(self, world: "World") -> None:
        """Before anything runs: what the fault needs the world to be like."""
        if self.fault == "identify budget changes":
            limit = world.limit
            limit.told_every = self._random.choice((0.1, 0.5, 2.0))
            limit.max_concurrency = self._random.choice((16, 16, 16, 4))
            if self._random.random() < 0.8:
                limit.resets_at = world.beginning + self._random.uniform(8.0, 30.0)

    async def run(self, world: "World") -> None:
        if self.fault == "none" and self.step != "Aborting":
            return
        await self._wait_for_step(world)
        if self.fault == "none":
            return
        await asyncio.sleep(self._random.choice((0.0, self._random.uniform(0, 0.02), self._random.uniform(0, 0.2))))
        self.settled = False
        self.at = world.now()
        lasts = self._random.choice((self._random.uniform(0.05, 0.6), self._random.uniform(0.5, 6.0)))
        self.done = True
        await self._do(world, lasts)
        self.settled = True

    # When.

    async def _wait_for_step(self, world: "World") -> None:
        skip = self._random.choice((0, 0, 1, 2))
        if self.step == "Aborting":
            await self._abort_in_the_middle(world)
            await self._until(world, lambda: _phase(world) is ReshardPhase.ABORTING)
            if self._random.random() < 0.7:
                steps = ("rehearse", "fencing", "fenced", "live", "settled")
                await self._reach(world, self._random.choice(steps), 0)
            return
        await self._reach(world, self.step, skip)

    async def _abort_in_the_middle(self, world: "World") -> None:
        if self._random.random() < 0.5:
            await self._reach(world, self._random.choice(("fencing", "fenced", "live", "settled")), 0)
        else:
            await self._until(
                world, lambda: (r := world.operators.memory.record.reshard) is not None and (r.handed or r.fenced)
            )
        world.operators.wish(ReshardRequest(abort=True))

    async def _reach(self, world: "World", step: str, skip: int) -> None:
        """The step, in the handover after `skip` others if there is one."""
        memory = world.operators.memory
        first = memory.record.reshard.last_handover if memory.record.reshard else memory.record.last_handover

        def reached() -> bool:
            reshard = memory.record.reshard
            if reshard is None:
                return False
            if step in ("Preparing", "Starting", "Warming", "Draining"):
                return reshard.phase.value == step
            handover = reshard.handover
            left = len(reshard.pending.ranges) - len(reshard.handed)
            if handover is None or (handover.number <= first + skip and left > 1):
                return False
            if step == "rehearse":
                return handover.step == "rehearse"
            if handover.step != "go":
                return False
            return step == "fencing" or step in {state for _, state in states(world)}

        await self._until(world, reached)

    async def _until(self, world: "World", condition) -> None:
        """What workers do is looked at from outside, as often as matters; all else changes with what is stored."""
        memory = world.operators.memory
        while not condition():
            handover = memory.record.reshard.handover if memory.record.reshard else None
            if handover is not None and handover.step == "go":
                await asyncio.sleep(0.005)
            else:
                memory.stored.clear()
                await memory.stored.wait()

    # What.

    async def _do(self, world: "World", lasts: float) -> None:
        whose, _, what = self.fault.partition(" ")
        if whose in ("old", "new"):
            await self._do_to_a_set(world, whose, what, lasts)
            return
        match self.fault:
            case "identify budget changes":
                await self._change_the_budget(world, lasts)
            case "operator crashes":
                world.operators.crash()
                await asyncio.sleep(lasts)
                world.operators.begin()
            case "another leader":
                await self._another_leader(world, lasts)
            case "control messages are late":
                world.network.lateness = 0.6
                await asyncio.sleep(lasts)
                world.network.lateness = 0.004
            case "control connections break":
                world.network.torn = 0.05
                await asyncio.sleep(lasts)
                world.network.torn = 0.0
            case "bot is slow":
                world.bot.delay = self._random.choice((0.1, 0.3, 1.0))
                await asyncio.sleep(lasts)
                world.bot.delay = 0.01
            case "bot is down" | "bot crashes":
                world.bot.forgetful = 1.0 if self.fault == "bot crashes" else 0.0
                await asyncio.sleep(0.03)
                world.bot.down, world.bot.forgetful = True, 0.0
                await asyncio.sleep(lasts)
                world.bot.down = False
            case "abort":
                world.operators.wish(ReshardRequest(abort=True))
            case "another target":
                others = [one for one in range(1, 13) if one not in (world.before, world.after)]
                world.after = self._random.choice(others)
                world.operators.wish(ReshardRequest(to=world.after, manifest_shards=world.before))
            case "pods are replaced":
                leader = world.operators.leader
                if not leader.process.dead:
                    leader.process.run(
                        lambda: leader.operator.restart(world.gateway, secrets_digest="", replace_all=True)
                    )

    async def _another_leader(self, world: "World", lasts: float) -> None:
        """The one before goes on talking to the pods, which come and go between the two."""
        before = world.operators.overthrow()
        if self._random.random() < 0.3:
            world.network.cut(before.process)
        await asyncio.sleep(self._random.uniform(0, 0.5))
        world.operators.begin()
        world.network.torn = 0.1
        await asyncio.sleep(lasts)
        world.network.torn = 0.0
        world.network.mend(before.process)
        world.operators.kill(before)

    async def _change_the_budget(self, world: "World", lasts: float) -> None:
        """Others have used it up, and fewer may identify at once; a shard may need just that. Then it is refilled."""
        limit, random = world.limit, self._random
        resets_at = limit.resets_at
        foretold = resets_at < world.now() + 60.0
        limit.remaining = random.choice((0, 5, 10, 11, random.randint(12, 16)))
        limit.max_concurrency = random.choice((1, 2, 4, 16))
        if not foretold and random.random() < 0.5:
            limit.total = max(limit.remaining, 15)
        living = [one for one in world.discord.sessions.values() if not one.ended]
        if self.step not in ("Preparing", "Starting") and random.random() < 0.7:
            world.discord.end(random.choice(living))
        await asyncio.sleep(lasts)
        limit.max_concurrency = random.choice((1, 4, 16))
        if foretold:
            await asyncio.sleep(max(0.0, resets_at - world.now()))
        else:
            limit.refill(world.now())
        while not world.all_connected():  # noqa: ASYNC110 -- who waits for a permit is told to for a minute at most
            await asyncio.sleep(0.1)

    async def _do_to_a_set(self, world: "World", whose: str, what: str, lasts: float) -> None:
        shard_count = world.before if whose == "old" else world.after
        instance = self._victim(world, whose)
        match what:
            case "session reconnects" | "session is lost":
                sessions = world.discord.of(shard_count)
                if sessions:
                    session = self._random.choice(sessions)
                    (world.discord.reconnect if "reconnects" in what else world.discord.end)(session)
            case "session goes dead":
                await self._dead(world, shard_count)
            case "session stalls":
                await self._stall(world, shard_count)
            case "session is late":
                await self._late(world, shard_count, lasts)
            case "set reorders events":
                world.discord.reordered = shard_count
                await asyncio.sleep(max(lasts, 2.0))
                world.discord.reordered = None
            case "set misses events":
                world.discord.missing[shard_count] = 0.3
                await asyncio.sleep(min(lasts, 2.0))
                world.discord.missing.clear()
            case _ if instance is None:
                self.done = False
            case _ if what.startswith("worker"):
                await self._do_to_a_worker(world, instance, what, lasts)
            case "pod crashes" | "node is lost":
                instance.kill()
                if what == "node is lost":
                    instance.disk.clear()
            case _:
                await self._cut_off(world, instance, lasts, wholly=what == "pod has no network")

    async def _do_to_a_worker(self, world: "World", instance: Instance, what: str, lasts: float) -> None:
        running = [one for one in instance.workers if one.process is not None and not one.process.dead]
        if not running:
            return
        worker = self._random.choice(running)
        if what == "worker hangs":
            process = worker.process
            assert process is not None
            process.halt()
            await asyncio.sleep(lasts)
            process.go_on()
            return
        _kill(world, worker)
        if what != "worker crashes":
            await asyncio.sleep(self._random.uniform(0.1, 0.4))
            await self._cut_off(world, instance, lasts, wholly=False)

    async def _dead(self, world: "World", shard_count: int) -> None:
        """Nothing comes any more, and nobody is told: until a heartbeat has stayed without an answer."""
        lines = [one.line for one in world.discord.of(shard_count) if one.line is not None]
        if lines:
            line = self._random.choice(lines)
            line.dead = True
            while line.open and not line.process.dead:  # noqa: ASYNC110 -- two heartbeats at most
                await asyncio.sleep(0.5)

    async def _stall(self, world: "World", shard_count: int) -> None:
        """Everything waits on its way for a while, too short for a heartbeat to show it, and then comes at once."""
        lines = [one.line for one in world.discord.of(shard_count) if one.line is not None]
        if lines:
            seconds = self._random.choice((self._random.uniform(0.1, 3.0), self._random.uniform(2.0, 38.0)))
            self._random.choice(lines).stall(seconds)
            await asyncio.sleep(seconds)

    async def _late(self, world: "World", shard_count: int, lasts: float) -> None:
        """More than the allowed skew, and nobody is told."""
        sessions = world.discord.of(shard_count)
        if sessions:
            session = self._random.choice(sessions)
            session.late = 3.0 * world.windows.max_skew
            await asyncio.sleep(lasts)
            session.late = 0.0

    async def _cut_off(self, world: "World", instance: Instance, lasts: float, *, wholly: bool) -> None:
        process = instance.process
        assert process is not None
        world.network.cut(process)
        if wholly:
            world.discord.cut(process)
        await asyncio.sleep(lasts)
        world.network.mend(process)
        world.discord.mend(process)

    def _victim(self, world: "World", whose: str) -> Instance | None:
        memory = world.operators.memory
        reshard = memory.record.reshard
        epoch = memory.active.epoch if whose == "old" else (reshard.pending.epoch if reshard else 0)
        living = world.pods.living(epoch)
        return self._random.choice(living) if living else None


def _kill(world: "World", worker: SimulatedWorker) -> None:
    for line in list(world.discord._lines):
        if line.open and line.process is worker.process:
            line.hang_up()
    worker.kill()


def _phase(world: "World") -> ReshardPhase | None:
    reshard = world.operators.memory.record.reshard
    return None if reshard is None else reshard.phase


def states(world: "World") -> list[tuple[str, str]]:
    """What the workers' parts in the handover are, of all that live."""
    found = []
    for instance in world.pods.instances.values():
        if not instance.running:
            continue
        for one in instance.workers:
            if one.worker is not None and one.process is not None and not one.process.dead:
                report = one.worker._handing.report()
                if report is not None:
                    found.append((report.role, report.state))
    return found
