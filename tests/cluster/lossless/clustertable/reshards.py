"""Other numbers of shards, by `kubectl scale`, while events flow."""

from .manifests import GATEWAY
from .run import Run
from .scenario import Scenario

WITHIN_S = 300.0


def _down(run: Run) -> None:
    _scale(run, 4)
    run.world.at_rest(4, WITHIN_S)


def _up_and_leader_killed(run: Run) -> None:
    _scale(run, 8)
    run.world.until(lambda: run.world.phase() == "HandingOver", "the reshard to be HandingOver", WITHIN_S)
    run.world.faults.kill_pod_process(run.world.leader().name, run.world.namespace)
    run.world.at_rest(8, WITHIN_S)


def _scale(run: Run, shards: int) -> None:
    run.world.kubectl("scale", f"discordgateway/{GATEWAY}", f"--replicas={shards}")


RESHARDS = (
    Scenario("reshard 8 → 4", "`kubectl scale discordgateway/lossless --replicas=4`.", _down, identifies=4),
    Scenario(
        "reshard 4 → 8, operator's leader killed in it",
        "By -9, in the phase HandingOver; it goes on where it was.",
        _up_and_leader_killed,
        shards=4,
        identifies=8,
        leases=1,
    ),
)
