"""Nodes that are drained or lose power, and the API server that is gone."""

from datetime import UTC, datetime

from harness.faults import NOT_READY_WITHIN_S, READY_WITHIN_S

from .manifests import MARK
from .run import Run
from .scenario import Scenario

SHARDS = 8
OUTAGE_S = 60.0


def _drained(run: Run) -> None:
    node = _busiest_node(run)
    world = run.world
    # Not Discord and the bot, which would lose what they know; nor what other tests have there.
    whom = f"--pod-selector={MARK}={world.namespace}"
    try:
        words = ("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", whom, "--timeout=240s")
        world.cluster.kubectl(*words, timeout_s=250)
        assert node not in {pod.node for pod in (*world.pods(), *world.operators())}
        world.at_rest(SHARDS)
    finally:
        world.cluster.kubectl("uncordon", node)


def _crashed(run: Run) -> None:
    node = _busiest_node(run)
    world = run.world
    run.silent_since = datetime.now(UTC)
    world.faults.crash(node)
    world.cluster.wait_for_node(node, ready=False, within_s=NOT_READY_WITHIN_S)
    world.until(lambda: _whole_without(run, node), "other nodes to hold all shards")
    world.faults.start_node(node)
    world.cluster.wait_for_node(node, ready=True, within_s=READY_WITHIN_S)
    world.at_rest(SHARDS)


def _whole_without(run: Run, node: str) -> bool:
    """Whether Discord is connected to all shards, by ready pods that are elsewhere."""
    elsewhere = [pod for pod in run.world.pods() if pod.ready and not pod.leaving and pod.node != node]
    return len(elsewhere) == SHARDS // 2 and len(run.world.discord.connected()) == SHARDS


def _api_server_stopped(run: Run) -> None:
    before, term = {(pod.uid, pod.restarts) for pod in run.world.pods()}, run.world.term()
    run.world.faults.api_server_down()
    try:
        run.load(OUTAGE_S)
    finally:
        run.world.faults.api_server_up()
    run.world.until(lambda: run.world.term() > term, "an operator to take the gateway up")
    run.world.at_rest(SHARDS)
    assert {(pod.uid, pod.restarts) for pod in run.world.pods()} == before, "no shard pod noticed"


def _busiest_node(run: Run) -> str:
    """Of those without Discord and the bot, the one with most shard pods."""
    nodes = [pod.node for pod in run.world.pods() if pod.node != run.world.node_of_discord]
    assert nodes, "some shards are held elsewhere than where Discord is"
    return max(sorted(set(nodes)), key=nodes.count)


DRAIN = Scenario(
    "node drained",
    "`kubectl drain` of the node with the most shards. Its pods go one at a time, by the disruption budget, and each "
    "hands over to a pod on another node.",
    _drained,
)
CRASH = Scenario(
    "node crashed",
    "As by power failure, and its disk stays away. Kubernetes needs some 20 s to believe it; pods on other nodes then "
    "resume from the checkpoints that the operator keeps. Later the node comes back. (The gap is counted from the "
    "crash on.)",
    _crashed,
    crashes=1,
)
API_SERVER = Scenario(
    "API server stopped for a minute",
    "Nobody leads any more after 10 s. Events flow on; no pod is replaced.",
    _api_server_stopped,
)
