"""Shard pods that come, are replaced, are deleted and are killed."""

from .run import Run
from .scenario import Scenario
from .world import Pod

SHARDS = 8


def _first_rollout(run: Run) -> None:
    run.world.create(SHARDS)
    run.world.at_rest(SHARDS)
    assert len({pod.node for pod in run.world.pods()}) == len(run.world.cluster.machines), "a pod on every node"


def _another_image(run: Run) -> None:
    before = run.world.pods()
    container = {"name": "shardpod", "image": run.world.second_image}
    run.world.change({"template": {"spec": {"containers": [container]}}})
    run.world.at_rest(SHARDS)
    assert {pod.image for pod in run.world.pods()} == {run.world.second_image}
    assert not _names(before) & _names(run.world.pods())


def _other_settings(run: Run) -> None:
    run.world.change({"delivery": {"timeout": "8s"}})
    run.world.at_rest(SHARDS)


def _deleted(run: Run) -> None:
    gone = run.world.pods()[0]
    run.world.kubectl("delete", "pod", gone.name, timeout_s=200)
    run.world.at_rest(SHARDS)
    assert gone.name not in _names(run.world.pods())


def _killed(run: Run) -> None:
    victim = run.world.pods()[1]
    run.world.faults.kill_pod_process(victim.name, run.world.namespace)
    run.world.until(lambda: _restarts(run, victim) > victim.restarts, f"{victim.name} to be started again")
    run.world.at_rest(SHARDS)


def _restarts(run: Run, pod: Pod) -> int:
    return next((one.restarts for one in run.world.pods() if one.uid == pod.uid), pod.restarts)


def _names(pods: list[Pod]) -> set[str]:
    return {pod.name for pod in pods}


POD_FAULTS = (
    Scenario(
        "first rollout",
        "A gateway of 8 shards is created, and spreads its 4 pods over the nodes. The seconds are those until it is "
        "Ready; Discord alone would make it wait for ceil(shards / max_concurrency) * 5 s, which here is 5 s.",
        _first_rollout,
        shards=0,
        identifies=SHARDS,
    ),
    Scenario(
        "rolling update",
        "Another image in `spec.template`: each pod hands its sessions over to one with the new image.",
        _another_image,
    ),
    Scenario("settings changed", "Another `delivery.timeout`.", _other_settings),
    Scenario("`kubectl delete pod`", "One shard pod. Its successor takes over before it ends.", _deleted),
    Scenario(
        "pod killed by -9",
        "The first process of a shard pod, and with it the others. The kubelet starts it again; it resumes from its "
        "disk.",
        _killed,
        crashes=1,
    ),
)
