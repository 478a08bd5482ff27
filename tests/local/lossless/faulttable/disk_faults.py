"""Disks that are full, lost, or hold nonsense."""

import random
import resource

from .machine import Instance
from .scenario import Scenario
from .world import Run

_FULL_AT = 1_200_000
"""Bytes after which no file of a worker grows any more: what a full disk does, without filling one."""
_NO_LIMIT = resource.RLIM_INFINITY


def _limit_files(instance: Instance, size: int) -> None:
    for pid in instance.workers():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, _NO_LIMIT))


async def _disk_fills(run: Run) -> Instance:
    since = run.machine.log_size()
    assert since < _FULL_AT // 2, "the limit is for the log, too"
    instance = run.machine.instances()[0]
    _limit_files(instance, _FULL_AT)
    await run.bot.stop()
    run.start_load(2_000)
    await run.until(lambda: run.machine.said("the spool takes no more", since), "the disk to be full")
    run.start_load(600)
    await run.load(2)
    return instance


async def _disk_full(run: Run) -> None:
    instance = await _disk_fills(run)
    since = run.machine.log_size()
    await run.bot.start()
    await run.until(lambda: run.machine.said("the spool takes events again", since), "the disk to have room again")
    _limit_files(instance, _NO_LIMIT)


async def _disk_full_and_pod_killed(run: Run) -> None:
    instance = await _disk_fills(run)
    instance.kill()
    await run.load(2)
    await run.world.holds_all_shards()
    await run.bot.start()


async def _scratch_lost(run: Run) -> None:
    instance = run.machine.instances()[0]
    instance.kill()
    run.machine.lose_scratch(instance)
    await run.load(3)
    await run.world.holds_all_shards()


async def _scratch_corrupt(run: Run) -> None:
    since = run.machine.log_size()
    instance = run.machine.instances()[0]
    instance.kill()
    nonsense = random.Random(1)
    files = sorted(instance.scratch.glob("shard-*.db"))
    assert len(files) == 4
    for file in instance.scratch.glob("shard-*.db*"):  # with the write-ahead log, which could mend the database
        file.write_bytes(nonsense.randbytes(50_000))
    await run.load(3)
    await run.world.holds_all_shards()
    aside = list(instance.scratch.glob("*.unreadable*"))
    assert len({path.name.split(".unreadable")[0] for path in aside}) == len(files), "set aside, not deleted"
    ends = run.machine.log.read_bytes()[since:].count(b'"event": "a worker ended')
    assert ends == 0, "no crash loop"


DISK_FAULTS = (
    Scenario(
        "disk full under the spool",
        "The bot is down, and the files that hold what waits can grow no further (the limit is the kernel's, "
        "`RLIMIT_FSIZE`, for the workers of one pod). Events go on waiting in memory alone, and arrive.",
        _disk_full,
    ),
    Scenario(
        "disk full under the spool + pod killed by -9",
        "What was in memory alone is gone with the pod; Discord replays it, as its checkpoint had stayed behind.",
        _disk_full_and_pod_killed,
    ),
    Scenario(
        "a pod's disk lost",
        "The pod is killed and its directory deleted, as when a node is lost. With the bot up, the operator's own "
        "checkpoints are good enough for Discord's replay.",
        _scratch_lost,
    ),
    Scenario(
        "a pod's disk corrupt",
        "The pod is killed and its four files are overwritten with random bytes. They are set aside, and the "
        "operator's checkpoints are used.",
        _scratch_corrupt,
    ),
)
