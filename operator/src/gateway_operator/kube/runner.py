"""Runs one gateway on Kubernetes while this replica leads: reads its resource, gives it an operator, reports."""

import asyncio
from contextlib import suppress

import structlog
from pydantic import ValidationError

from gateway_operator.control import Key
from gateway_operator.core.layout import pod_name
from gateway_operator.core.reshard_order import ReshardPreview
from gateway_operator.core.status_model import GatewayStatus
from gateway_operator.core.world import PodSpec
from gateway_operator.model import DiscordGateway
from gateway_operator.operator import keep_passing
from shardpod.contract import ShardRange

from .api import DEPLOYMENT, GATEWAY, ApiError, Object
from .claims import Claim
from .deployment import deployment
from .memory import DeposedError, KubeMemory, StateUnreadableError
from .names import RESHARD_ORDER, RESTART_ORDER
from .reporter import Reporter
from .running import Around, Running, owner_of
from .settings import NotUsableError, Settings, discord_api, parse, read_secrets
from .status_body import read_status
from .unusable import shown

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

REREAD = 10.0
"""Seconds after which resource and Secrets are read again, though nobody said that they changed: Secrets are not
watched, for that would take the right to read all of them."""

RECONNECTING = 10.0
"""Seconds that pods have to dial a new leader until it says that they are not connected."""

FAREWELL = 60.0
"""Seconds that the pods of a deleted gateway can still speak to the operator, at most: until none is connected."""


class Runner:
    """`look` for what it is to run, then `run` until cancelled or the resource is gone."""

    def __init__(self, key: Key, around: Around) -> None:
        self.key = key
        self.changed = asyncio.Event()
        self._around = around
        self._reread_at = 0.0
        self._resource: Object | None = None
        self._settings: Settings | None = None
        self._problem: NotUsableError | None = None
        self._running: Running | None = None
        self._reporter: Reporter | None = None
        self._refused: NotUsableError | None = None
        self._failing: str | None = None
        self._checked_template: object = None
        self._gone = False

    def note_change(self) -> None:
        """Its resource has changed."""
        self._reread_at = 0.0
        self.changed.set()

    def note_pods(self) -> None:
        """Its Deployments or pods have changed."""
        if self._running is not None:
            self._running.pods.note_change()
        self.changed.set()

    def status(self) -> GatewayStatus | None:
        return self._with_trouble(None if self._running is None else self._running.operator.full_status())

    def preview(self, to: int | None) -> ReshardPreview:
        if self._running is None:
            return ReshardPreview(shards=0, message="no shard runs yet: see `status`")
        return self._running.operator.preview(to, in_manifest=True)

    async def run(self) -> None:
        """Pass after pass; returns when the resource is gone. Its pods are told that all ends, and go with it."""
        try:
            await self._pass_until_gone()
            await self._say_farewell()
        finally:
            # Not before: another gateway with this token would run beside pods that have not heard that all ends.
            self._around.claims.give_up(self.key)

    async def _pass_until_gone(self) -> None:
        passing = asyncio.create_task(keep_passing(self.changed, self.one_pass))
        gone = asyncio.create_task(self._until_gone())
        try:
            done, _ = await asyncio.wait((passing, gone), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (passing, gone):
                task.cancel()
            await asyncio.gather(passing, gone, return_exceptions=True)
            if self._running is not None:
                await self._running.stop_reading()

    async def look(self) -> None:
        """Read the resource and what it names, if that is due. Raises ApiError."""
        await self._read_again()

    async def one_pass(self) -> None:
        if not self._around.leads():
            return  # whoever leads now has taken it up, or is about to
        began = self._around.clock()
        try:
            await self._pass()
            self._failing = None
        except (ApiError, DeposedError) as error:
            # The API server is away, or another operator is at work here: no news each second, and no traceback.
            self._around.reconciles.failed(self.key)
            if str(error) != self._failing:
                logger.warning("a pass failed and is tried again", gateway=self._name, problem=str(error))
            self._failing = str(error)
        except BaseException:
            self._around.reconciles.failed(self.key)
            raise
        finally:
            self._around.reconciles.done(self._around.clock() - began)

    async def _pass(self) -> None:
        await self._read_again()
        if self._resource is None:
            return
        if self._settings is not None and self._running is None:
            await self._start(self._settings)
        if self._running is not None:
            self._refused = await self._reconcile(self._running)
        await self._report(None if self._running is None else self._running.operator.status)
        if self._running is not None:
            await self._running.companions.follow(self._running.memory.remembered_shard_set())

    async def _reconcile(self, running: Running) -> NotUsableError | None:
        """What the API server refuses of it: trying again does not mend that, so a person has to hear of it."""
        try:
            await running.operator.reconcile()
        except ApiError as error:
            if not error.refused:
                raise
            self._around.reconciles.failed(self.key)
            refused = NotUsableError("Refused", f"the API server refuses what this gateway needs: {error}")
            if str(refused) != str(self._refused):
                logger.warning("the API server refuses", gateway=self._name, problem=str(error))
            return refused
        return None

    def _with_trouble(self, status: GatewayStatus | None) -> GatewayStatus | None:
        trouble = self._problem or self._refused
        return status if trouble is None else shown(status or self._last_told(), self.key[1], trouble)

    def _last_told(self) -> GatewayStatus | None:
        """What an operator before has told of the pods that run, which must not be lost: it stands in for the state.

        None: none has, or one of another version.
        """
        told = (self._resource or {}).get("status") or {}
        with suppress(ValidationError):
            return read_status(self.key[1], told) if told.get("active") else None
        return None

    async def _report(self, status: GatewayStatus | None) -> None:
        status = self._with_trouble(status)
        if status is None or self._resource is None or self._is_reconnecting(status):
            return
        if self._reporter is None:
            self._reporter = Reporter(
                self._around.api,
                owner_of(self._resource),
                previous=self._resource.get("status") or {},
                clock=self._around.clock,
                calendar=self._around.calendar,
                replica=self._around.replica,
            )
        await self._reporter.report(status, generation=self._resource["metadata"].get("generation", 1))

    def _is_reconnecting(self, status: GatewayStatus) -> bool:
        """The pods of a leader before take a moment to dial this one: what it cannot know yet is no news."""
        running = self._running
        return (
            running is not None
            and running.had_shards
            and status.ready_shards < status.shards
            and self._around.clock() < running.began + RECONNECTING
        )

    async def _until_gone(self) -> None:
        while not self._gone:
            await self.changed.wait()
            await asyncio.sleep(0.1)

    async def _read_again(self) -> None:
        """The resource and its Secrets. What cannot be used becomes the problem, and what runs goes on."""
        now = self._around.clock()
        if now < self._reread_at:
            return
        self._reread_at = now + REREAD
        try:
            resource = await self._around.api.get(GATEWAY, *self.key)
            if resource is None or "deletionTimestamp" in resource["metadata"] or self._is_another(resource):
                self._resource, self._gone = None, True
                self.changed.set()
                return
            self._resource = resource
            await self._take_settings(resource)
            self._problem = None
        except NotUsableError as problem:
            if self._problem is None or str(problem) != str(self._problem):
                logger.warning("gateway cannot be followed", gateway=self._name, problem=str(problem))
            self._problem = problem
            if self._running is not None and self._resource is not None:
                # To give up a reshard must be possible whatever is wrong with the rest.
                self._running.heed(_order(self._resource))
        except BaseException:
            self._reread_at = 0.0
            raise

    def _is_another(self, resource: Object) -> bool:
        """Deleted, and made anew with the same name, since it was read: what was made for the one goes with it."""
        return self._resource is not None and resource["metadata"]["uid"] != self._resource["metadata"]["uid"]

    @property
    def _name(self) -> str:
        return "/".join(self.key)

    async def _take_settings(self, resource: Object) -> None:
        spec = resource.get("spec") or {}
        problem: NotUsableError | None = None
        try:
            gateway = parse(resource, spec)
        except NotUsableError as error:
            problem = error
            if self._settings is not None or (spec := await self._last_right_spec()) is None:
                raise
            gateway = parse(resource, spec)
        secrets = await read_secrets(self._around.api, gateway)
        self._around.keep_out_of_logs(self.key, secrets.all())
        annotations = resource["metadata"].get("annotations") or {}
        settings = Settings(gateway, spec, secrets, annotations.get(RESTART_ORDER, ""))
        discord_api(settings)
        await self._check_template(resource, gateway)
        self._claim(settings)  # last: until the others are in force, the claim of the settings before stays
        self._settings = settings
        if self._running is not None:
            self._running.take(settings, order=_order(resource))
        if problem is not None:
            raise problem

    def _claim(self, settings: Settings) -> None:
        claim = Claim.of(settings.gateway.spec, token=settings.secrets.token_digest)
        first = self._around.claims.make(self.key, claim)
        if first is not None:
            raise NotUsableError(
                "TokenInUse",
                f"the DiscordGateway {'/'.join(first)} runs with the same token already: give this one another bot's "
                "token, or each its part of the same spec.shards (spec.sharding.firstShardId and lastShardId)",
            )

    async def _check_template(self, resource: Object, gateway: DiscordGateway) -> None:
        """What is in `spec.template` only the API server can judge: it is asked before a running pod depends on it."""
        template = gateway.spec.template
        if template is None or template == self._checked_template:
            return
        nobody = ShardRange(first_shard_id=0, last_shard_id=0)
        sample = deployment(
            PodSpec(pod_name(gateway.metadata.name, 0, nobody), 0, nobody),
            owner=owner_of(resource),
            spec=gateway.spec,
            revision="sample",
            wanted_number=0,
            settings=self._around.pod_settings,
        )
        try:
            await self._around.api.apply(DEPLOYMENT, sample, dry_run=True)
        except ApiError as error:
            if not error.refused:
                raise
            raise NotUsableError(
                "TemplateRefused", f"spec.template makes a pod that the API server refuses: {error.said}"
            ) from None
        self._checked_template = template

    async def _last_right_spec(self) -> dict[str, object] | None:
        """With which the gateway ran before this operator began; None if it never did."""
        try:
            return await KubeMemory.last_right_spec(self._around.api, *self.key)
        except StateUnreadableError:
            return None  # which is told once the spec is right

    async def _start(self, settings: Settings) -> None:
        assert self._resource is not None, "its settings were read off it"
        try:
            self._running = await Running.started(self._around, self.key, self._resource, settings, self.changed)
        except StateUnreadableError as error:
            self._problem = NotUsableError("StateUnreadable", str(error))
            return
        self._running.take(settings, order=_order(self._resource))
        logger.info("gateway taken up", gateway=self._name, term=self._running.memory.state.term)

    async def _say_farewell(self) -> None:
        if self._running is not None and self._around.leads():
            logger.info("gateway deleted: its pods are told that all ends", gateway=self._name)
            await self._running.operator.tell_that_all_ends()
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    while any(pod.connected for pod in self._running.control.pods().values()):
                        self.changed.clear()
                        await self.changed.wait()


def _order(resource: Object) -> str:
    """What people ask for about reshards; empty: nothing."""
    return str((resource["metadata"].get("annotations") or {}).get(RESHARD_ORDER, ""))
