"""The operator's replicas that die, and are replaced: no shard pod may notice."""

from collections.abc import Callable

from . import installation
from .run import Run
from .scenario import Scenario
from .world import Pod

SHARDS = 8


def _leader_deleted(run: Run) -> None:
    def delete(leader: Pod) -> None:
        run.world.kubectl("delete", "pod", leader.name, "--grace-period=0", "--force")

    _taken_over(run, delete)


def _leader_killed(run: Run) -> None:
    _taken_over(run, lambda leader: run.world.faults.kill_pod_process(leader.name, run.world.namespace))


def _taken_over(run: Run, end: Callable[[Pod], None]) -> None:
    before, term = _processes(run), run.world.term()
    end(run.world.leader())
    run.world.until(lambda: run.world.term() > term, "an operator to take the gateway up")
    run.world.at_rest(SHARDS)
    assert _processes(run) == before, "shard pods outlive their operator"


def _upgraded(run: Run) -> None:
    before, operators = _processes(run), {pod.uid for pod in run.world.operators()}
    world = run.world
    # Not the operator's own image: Discord has the same one, and would forget all sessions.
    for_new_pods = {"image": {"tag": world.second_image.rpartition(":")[2]}}
    changed = {"podAnnotations": {"upgraded": "yes"}, "shardPods": for_new_pods}
    installation.upgrade(world.cluster, world.namespace, world.image, **changed)
    installation.wait_for_deployment(world.cluster, world.namespace, installation.RELEASE)
    world.until(lambda: not operators & {pod.uid for pod in world.operators()}, "the former operator to be gone")
    run.world.leader()
    run.world.at_rest(SHARDS)
    assert _processes(run) == before, "upgrading the operator replaces no shard pod"


def _processes(run: Run) -> set[tuple[str, int]]:
    return {(pod.uid, pod.restarts) for pod in run.world.pods()}


OPERATOR_FAULTS = (
    Scenario(
        "operator's leader deleted",
        "`kubectl delete pod --grace-period=0 --force`. Another replica leads, and no shard pod is replaced or started "
        "again.",
        _leader_deleted,
    ),
    Scenario(
        "operator's leader killed by -9",
        "The same, by a signal that lets it say nothing; its node starts it again.",
        _leader_killed,
    ),
    Scenario(
        "operator upgraded",
        "`helm upgrade` replaces both replicas, and names another image for new shard pods: those that run stay.",
        _upgraded,
    ),
)
