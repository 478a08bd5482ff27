"""The operator's loop: gather the world once, plan, carry out, tell the pods, and say how things stand.

Level-triggered: events only wake it, and a pass looks at everything anew, so an event missed or doubled changes
nothing. What must survive a restart (`Memory`) is stored before a pass acts on it. What the operator touches
(Discord, the machine pods run on, the pods) it touches through seams.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import structlog

from shardpod.contract import Assignment

from .control import PodHeard
from .core.checkpoints import another_session, of_live_sets, with_reports
from .core.identify_ledger import IdentifyLedger
from .core.leases import LeaseBook
from .core.plan import plan
from .core.reshard_order import ReshardAnswer, ReshardOrder, ReshardPreview, preview, take_order
from .core.status import status, with_rows
from .core.status_model import Condition, ConditionStatus, GatewayStatus
from .core.world import InstanceSeen, Plan, ReshardRequest, World
from .model import DiscordGateway
from .resharding import Resharding
from .seams import ControlChannel, GatewayBotAnswer, InstanceHere, Memory, Pods

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

RESYNC = 1.0
"""Seconds between two passes at most: what no event tells of is seen by then, such as a pod's backoff that is over."""

CALM = 0.1
"""Seconds between two passes at least: many reports at once are one reason to look."""

CHECKPOINT_INTERVAL = 5.0
"""Seconds between two writes of checkpoints whose sessions are the same: what is lost is repeated by Discord."""

TAKEOVER_AFTER = 30.0
"""Seconds without a word from an instance that is being ended, until it counts as dead: its node may be lost."""

TELLING = 2.0
"""Seconds that connected pods get to hear that they end for good, before they are told to stop."""


class Operator:
    """Runs one gateway. `changed` wakes the loop; `status`, a summary, is None until the first pass is through.

    `clock` is monotonic, in seconds, and the one that the adapters use; `calendar` tells the same moment's date.
    `secrets_digest` tells apart what pods are started with and the manifest does not tell, secrets above all.
    """

    def __init__(
        self,
        gateway: DiscordGateway,
        *,
        secrets_digest: str,
        discord: GatewayBotAnswer,
        pods: Pods,
        control: ControlChannel,
        ledger: IdentifyLedger,
        leases: LeaseBook,
        memory: Memory,
        changed: asyncio.Event,
        clock: Callable[[], float],
        calendar: Callable[[], datetime],
    ) -> None:
        self.status: GatewayStatus | None = None
        self._gateway = gateway
        self._secrets_digest = secrets_digest
        self._discord = discord
        self._pods = pods
        self._control = control
        self._ledger = ledger
        self._leases = leases
        self._memory = memory
        self._changed = changed
        self._clock = clock
        self._calendar = calendar
        self._active = memory.remembered_shard_set()
        self._last_number = memory.last_number()
        self._restarts = memory.restarts()
        self._checkpoints = self._stored_checkpoints = memory.remembered_checkpoints()
        self._resharding = Resharding(memory, leases, now=clock(), wall_now=calendar().timestamp())
        self._world = World(active=self._active)
        self._told = gateway, self._world, Plan(active=None)
        self._store_due = self._began = clock()
        self._assigned: Mapping[str, Assignment] = {}

    async def run(self) -> None:
        """Pass after pass, until cancelled."""
        await keep_passing(self._changed, self.reconcile)

    async def reconcile(self) -> None:
        """One pass: everything is looked at once, then decided, then done."""
        now = self._clock()
        self._update_ledger()
        self._world = world = await self._gather()
        self._store_checkpoints(now)
        wanted = plan(self._gateway, world, now)
        self._remember(wanted)
        await self._memory.flush()
        self._resharding.follow(wanted)
        await self._carry_out(wanted)
        self._publish(status(self._gateway, world, wanted, self._ledger.view(now), now, wall_now=self._calendar()))
        self._told = self._gateway, world, wanted

    def full_status(self) -> GatewayStatus | None:
        """The last pass's status with a row for each shard and instance: made anew for whoever asks."""
        if self.status is None:
            return None
        return with_rows(self.status, *self._told)

    def restart(self, gateway: DiscordGateway, *, secrets_digest: str, replace_all: bool) -> int:
        """Run the gateway by this manifest and these secrets from now on; the number of the restart.

        Pods whose settings have changed are replaced one after the other, with `replace_all` the others as well.
        """
        if replace_all:
            self._memory.remember_restarts(self._restarts + 1)
            self._restarts += 1
        self._gateway, self._secrets_digest = gateway, secrets_digest
        self._changed.set()
        return self._restarts

    def request_reshard(self, request: ReshardRequest) -> None:
        """What a person wants of resharding from now on; stored at once, and begun in the next pass."""
        self._resharding.ask(request)
        self._changed.set()

    def take(self, order: ReshardOrder) -> ReshardAnswer:
        """An order to reshard, refused with the reason where it cannot be followed."""
        request, answer = take_order(order, self._gateway.spec, self._known())
        if request is not None:
            self.request_reshard(request)
        return answer

    def preview(self, to: int | None, *, in_manifest: bool = False) -> ReshardPreview:
        """What a reshard would do, to so many shards or to the number that is wanted.

        `in_manifest`: whoever asks would write the number into spec.shards.
        """
        spec = self._gateway.spec
        if in_manifest and to is not None:
            spec = spec.model_copy(update={"shards": to})
        return preview(spec, self._known(), to)

    def _known(self) -> World:
        """The world of the last pass, with what has been decided since."""
        record = self._resharding.record
        return replace(
            self._world,
            active=self._active,
            reshard=record.reshard,
            request=record.request,
            aborted=record.aborted,
            ledger=self._ledger.view(self._clock()),
            wall_now=self._calendar().timestamp(),
        )

    async def stop_pods(self, *, hurry: bool = False) -> None:
        """End every pod for good, waiting for each. Sessions and what waits are kept for the next start."""
        if not hurry:
            await self.tell_that_all_ends()
        while running := [name for name, process in (await self._pods.observe()).items() if process.running]:
            self._note_reports()
            for name in running:
                await self._pods.stop(name)
            await asyncio.sleep(CALM)
        self._note_reports()
        self._store_checkpoints(self._clock(), at_once=True)

    async def tell_that_all_ends(self) -> None:
        """A pod that is only told to stop waits for a successor, and none will come. Waits until they have heard."""
        ending = {name: one.model_copy(update={"role": "ending"}) for name, one in self._assigned.items()}
        self._control.assign(ending)
        with suppress(TimeoutError):
            async with asyncio.timeout(TELLING):
                while self._still_to_hear(ending):
                    self._changed.clear()
                    await self._changed.wait()

    def _still_to_hear(self, ending: Mapping[str, Assignment]) -> bool:
        heard = self._control.pods()
        return any(name in heard and heard[name].connected and heard[name].told != "ending" for name in ending)

    def _update_ledger(self) -> None:
        if self._discord.info is not None:
            spec = self._gateway.spec
            self._ledger.update(
                self._discord.info,
                reserve=spec.reshard.identify_reserve,
                max_concurrency=spec.sharding.max_concurrency,
                spawn_delay=spec.sharding.spawn_shard_delay,
            )

    async def _gather(self) -> World:
        processes = await self._pods.observe()
        heard = self._note_reports()
        record = self._resharding.record
        return World(
            info=self._discord.info,
            info_problem=self._discord.problem,
            active=self._active,
            instances={name: self._seen(process, heard.get(name)) for name, process in processes.items()},
            checkpoints=self._checkpoints,
            secrets_digest=self._secrets_digest,
            restarts=self._restarts,
            last_number=self._last_number,
            last_epoch=record.last_epoch,
            last_handover=record.last_handover,
            reshard=record.reshard,
            request=record.request,
            aborted=record.aborted,
            lease=self._leases.view(),
            ledger=self._ledger.view(self._clock()),
            wall_now=self._calendar().timestamp(),
        )

    def _seen(self, here: InstanceHere, heard: PodHeard | None) -> InstanceSeen:
        if here.ending and here.running and not (heard is not None and heard.connected):
            last_word = max(self._began, here.started_at, heard.heard_at if heard is not None else 0.0)
            # Architecture, Takeover: its node may be lost, and its successor must not wait for ever.
            if self._clock() - last_word > TAKEOVER_AFTER:
                here = replace(here, running=False, scratch=frozenset(), problem="nothing is heard of it any more")
        return _seen(here, heard)

    def _note_reports(self) -> Mapping[str, PodHeard]:
        heard = self._control.pods()
        in_order = sorted(heard.values(), key=lambda one: one.heard_at)
        known = with_reports(self._checkpoints, (one.observed for one in in_order))
        if self._active is not None:
            # A shard set that is over must not be resumed by a later one of the same size.
            known = of_live_sets(known, {self._active.shard_count} | self._resharding.shard_counts)
        self._checkpoints = known
        return heard

    def _store_checkpoints(self, now: float, *, at_once: bool = False) -> None:
        if self._checkpoints == self._stored_checkpoints:
            return
        at_once = at_once or another_session(self._stored_checkpoints, self._checkpoints)
        if not at_once and now < self._store_due:
            return
        try:
            self._memory.remember_checkpoints(self._checkpoints)
        except OSError as error:
            # Pods keep their own; what is not stored is needed only if a pod loses its scratch as well.
            logger.warning("the sessions cannot be stored, which is tried again", problem=str(error))
        self._stored_checkpoints, self._store_due = self._checkpoints, now + CHECKPOINT_INTERVAL

    def _remember(self, wanted: Plan) -> None:
        """Before anything is started: no epoch and no number may be in use that the next operator would not know of.

        The sessions of a range that changes its owner come first: what its pods have settled is theirs by them. The
        active set comes before the end of the reshard that made it, for that end is found again.
        """
        if self._resharding.commits(wanted):
            self._memory.remember_checkpoints(self._checkpoints)
            self._stored_checkpoints = self._checkpoints
        if wanted.active is not None and wanted.active != self._active:
            self._memory.remember_shard_set(wanted.active)
            self._active = wanted.active
        if wanted.last_number != self._last_number:
            self._memory.remember_last_number(wanted.last_number)
            self._last_number = wanted.last_number
        self._resharding.remember(wanted)

    async def _carry_out(self, wanted: Plan) -> None:
        """Before one is removed, all are told what they are to do: none may wait for an instance that is gone."""
        for spec in wanted.to_run:
            await self._pods.apply(spec)
        self._assigned = wanted.assignments
        self._control.assign(wanted.assignments)
        for name in wanted.stop:
            await self._pods.stop(name)
        for name in wanted.remove:
            await self._pods.remove(name)

    def _publish(self, new: GatewayStatus) -> None:
        old, self.status = self.status, new
        if old is None or old.phase != new.phase:
            logger.info("phase changed", phase=new.phase, ready=new.ready_shards, shards=new.shards, guilds=new.guilds)
        for condition in filter(_is_trouble, new.conditions):
            before = old.condition(condition.type) if old else None
            if before is None or before.reason != condition.reason:
                logger.warning("trouble", reason=condition.reason, problem=condition.message)


async def keep_passing(changed: asyncio.Event, one_pass: Callable[[], Awaitable[None]]) -> None:
    """Pass after pass, until cancelled. One that fails is told and tried again: pods need no operator."""
    while True:
        changed.clear()
        try:
            await one_pass()
        except Exception:
            logger.exception("a pass failed and is tried again", again_in=RESYNC)
        await asyncio.sleep(CALM)
        with suppress(TimeoutError):
            async with asyncio.timeout(RESYNC):
                await changed.wait()


def _is_trouble(condition: Condition) -> bool:
    """What people should hear of at once; the others tell of progress, and the phase does so too."""
    bad = {"Degraded": ConditionStatus.TRUE, "IdentifyBudgetOK": ConditionStatus.FALSE}
    return bad.get(condition.type) == condition.status


def _seen(process: InstanceHere, heard: PodHeard | None) -> InstanceSeen:
    if heard is not None and process.running and heard.heard_at < process.started_at:
        # The last words of the process before this one: what it held, and that it was stopping, is over.
        heard = None
    observed = heard.observed if heard else None
    last_words = observed.why_not_ready if observed else None
    problem = process.problem
    return InstanceSeen(
        spec=process.spec,
        running=process.running,
        connected=process.running and heard is not None and heard.connected,
        observed=observed,
        problem=f"{problem}; it last said: {last_words}" if problem and last_words else problem,
        stopping=process.running and (process.ending or (observed is not None and observed.stopping)),
        scratch=process.scratch,
        told=heard.told if heard else None,
    )
