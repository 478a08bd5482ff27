"""4 → 8, and something dies in each phase of it: six deaths in one reshard."""

import os
import signal
from collections.abc import Awaitable, Callable

from faulttable.machine import Instance

from gateway_operator.core.world import Reshard, ReshardPhase

from .run import Run
from .scenario import Scenario
from .world import Settings

Hurt = Callable[[Run, int], Awaitable[None]]
"""Does it, and makes it good again as far as nobody else does; the second argument counts them from 0."""


def _hurting(hurt: Hurt) -> Callable[[Run], Awaitable[None]]:
    async def act(run: Run) -> None:
        await run.machine.run("reshard", "--to", "8", "--no-follow")
        await run.phase(ReshardPhase.STARTING)
        await run.until(lambda: bool(_of_new_set(run)), "the first new pod")
        await hurt(run, 0)
        await run.phase(ReshardPhase.WARMING)
        await hurt(run, 1)
        await run.phase(ReshardPhase.HANDING_OVER)
        await hurt(run, 2)
        await run.between(handed=1)
        await hurt(run, 3)
        await run.delivering_on_lease(handed=2)
        await hurt(run, 5)
        await run.phase(ReshardPhase.DRAINING, within=90)
        await hurt(run, 6)
        await run.over(8)

    return act


def _epoch(instance: Instance) -> int:
    """`test-e2-0-1.7` is of epoch 2."""
    return int(instance.name.rsplit("-", 3)[1].removeprefix("e"))


def _first_shard(instance: Instance) -> int:
    return int(instance.name.rsplit("-", 2)[1])


def _of_new_set(run: Run) -> list[Instance]:
    reshard = run.world.reshard()
    assert reshard is not None
    return [one for one in run.machine.instances() if _epoch(one) == reshard.pending.epoch]


def _of_old_set(run: Run) -> list[Instance]:
    reshard = run.world.reshard()
    assert reshard is not None
    return [one for one in run.machine.instances() if _epoch(one) != reshard.pending.epoch]


def _concerned(instances: list[Instance], reshard: Reshard | None, shards: int) -> Instance:
    """The one that gives or takes what is on its way, or else the first."""
    handover = None if reshard is None else reshard.handover
    first = 0 if handover is None else handover.range.first_shard_id % shards
    return max((one for one in instances if _first_shard(one) <= first), key=_first_shard, default=instances[0])


async def _operator(run: Run, _nth: int) -> None:
    await run.machine.kill_operator()
    await run.load(1)
    await run.machine.start()


async def _old_pod(run: Run, _nth: int) -> None:
    _concerned(_of_old_set(run), run.world.reshard(), 4).kill()


async def _new_pod(run: Run, _nth: int) -> None:
    _concerned(_of_new_set(run), run.world.reshard(), 8).kill()


async def _worker(run: Run, nth: int) -> None:
    """In turn one of the old set's and one of the new set's."""
    instances, shards = (_of_new_set(run), 8) if nth % 2 else (_of_old_set(run), 4)
    workers = _concerned(instances, run.world.reshard(), shards).workers()
    if workers:
        os.kill(workers[0], signal.SIGKILL)


async def _bot(run: Run, _nth: int) -> None:
    await run.bot.stop()
    await run.load(1)
    await run.bot.start()


def _scenario(victim: str, words: str, hurt: Hurt, *, most_identifies: int = 8) -> Scenario:
    return Scenario(
        f"4 → 8, {victim} in each phase",
        f"{words} Once in Starting, in Warming, between two ranges, as a range is being fenced, as its new owner "
        "delivers it under its lease, and in Draining.",
        _hurting(hurt),
        settings=Settings(name=victim),
        most_identifies=most_identifies,
        crashes=6,
    )


CRASHES = (
    _scenario(
        "the operator killed by -9",
        "`up` is killed, and started again a second later; it goes on where it was.",
        _operator,
    ),
    _scenario("an old pod killed by -9", "One that holds what is handed over.", _old_pod),
    _scenario(
        "a new pod killed by -9",
        "One that takes. (A shard that had not yet stored its session identifies again.)",
        _new_pod,
        most_identifies=10,
    ),
    _scenario("a worker killed by -9", "In turn one of an old pod and one of a new one.", _worker, most_identifies=10),
    _scenario("the bot gone", "Its connections are reset, and nobody listens for a second.", _bot),
)
