"""Processes that are killed, ended from outside, replaced and cut anew; alone, and while the bot is down."""

import os
import signal

from discord_simulator import Fault

from .scenario import Scenario
from .world import AT_LEAST, RATE, SHARDS, Run, Settings

WAITING = 100_000
_FAST = 4_000.0
"""Events a second that fill the queue: as fast as two cores let Discord, pods and disk."""


async def _worker_killed(run: Run) -> None:
    os.kill(run.machine.instances()[0].workers()[0], signal.SIGKILL)
    await run.load(3)
    await run.world.holds_all_shards()


async def _supervisor_killed(run: Run) -> None:
    os.kill(run.machine.instances()[0].pid, signal.SIGKILL)
    await run.load(3)
    await run.world.holds_all_shards()


async def _pod_killed(run: Run) -> None:
    run.machine.instances()[0].kill()
    await run.load(3)
    await run.world.holds_all_shards()


async def _operator_killed(run: Run) -> None:
    before = [instance.pid for instance in run.machine.instances()]
    await run.machine.kill_operator()
    await run.load(3)
    await run.machine.start()
    await run.world.holds_all_shards()
    assert [instance.pid for instance in run.machine.instances()] == before, "pods outlive their operator"


async def _everything_killed(run: Run) -> None:
    await run.machine.kill_everything()
    await run.load(1)
    await run.machine.start()
    await run.world.holds_all_shards()


async def _pod_terminated(run: Run) -> None:
    ended = run.machine.instances()[0]
    os.kill(ended.pid, signal.SIGTERM)
    await run.until(lambda: ended.pid not in {one.pid for one in run.machine.instances()}, "the pod to end")
    await run.world.holds_all_shards()


async def _up_ended_and_started(run: Run) -> None:
    await run.machine.stop()
    await run.load(1)
    await run.machine.start()
    await run.world.holds_all_shards()


async def _rolling_restart(run: Run) -> None:
    before = {instance.name for instance in run.machine.instances()}
    await run.machine.run("restart")
    assert not before & {instance.name for instance in run.machine.instances()}


async def _cut_into_three(run: Run) -> None:
    run.machine.change("shardsPerPod: 4", "shardsPerPod: 3")
    await run.machine.run("restart")
    assert len(run.machine.instances()) == 3


async def _cut_into_two(run: Run) -> None:
    run.machine.change("shardsPerPod: 3", "shardsPerPod: 4")
    await run.machine.run("restart")
    assert len(run.machine.instances()) == 2


async def _begin_a_transfer(run: Run) -> None:
    since = run.machine.log_size()
    await run.machine.run("restart", "--no-wait")
    await run.until(lambda: run.machine.said("shard released", since), "the first shard to be released")


async def _operator_killed_in_a_transfer(run: Run) -> None:
    await _begin_a_transfer(run)
    await run.machine.kill_operator()
    await run.load(2)
    await run.machine.start()
    await run.world.holds_all_shards()


async def _giver_killed_in_a_transfer(run: Run) -> None:
    giver = run.machine.instances()[0]
    await _begin_a_transfer(run)
    giver.kill()
    await run.load(3)
    await run.world.holds_all_shards()


async def _taker_killed_in_a_transfer(run: Run) -> None:
    before = {instance.name for instance in run.machine.instances()}
    await _begin_a_transfer(run)
    (taker,) = [instance for instance in run.machine.instances() if instance.name not in before]
    taker.kill()
    await run.load(3)
    await run.world.holds_all_shards()


async def _bot_down_and_cut_anew(run: Run) -> None:
    await run.bot.stop()
    await run.load(4)
    await _cut_into_three(run)
    await _cut_into_two(run)
    await run.bot.start()


async def _reconnect_without_operator(run: Run) -> None:
    ledger = run.simulator.ledger
    await run.machine.kill_operator()
    wanted = ledger.resumes + SHARDS
    run.simulator.kill("all", Fault.RECONNECT)
    await run.load(6)
    await run.until(
        lambda: ledger.resumes >= wanted and run.simulator.ready_sessions == len(run.simulator.sessions),
        "all sessions to be resumed without an operator",
    )
    await run.machine.start()
    await run.world.holds_all_shards()


async def _bot_down_and_pod_killed(run: Run) -> None:
    await run.bot.stop()
    await run.load(5)
    run.machine.instances()[0].kill()
    await run.load(3)
    await run.world.holds_all_shards()
    await run.bot.start()


async def _bot_down_and_everything_killed(run: Run) -> None:
    await run.bot.stop()
    await run.load(5)
    await run.machine.kill_everything()
    await run.load(1)
    await run.machine.start()
    await run.world.holds_all_shards()
    await run.bot.start()


async def _bot_down_rolling_restart_with_much_waiting(run: Run) -> None:
    await run.bot.stop()
    run.start_load(_FAST)
    await run.load(WAITING / _FAST, _FAST)
    run.start_load(RATE)
    await run.machine.run("restart")
    status = await run.machine.status()
    assert status is not None
    assert sum(pod.queue_events for pod in status.pods) >= WAITING, "all of it was handed over"
    await run.bot.start()


PROCESS_FAULTS = (
    Scenario(
        "worker killed by -9",
        "One of a pod's two worker processes, with two shards. The pod starts it again; it resumes from the "
        "checkpoint on disk.",
        _worker_killed,
    ),
    Scenario(
        "pod's supervisor killed by -9",
        "The pod's first process. Its workers notice, close their sessions resumably and end; the operator starts "
        "the pod again.",
        _supervisor_killed,
    ),
    Scenario(
        "pod killed by -9",
        "Supervisor and workers at once. The operator starts the pod again; it resumes from its disk.",
        _pod_killed,
    ),
    Scenario(
        "operator killed by -9",
        "`up` is killed and started again 3 s later; pods go on alone, and are taken over.",
        _operator_killed,
    ),
    Scenario("everything killed by -9", "`up` and all pods; then `up` again.", _everything_killed),
    Scenario(
        "SIGTERM to a pod from outside",
        "As by a node that is drained. Its successor takes over shard after shard before it ends.",
        _pod_terminated,
    ),
    Scenario("SIGTERM to `up`, then `up` again", "As for an update of the machine.", _up_ended_and_started),
    Scenario(
        "rolling restart of all pods",
        "`discord-gateway restart`: each pod hands its sessions over to a new process.",
        _rolling_restart,
    ),
    Scenario(
        "re-cut from 2 pods to 3",
        "Another `sharding.shardsPerPod`, then `discord-gateway restart`: shards move between pods.",
        _cut_into_three,
    ),
    Scenario("re-cut from 3 pods to 2", "The same in the other direction.", _cut_into_two),
    Scenario(
        "operator killed between release and resume",
        "In a rolling restart, `up` is killed as soon as a pod has released its first shard; `up` again, and the "
        "restart goes on to its end.",
        _operator_killed_in_a_transfer,
    ),
    Scenario(
        "old pod killed by -9 in its transfer",
        "The one that gives, as soon as it has released its first shard. Its next process gives the rest from disk.",
        _giver_killed_in_a_transfer,
    ),
    Scenario(
        "new pod killed by -9 in its transfer",
        "The one that takes. What it had not confirmed is taken back, or taken again.",
        _taker_killed_in_a_transfer,
    ),
    Scenario(
        "op 7 to all sessions while the operator is down",
        "Discord asks all shards to reconnect; nobody is there to ask for an identify, and nobody needs one.",
        _reconnect_without_operator,
    ),
    Scenario(
        "bot down + pod killed by -9",
        "What waited on disk is delivered by the pod's next process; the rest Discord replays.",
        _bot_down_and_pod_killed,
    ),
    Scenario(
        "bot down + everything killed by -9", "The same with `up` and both pods.", _bot_down_and_everything_killed
    ),
    Scenario(
        "bot down + re-cut from 2 pods to 3 and back",
        "What waits moves with its shards, twice.",
        _bot_down_and_cut_anew,
    ),
    Scenario(
        "bot down + rolling restart + 100,000 waiting",
        "The backlog is handed from the old pods to the new ones, and delivered in batches of 100 when the bot is "
        "back.",
        _bot_down_rolling_restart_with_much_waiting,
        # More than they need to hold, as shards are not equally busy, and the bound is each worker's share.
        settings=Settings(batch=100, queue="{maxEvents: 400000, maxBytes: 2Gi}"),
    ),
)
assert AT_LEAST <= RATE <= _FAST
