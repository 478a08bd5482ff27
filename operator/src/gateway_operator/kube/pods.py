"""Runs the instances of shard pods as pods of Deployments. Level-triggered, like the operator's loop that calls it.

Deployments and pods are listed whenever something is said to have changed, and now and then besides: what is not seen
by a watch is seen then.
"""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus

import structlog

from gateway_operator.core.world import InstanceSpec
from gateway_operator.seams import InstanceHere

from .api import DEPLOYMENT, POD, ApiError, KubeApi, Object
from .instances import Gathered, gather, here
from .names import NUMBER, WANTED_NUMBER, pod_selector
from .steps import Apply, Await, leaves_nothing, step_for

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

RELIST = 10.0
"""Seconds after which all is listed again, though nothing was said to have changed."""


class KubePods:
    """The instances of one gateway. `deployment_for` builds the Deployment that makes an instance its next pod.

    `note_change` is to be called when a watch tells of something. `highest`: the highest number that is stored.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        gateway: str,
        *,
        deployment_for: Callable[[InstanceSpec], Object],
        clock: Callable[[], float],
        highest: int,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._selector = pod_selector(gateway)
        self._deployment_for = deployment_for
        self._clock = clock
        self._here = Gathered({}, {}, highest)
        self._list_at = 0.0
        self._listed = False
        self._started_at: dict[tuple[str, int], float] = {}
        self._applied: set[str] = set()
        self._removed: set[str] = set()

    def note_change(self) -> None:
        self._list_at = 0.0

    async def observe(self) -> Mapping[str, InstanceHere]:
        """Every instance of which there is a pod, or is to be one."""
        now = self._clock()
        if now >= self._list_at:
            # Set before it is listed: a change that comes meanwhile is a reason to list again.
            self._list_at = now + RELIST
            try:
                await self._list(now)
            except BaseException:
                self._list_at = 0.0
                raise
        self._applied, self._removed = set(), set()
        found = (here(one, started_at=self._started_at) for one in self._here.ranges.values())
        return {one.spec.name: one for group in found for one in group}

    async def apply(self, spec: InstanceSpec) -> None:
        """See that the instance runs, or comes."""
        self._applied.add(spec.pod.name)
        there = self._here.ranges.get(spec.pod.name)
        match step_for(spec, there):
            case Apply():
                await self._api.apply(DEPLOYMENT, self._deployment_for(spec))
                self.note_change()
                logger.info("pod planned", instance=spec.name, revision=spec.revision)
            case Await(end=former):
                note = {"metadata": {"annotations": {WANTED_NUMBER: str(spec.number)}}}
                await self._api.patch(DEPLOYMENT, self._namespace, spec.pod.name, note)
                if former is not None:
                    await self._api.delete(POD, self._namespace, former.spec.name, uid=former.uid)
                self.note_change()

    async def stop(self, name: str) -> None:
        """See that the range's pods end; its Deployment stays, and makes them again when it is applied."""
        there = next((one for one in self._here.ranges.values() if name in one.names), None)
        if there is not None and there.deployment is not None and there.deployment["spec"].get("replicas") != 0:
            await self._api.patch(DEPLOYMENT, self._namespace, there.pod.name, {"spec": {"replicas": 0}})
            self.note_change()

    async def remove(self, name: str) -> None:
        """Of a Deployment that goes on the former pods are ended by Kubernetes; one whose pods all go is deleted."""
        self._removed.add(name)
        removed, applied = frozenset(self._removed), frozenset(self._applied)
        for there in self._here.ranges.values():
            if name in there.names and (doomed := leaves_nothing(there, removed, applied)):
                await self._api.delete(DEPLOYMENT, self._namespace, there.pod.name, uid=doomed["metadata"]["uid"])
                self.note_change()

    async def _list(self, now: float) -> None:
        deployments, pods = await asyncio.gather(
            self._api.find(DEPLOYMENT, self._namespace, self._selector),
            self._api.find(POD, self._namespace, self._selector),
        )
        gathered = gather(deployments, pods, highest=self._here.highest)
        for name, number in gathered.to_number.items():
            await self._note_number(name, number)
        self._note_starts(gathered, now)
        self._here = gathered

    async def _note_number(self, name: str, number: int) -> None:
        note = {"metadata": {"annotations": {NUMBER: str(number)}}}
        try:
            await self._api.patch(POD, self._namespace, name, note)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            self.note_change()  # it is gone since it was listed
        else:
            logger.info("pod seen", instance=name, number=number)

    def _note_starts(self, gathered: Gathered, now: float) -> None:
        """When each container was seen first; one that was there before this operator has always been."""
        known = {(one.uid, one.restarts): one for group in gathered.ranges.values() for one in group.instances}
        first_seen = now if self._listed else 0.0
        self._started_at = {key: self._started_at.get(key, first_seen) for key in known}
        self._listed = True
