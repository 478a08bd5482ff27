"""Reads the instances of a gateway off its Deployments and pods. Pure: dicts of the API in, plain values out.

A range of shards is a Deployment, and each of its pods is an instance. A pod made by a ReplicaSet after a node was
drained is an instance that nobody planned: it is given the next number, and takes over as if it had been.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway_operator.core.world import InstanceSpec, PodSpec
from gateway_operator.seams import InstanceHere

from .api import Object
from .names import CONTAINER, Child, read_deployment, read_pod

_BEING_MADE = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True, slots=True)
class Instance:
    """A pod of the API with its number; `spec` carries the pod's own name."""

    spec: InstanceSpec
    pod: Object = field(repr=False)

    @property
    def uid(self) -> str:
        return str(self.pod["metadata"]["uid"])

    @property
    def terminating(self) -> bool:
        return "deletionTimestamp" in self.pod["metadata"]

    @property
    def restarts(self) -> int:
        return int(_container(self.pod).get("restartCount", 0))


@dataclass(frozen=True, slots=True)
class RangeHere:
    """A range of shards as it is there: its Deployment, unless that is gone already, and its instances by age."""

    pod: PodSpec
    deployment: Object | None = field(repr=False)
    instances: tuple[Instance, ...]

    @property
    def wanted(self) -> int:
        """The number that the next instance is to have; 0 without a Deployment."""
        return _wanted(self.deployment)

    @property
    def revision(self) -> str | None:
        """Of the pods that the Deployment makes."""
        child = None if self.deployment is None else read_deployment(self.deployment)
        return None if child is None else child.revision

    @property
    def awaited(self) -> InstanceSpec | None:
        """The instance that was planned, and of which there is no pod yet."""
        if self.deployment is None or any(one.spec.number >= self.wanted for one in self.instances):
            return None
        return InstanceSpec(self.pod, self.wanted, self.revision or "")

    @property
    def names(self) -> frozenset[str]:
        """Of all instances, the awaited one among them."""
        awaited = () if self.awaited is None else (self.awaited.name,)
        return frozenset((*(one.spec.name for one in self.instances), *awaited))


@dataclass(frozen=True, slots=True)
class Gathered:
    """All ranges by name. `to_number`: the pods that have just been given a number, by name, which is to be kept."""

    ranges: Mapping[str, RangeHere]
    to_number: Mapping[str, int]
    highest: int


def gather(deployments: Iterable[Object], pods: Iterable[Object], *, highest: int) -> Gathered:
    """What is there. `highest` is the highest number that any instance of the gateway is known to have had."""
    children = [(child, one) for one in deployments if (child := read_deployment(one)) is not None]
    there = [(child, one) for one in pods if (child := read_pod(one)) is not None and _lives(one)]
    specs = {child.pod.name: child.pod for child, _ in (*children, *there)}
    numbering = _Numbering({child.pod.name: one for child, one in children}, specs, highest)
    for child, pod in there:
        if child.number is not None:
            numbering.add(child, child.number, pod)
    for child, pod in sorted(there, key=lambda one: (_made_at(one[1]), _name(one[1]))):
        if child.number is None:
            numbering.give(child, pod)
    ranges = {
        name: RangeHere(spec, numbering.deployments.get(name), tuple(numbering.of_range(name)))
        for name, spec in specs.items()
    }
    return Gathered(ranges, numbering.given, numbering.highest)


class _Numbering:
    """Gives each new pod its number: the one that was planned for it, or the next."""

    def __init__(self, deployments: Mapping[str, Object], specs: Mapping[str, PodSpec], highest: int) -> None:
        self.deployments = deployments
        self.given: dict[str, int] = {}
        self.highest = max([highest, *map(_wanted, deployments.values())])
        self._specs = specs
        self._instances: dict[str, list[Instance]] = {name: [] for name in specs}

    def of_range(self, name: str) -> list[Instance]:
        return sorted(self._instances[name], key=lambda one: one.spec.number)

    def add(self, child: Child, number: int, pod: Object) -> None:
        spec = InstanceSpec(child.pod, number, child.revision, given_name=_name(pod))
        self._instances[child.pod.name].append(Instance(spec, pod))
        self.highest = max(self.highest, number)

    def give(self, child: Child, pod: Object) -> None:
        if self._superseded(child.pod):
            # A younger instance of another range has the shards: what a ReplicaSet makes anew here is nobody's.
            return
        deployment = self.deployments.get(child.pod.name)
        planned = None if deployment is None else read_deployment(deployment)
        wanted = _wanted(deployment)
        taken = any(one.spec.number >= wanted for one in self._instances[child.pod.name])
        if planned is None or planned.revision != child.revision or taken:
            wanted = self.highest + 1
        self.given[_name(pod)] = wanted
        self.add(child, wanted, pod)

    def _superseded(self, pod: PodSpec) -> bool:
        probe, mine = InstanceSpec(pod, 0, ""), self._highest_of(pod.name)
        others = (other for other in self._specs.values() if other.name != pod.name and probe.overlaps(other))
        return any(self._highest_of(other.name) > mine for other in others)

    def _highest_of(self, name: str) -> int:
        return max([_wanted(self.deployments.get(name)), *(one.spec.number for one in self._instances[name])])


def here(range_here: RangeHere, *, started_at: Mapping[tuple[str, int], float]) -> list[InstanceHere]:
    """The range's instances for the operator; `started_at` by pod uid and restarts, on the monotonic clock."""
    found = [_here(one, started_at.get((one.uid, one.restarts), 0.0)) for one in range_here.instances]
    if (awaited := range_here.awaited) is not None:
        found.append(InstanceHere(spec=awaited, running=False, problem=_why_no_pod(range_here.deployment or {})))
    return found


def _here(one: Instance, started_at: float) -> InstanceHere:
    state = _container(one.pod).get("state", {})
    running = "running" in state
    return InstanceHere(
        spec=one.spec,
        running=running,
        problem=None if running else _why_not_running(one.pod, state),
        started_at=started_at,
        # The directory outlives the container: what a process before has left there, none but the next one sees.
        scratch=frozenset(one.spec.pod.shards) if one.restarts > 0 else frozenset(),
        ending=one.terminating,
    )


def _wanted(deployment: Object | None) -> int:
    child = None if deployment is None else read_deployment(deployment)
    return 0 if child is None or child.number is None else child.number


def _lives(pod: Object) -> bool:
    """One that the kubelet has evicted stays as a record of itself, and has lost its directory."""
    return pod.get("status", {}).get("phase") not in ("Failed", "Succeeded")


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])


def _made_at(pod: Object) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def _container(pod: Object) -> dict[str, Any]:
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    return next((one for one in statuses if one["name"] == CONTAINER), {})


def _why_not_running(pod: Object, state: Mapping[str, Any]) -> str | None:
    """In the words of Kubernetes; None while it is only being made."""
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"its pod cannot be placed on a node: {condition.get('message') or condition.get('reason')}"
    if (waiting := state.get("waiting")) is not None and waiting.get("reason") not in _BEING_MADE:
        return _said("its container waits", waiting)
    if (ended := state.get("terminated")) is not None:
        return _said(f"its container ended with exit code {ended.get('exitCode')}", ended)
    return None


def _said(what: str, state: Mapping[str, Any]) -> str:
    details = ": ".join(part for part in (state.get("reason"), (state.get("message") or "").strip()) if part)
    return f"{what}: {details}" if details else what


def _why_no_pod(deployment: Object) -> str | None:
    for condition in deployment.get("status", {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return f"its pod cannot be made: {condition.get('message') or condition.get('reason')}"
    return None
