"""Operators, one after the other: all of the real one, and between them what was stored."""

import asyncio
from datetime import UTC, datetime
from random import Random

from gateway_operator.control import ControlServer
from gateway_operator.core.identify_ledger import IdentifyLedger
from gateway_operator.core.leases import LeaseBook
from gateway_operator.core.reshard_record import ReshardRecord
from gateway_operator.core.world import GatewayInfo, ReshardRequest
from gateway_operator.model import DiscordGateway
from gateway_operator.operator import Operator

from .network import Network, tear_all_of
from .pods import Pods
from .start_limit import StartLimit
from .virtual_loop import Process

WALL = 1_700_000_000.0
BEFORE_THE_FIRST = 10.0
"""Seconds for which nobody had led when the first operator begins: it has no permits of another to wait for."""


class Memory:
    """What is stored. `history`: every record, and when it was stored."""

    def __init__(self) -> None:
        self.history: list[tuple[float, ReshardRecord]] = []
        self.active = None
        self.actives: list[tuple[float, object]] = []
        self._checkpoints = {}
        self._numbers = {"number": 0, "restarts": 0}
        self.stored = asyncio.Event()

    @property
    def record(self) -> ReshardRecord:
        return self.history[-1][1] if self.history else ReshardRecord()

    def remembered_shard_set(self):
        return self.active

    def remember_shard_set(self, active) -> None:
        self.active = active
        self.actives.append((asyncio.get_running_loop().time(), active))

    def remembered_checkpoints(self):
        return dict(self._checkpoints)

    def remember_checkpoints(self, checkpoints) -> None:
        self._checkpoints = dict(checkpoints)

    def remembered_reshard(self) -> ReshardRecord:
        return self.record

    def remember_reshard(self, record: ReshardRecord) -> None:
        self.history.append((asyncio.get_running_loop().time(), record))
        self.stored.set()

    async def flush(self) -> None:
        """All is stored at once."""

    def last_number(self) -> int:
        return self._numbers["number"]

    def remember_last_number(self, number: int) -> None:
        self._numbers["number"] = number

    def restarts(self) -> int:
        return self._numbers["restarts"]

    def remember_restarts(self, restarts: int) -> None:
        self._numbers["restarts"] = restarts


class Answer:
    """GET /gateway/bot, asked by each operator at its start and now and then."""

    def __init__(self, limit: StartLimit) -> None:
        self.problem = None
        self._limit = limit
        self._read_at = -1e9
        self._info: GatewayInfo | None = None

    @property
    def info(self) -> GatewayInfo:
        now = asyncio.get_running_loop().time()
        if now - self._read_at > self._limit.told_every:
            self._read_at = now
            told = self._limit.tell(now)
            self._info = GatewayInfo(
                url="wss://discord",
                recommended_shards=1,
                total=told.total,
                remaining=told.remaining,
                reset_at=told.resets_at,
                max_concurrency=told.max_concurrency,
                read_at=now,
            )
        return self._info


class Guarded:
    """Memory and machine of a leader: closed to it when another has taken its place."""

    def __init__(self, leader: "Leader", of: Memory | Pods) -> None:
        self._leader = leader
        self._of = of

    def __getattr__(self, name: str):
        if self._leader.overthrown:
            raise OSError("another one leads")
        return getattr(self._of, name)


class Leader:
    """One operator, from its start to its death."""

    def __init__(self, term: int, gateway: DiscordGateway, memory: Memory, pods: Pods, limit: StartLimit) -> None:
        self.overthrown = False
        self.process = Process(f"operator {term}")
        self.process.run(self._start, term, gateway, memory, pods, limit)

    def _start(self, term: int, gateway: DiscordGateway, memory: Memory, pods: Pods, limit: StartLimit) -> None:
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        led_since = loop.time() - (BEFORE_THE_FIRST if term == 1 else 0.0)
        ledger, leases = IdentifyLedger(started_at=led_since), LeaseBook()
        self.control = ControlServer(
            term=term, secret="c", ledger=ledger, leases=leases, changed=changed, clock=loop.time
        )
        self.operator = Operator(
            gateway,
            secrets_digest="",
            discord=Answer(limit),
            pods=Guarded(self, pods),
            control=self.control,
            ledger=ledger,
            leases=leases,
            memory=Guarded(self, memory),
            changed=changed,
            clock=loop.time,
            calendar=lambda: datetime.fromtimestamp(WALL + loop.time(), UTC),
        )
        self.leases = leases
        self.running = loop.create_task(self.operator.run())


class Operators:
    """Whoever leads. `wish` is what a person asks for."""

    def __init__(
        self, gateway: DiscordGateway, network: Network, pods: Pods, random: Random, limit: StartLimit
    ) -> None:
        self.memory = Memory()
        self.term = 0
        self._gateway = gateway
        self._network = network
        self._pods = pods
        self._random = random
        self._limit = limit

    @property
    def leader(self) -> Leader:
        return self._network.leader

    def begin(self) -> None:
        self.term += 1
        leader = Leader(self.term, self._gateway, self.memory, self._pods, self._limit)
        self._network.leader = leader
        self._network.leaders.append(leader)

    def crash(self) -> None:
        self.kill(self.leader)

    def overthrow(self) -> Leader:
        """It can store and start nothing any more, and knows that it may grant no leases; but it goes on talking."""
        leader = self.leader
        leader.overthrown = True
        leader.leases.follow(None, givers=(), takers=(), lasts=0.0, closed=True)
        return leader

    def kill(self, leader: Leader) -> None:
        asyncio.get_running_loop().call_soon(tear_all_of, self._network, leader.process)
        leader.process.kill()

    def wish(self, request: ReshardRequest) -> None:
        if not self.leader.process.dead:
            self.leader.process.run(self.leader.operator.request_reshard, request)
