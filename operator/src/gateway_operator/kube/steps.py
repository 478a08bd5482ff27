"""What is to be done about one instance that should run, given what is there of its range. Pure."""

from dataclasses import dataclass

from gateway_operator.core.world import InstanceSpec

from .api import Object
from .instances import Instance, RangeHere


@dataclass(frozen=True, slots=True)
class Nothing:
    """It runs, or will."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Write the whole Deployment, so that its next pod is this instance."""


@dataclass(frozen=True, slots=True)
class Await:
    """A pod of the Deployment as it is will be this instance: note its number; `end` the pod that it replaces."""

    end: Instance | None


Step = Nothing | Apply | Await


def step_for(spec: InstanceSpec, here: RangeHere | None) -> Step:
    """A Deployment is written only when an instance is to begin: another version of the operator changes no pod."""
    if here is None or here.deployment is None:
        there = here is not None and any(one.spec == spec for one in here.instances)
        # A pod that outlives its Deployment is on its way out, and keeps what it holds until then.
        return Nothing() if there else Apply()
    if any(one.spec == spec for one in here.instances):
        return Nothing()
    if here.revision != spec.revision or here.deployment["spec"].get("replicas") != 1:
        return Apply()
    if any(one.spec.name == spec.name for one in here.instances):
        # It does not run, and the Deployment is of its wanted revision already: a pod of that will take its place.
        return Nothing()
    # Only a pod of the Deployment's revision comes back as one of that; the others' end is the Deployment's to bring.
    staying = [one for one in here.instances if not one.terminating and one.spec.revision == here.revision]
    if here.wanted == spec.number and not staying:
        return Nothing()
    return Await(end=staying[-1] if staying else None)


def leaves_nothing(here: RangeHere, removed: frozenset[str], applied: frozenset[str]) -> Object | None:
    """The Deployment, if every instance of it is to be removed, and none is to run. `applied`: names of ranges."""
    if here.deployment is None or not here.names <= removed or here.pod.name in applied:
        return None
    return here.deployment
