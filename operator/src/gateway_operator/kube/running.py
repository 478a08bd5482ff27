"""A gateway that has settings: its operator, and all that this works through on Kubernetes."""

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog

from gateway_operator.control import ControlServer, ControlService, Key
from gateway_operator.core.identify_ledger import IdentifyLedger
from gateway_operator.core.leases import LeaseBook
from gateway_operator.core.reshard_order import ReshardOrder
from gateway_operator.core.world import InstanceSpec
from gateway_operator.discord_api import DiscordOfNow
from gateway_operator.gateway_bot_watch import GatewayBotWatch
from gateway_operator.operator import Operator

from .api import KubeApi, Object
from .claims import Claims
from .companions import Companions, control_secret
from .deployment import deployment
from .memory import KubeMemory
from .metrics import Reconciles
from .names import RESHARD_ORDER, Owner
from .pod_template import PodSettings, template_digest
from .pods import KubePods
from .settings import Secrets, Settings, discord_api

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Around:
    """What all gateways of an operator share. `image`: the one that a new gateway's pods begin with."""

    api: KubeApi
    control: ControlService
    claims: Claims
    leads: Callable[[], bool]
    pod_settings: PodSettings
    operator_namespace: str
    replica: str
    reconciles: Reconciles
    clock: Callable[[], float]
    jitter: random.Random
    keep_out_of_logs: Callable[[Key, tuple[str, ...]], None]
    calendar: Callable[[], datetime] = lambda: datetime.now(UTC)
    ledgers: dict[str, IdentifyLedger] = field(default_factory=dict)

    def ledger_of(self, secrets: Secrets) -> IdentifyLedger:
        """One a token: Discord counts the identifies of a bot, however many gateways hold its shards."""
        if secrets.token_digest not in self.ledgers:
            self.ledgers[secrets.token_digest] = IdentifyLedger(started_at=self.clock())
        return self.ledgers[secrets.token_digest]


_ORDERS = ("", "abort", "pause", "begin")


class Running:
    """A gateway that has settings: its operator, and what that works through."""

    def __init__(
        self,
        around: Around,
        key: Key,
        owner: Owner,
        settings: Settings,
        memory: KubeMemory,
        secret: str,
        changed: asyncio.Event,
    ) -> None:
        self.memory = memory
        self.began = around.clock()
        self.had_shards = memory.remembered_shard_set() is not None
        self.companions = Companions(
            around.api, owner, secret=secret, operator_namespace=around.operator_namespace, clock=around.clock
        )
        self._around = around
        self._owner = owner
        self._secret = secret
        self._settings = settings
        self._discord = DiscordOfNow(discord_api(settings))
        clock = around.clock
        self._watch = GatewayBotWatch(self._discord, changed=changed.set, clock=clock, jitter=around.jitter)
        ledger, leases = around.ledger_of(settings.secrets), LeaseBook()
        self.control = ControlServer(
            term=memory.state.term,
            secret=secret,
            ledger=ledger,
            leases=leases,
            changed=changed,
            clock=clock,
            leads=around.leads,
        )
        self._keep_image(settings)
        self.pods = KubePods(
            around.api,
            owner.namespace,
            owner.name,
            deployment_for=self._deployment_for,
            clock=clock,
            highest=memory.last_number(),
        )
        self.operator = Operator(
            settings.gateway,
            secrets_digest=self._digest(settings),
            discord=self._watch,
            pods=self.pods,
            control=self.control,
            ledger=ledger,
            leases=leases,
            memory=memory,
            changed=changed,
            clock=clock,
            calendar=around.calendar,
        )
        around.control.register(key, self.control)
        self._reading = asyncio.create_task(self._watch.keep_reading(0.0))

    @classmethod
    async def started(
        cls, around: Around, key: Key, resource: Object, settings: Settings, changed: asyncio.Event
    ) -> "Running":
        """Take the gateway up. Raises ApiError, StateUnreadableError."""
        owner = owner_of(resource)
        memory = await KubeMemory.taken_up(
            around.api, owner, resource.get("status") or {}, clock=around.clock, calendar=around.calendar
        )
        secret = await control_secret(around.api, owner)
        around.keep_out_of_logs(key, (*settings.secrets.all(), secret))
        return cls(around, key, owner, settings, memory, secret, changed)

    def take(self, settings: Settings, *, order: str) -> None:
        """Run by these settings, and heed this order, from now on."""
        before, self._settings = self._settings, settings
        if (settings.secrets, settings.gateway.spec.discord) != (before.secrets, before.gateway.spec.discord):
            self._discord.api = discord_api(settings)
            self._reading.cancel()
            self._reading = asyncio.create_task(self._watch.keep_reading(0.0))
        self._keep_image(settings)
        self.memory.state = replace(self.memory.state, spec=settings.spec)
        self.operator.restart(settings.gateway, secrets_digest=self._digest(settings), replace_all=False)
        self.heed(order)

    async def stop_reading(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    def heed(self, order: str) -> None:
        """The annotation is state; `abort` and `begin` are something to be done once, when the annotation changes.

        `begin`: what spec.shards asks for, though a reshard to it was given up.
        """
        state = self.memory.state
        if order == state.order:
            return
        self.memory.state = replace(state, order=order)
        if order not in _ORDERS:
            logger.warning(
                "an annotation says nothing that can be done: it may be abort, pause or begin",
                annotation=RESHARD_ORDER,
                gateway=self._owner.name,
                order=order[:40],
            )
            return
        answer = self.operator.take(self._as_order(order))
        say = logger.warning if answer.problems else logger.info
        said = "; ".join(answer.problems) or answer.message
        say("order to the reshard", gateway=self._owner.name, order=order or "none", answer=said)

    def _as_order(self, order: str) -> ReshardOrder:
        match order:
            case "abort":
                return ReshardOrder(abort=True)
            case "begin":
                return ReshardOrder(to=self._settings.gateway.spec.shards, wait=True)
        return ReshardOrder(pause=order == "pause")

    def _keep_image(self, settings: Settings) -> None:
        """Upgrading the operator alone restarts no shard: its image is taken up at the start, and by a restart."""
        state = self.memory.state
        if not state.image or state.restart != settings.restart:
            image = self._around.pod_settings.image
            self.memory.state = replace(state, image=image, restart=settings.restart)

    def _digest(self, settings: Settings) -> str:
        """All that a pod is started with, and the manifest does not tell."""
        parts = (
            settings.secrets.digest(self._secret),
            template_digest(settings.gateway.spec, self.memory.state.image),
            settings.restart,
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _deployment_for(self, spec: InstanceSpec) -> Object:
        return deployment(
            spec.pod,
            owner=self._owner,
            spec=self._settings.gateway.spec,
            revision=spec.revision,
            wanted_number=spec.number,
            settings=replace(self._around.pod_settings, image=self.memory.state.image),
        )


def owner_of(resource: Object) -> Owner:
    """The resource as the owner of what is made for it."""
    metadata = resource["metadata"]
    return Owner(metadata["namespace"], metadata["name"], metadata["uid"])
