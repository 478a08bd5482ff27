"""Pods that live, crash and hand over, on a virtual clock: with a Discord that replays, a bot, and real files.

The files are real SQLite ones, written in the loop's own thread: so the clock stands still while they are written, and
takes as long as the test says.
"""

import asyncio
import json
from collections import defaultdict
from random import Random

import pytest

from shardpod.protocol import SessionSettings
from shardpod.spool import SpoolFullError
from shardpod.worker import Granted, Wait, Worker, WorkerSettings
from shardpod.worker.link import LinkClosedError
from shardpod.worker.messages import AskPeer, Neighbour, Neighbours, decode, encode
from shardpod.worker.spooler import Spooler

SHARD = 3
WALL = 1.7e9


def now():
    return asyncio.get_running_loop().time()


class Disk:
    """Under all spoolers. `takes` seconds for each call; `error` is what a write that adds something ends with."""

    def __init__(self):
        self.takes = 0.001
        self.error = None
        self.writes = 0
        self.dead = set()  # spoolers of processes that were killed

    async def call(self, spooler, call, *arguments):
        await asyncio.sleep(self.takes)
        if spooler in self.dead:
            await asyncio.Event().wait()
        if call.__name__ == "write":
            self.writes += 1
            if self.error is not None and (arguments[0].add or arguments[0].add_dead):
                raise self.error
        return call(*arguments)

    def fill(self):
        self.error = SpoolFullError("no space left on device")


@pytest.fixture
def disk(monkeypatch):
    made = Disk()

    async def in_thread(spooler, call, *arguments):
        return await made.call(spooler, call, *arguments)

    monkeypatch.setattr(Spooler, "_in_thread", in_thread)
    return made


class Connection:
    """Discord's end of one connection."""

    def __init__(self, discord, listener):
        self.discord = discord
        self.listener = listener
        self.open = True

    def send(self, payload):
        message = json.loads(payload)
        asyncio.get_running_loop().call_later(0.001, self._answer, message["op"], message["d"])

    def close(self, code):
        assert code not in (1000, 1001), "that would end the session"
        self.open = False

    def read(self, *, on):
        pass

    def say(self, op, d=None, *, s=None, t=None):
        if self.open:
            self.listener.message(json.dumps({"t": t, "s": s, "op": op, "d": d}).encode())

    def end(self, code=None):
        if self.open:
            self.open = False
            self.listener.closed(code)

    def _answer(self, op, d):
        if op == 1:
            self.say(11)
        elif op == 2:
            self.discord.identified(self)
        elif op == 6:
            self.discord.resumed(self, d["session_id"], d["seq"])


class Discord:
    """One shard's sessions, each with all of its events. `emit` makes one of them happen in the newest session."""

    def __init__(self):
        self.sessions = {}  # id -> [(type, d)], the first of which has seq 1
        self.connections = {}  # session id -> the one that has it
        self.dials = []
        self.identifies = 0
        self.resumes = []
        self.accepts_resumes = True
        self.resume_takes = 0.0
        self.emitted = []  # (key, guild) of all that a bot must get

    async def connect(self, url, listener):
        self.dials.append(now())
        await asyncio.sleep(0.005)
        connection = Connection(self, listener)
        listener.opened(connection)
        asyncio.get_running_loop().call_soon(lambda: connection.say(10, {"heartbeat_interval": 41250}))

    @property
    def newest(self):
        return list(self.sessions)[-1]

    @property
    def holder(self):
        """The connection that has the newest session, if it is open."""
        connection = self.connections.get(self.newest)
        return connection if connection is not None and connection.open else None

    def identified(self, connection):
        if not connection.open:
            return
        self.identifies += 1
        session_id = f"session-{self.identifies}"
        self.sessions[session_id] = []
        self.connections[session_id] = connection
        guilds = [{"id": str(guild)} for guild in range(1, 4)]
        ready = {"session_id": session_id, "resume_gateway_url": "wss://resume", "guilds": guilds}
        self._happens(session_id, "READY", ready, None)

    def resumed(self, connection, session_id, seq):
        self.resumes.append((session_id, seq))
        asyncio.get_running_loop().call_later(self.resume_takes, self._resume, connection, session_id, seq)

    def _resume(self, connection, session_id, seq):
        if not connection.open:
            return
        if not self.accepts_resumes or session_id not in self.sessions:
            connection.say(9, d=False)
            return
        old, self.connections[session_id] = self.connections[session_id], connection
        if old is not connection:
            old.end(4000)
        for number, (kind, d) in enumerate(self.sessions[session_id][seq:], seq + 1):
            connection.say(0, d, s=number, t=kind)
        self._happens(session_id, "RESUMED", {}, None)

    def _happens(self, session_id, kind, d, guild):
        events = self.sessions[session_id]
        events.append((kind, d))
        if kind != "RESUMED":
            self.emitted.append((f"{session_id}:{len(events)}", guild))
        self.connections[session_id].say(0, d, s=len(events), t=kind)

    def emit(self, *guilds, kind="MESSAGE_CREATE", size=0):
        for guild in guilds:
            self._happens(self.newest, kind, {"guild_id": str(guild), "x": "x" * size}, str(guild))

    async def flow(self, seconds, *, every=0.1, guilds=5):
        """An event each `every` seconds, of one guild after the other."""
        end = now() + seconds
        while now() < end:
            self.emit(len(self.emitted) % guilds + 1)
            await asyncio.sleep(every)


class Bot:
    """All pods' sink. `events`: (key, guild) as taken; with `error` it takes nothing, with `rejects` not that one."""

    def __init__(self):
        self.events = []
        self.error = None
        self.rejects = lambda event: None
        self.takes = 0.005

    def submit(self, batch, done):
        asyncio.get_running_loop().call_later(self.takes, self._take, batch, done)

    def _take(self, batch, done):
        error = self.error or next(filter(None, map(self.rejects, batch.events)), None)
        if error is None:
            self.events += [(event.key, event.guild_id) for event in batch.events if event.type != "RESUMED"]
        done(batch, error)

    async def close(self):
        pass

    @property
    def keys(self):
        return [key for key, _ in self.events]


class Permits:
    """Grants at once, unless it is told not to. `asked`: how often one was wanted in earnest."""

    def __init__(self):
        self.grants = True
        self.asked = 0

    async def ask(self, shard_id, *, ready):
        self.asked += ready
        return Granted(1, 1.0) if ready and self.grants else Wait(0.0 if self.grants else 1.0, "the budget is low")

    def identify_sent(self, shard_id, permit):
        pass


class Pod:
    """One instance: a worker over a scratch directory that outlives it."""

    def __init__(self, pods, name, scratch):
        self.pods = pods
        self.name = name
        self.scratch = scratch
        self.permits = Permits()
        self.worker = None
        self.died = asyncio.Event()

    async def start(self, *, takes_from=(), may_release=False, **settings):
        assert self.worker is None
        if self.scratch is not None:
            self.scratch.mkdir(exist_ok=True)
        session = SessionSettings(token="token", gateway_url="wss://main", compression="none", intents=1)
        known = {"shard_ids": (SHARD,), "shard_count": 16, "session": session, "identity": "me", "senders": 8}
        scratch = None if self.scratch is None else str(self.scratch)
        worker = Worker(
            WorkerSettings(**{**known, "scratch": scratch, **settings}),
            connector=self.pods.discord,
            permits=self.permits,
            sink=self.pods.bot,
            random=Random(2),
            ask_peer=self._ask_peer,
            neighbours=self.neighbours(takes_from=takes_from, may_release=may_release),
            wall=lambda: WALL + now(),
        )
        await worker.start()
        self.died = asyncio.Event()
        self.worker = worker  # nobody can reach it before, as in a worker's process
        return self

    def neighbours(self, *, takes_from=(), may_release=False):
        return Neighbours(
            instance=self.name,
            takes_from=tuple(Neighbour(name, name, 0, 15) for name in takes_from),
            may_release=may_release,
        )

    def told(self, **neighbours):
        """The operator has changed its mind."""
        self.worker.set_neighbours(self.neighbours(**neighbours))

    async def _ask_peer(self, ask: AskPeer):
        return await self.pods.carry(self, ask)

    async def stop(self, drain_for=0.0):
        worker, self.worker = self.worker, None
        await worker.stop(drain_for=drain_for)

    async def crash(self):
        """Killed: its sockets end, nothing more is written, and what only its memory knew is gone."""
        worker, self.worker = self.worker, None
        self.pods.disk.dead.add(worker._spooler)
        self.died.set()
        worker._delivery._closed = True
        await worker._taking.close()
        worker._giving.close()
        for file in worker._spooler.files.values() if worker._spooler else ():
            file.store.close()
        for shard in worker._shards.values():
            shard.runner.stop()
        if worker._spooler is not None and worker._spooler._running is not None:
            worker._spooler._running.cancel()
            await asyncio.gather(worker._spooler._running, return_exceptions=True)

    @property
    def report(self):
        return self.worker.report()

    @property
    def shard(self):
        return self.report.shards[0]

    @property
    def holding(self):
        return self.worker._shards[SHARD].holding


class Pods:
    """All instances, and the network between them: `lost(request)` says which requests get no answer.

    `stands_in(request)`: what a pod says while its worker does not run, if it does.
    """

    def __init__(self, directory, disk):
        self.directory = directory
        self.disk = disk
        self.discord = Discord()
        self.bot = Bot()
        self.all = {}
        self.log = []  # (from, kind of request, kind of answer)
        self.lost = lambda request: False
        self.answer_lost = lambda request: False
        self.stands_in = lambda request: None
        self.latency = 0.002

    def make(self, name, *, on_disk=True):
        pod = self.all[name] = Pod(self, name, self.directory / name if on_disk else None)
        return pod

    async def carry(self, asker, ask):
        request = decode(encode(ask.request))
        await asyncio.sleep(self.latency)
        peer = self.all.get(ask.address)
        if peer is not None and peer.worker is None and (said := self.stands_in(request)) is not None:
            return said
        if peer is None or peer.worker is None or self.lost(request):
            raise LinkClosedError("nobody there")
        answering = asyncio.ensure_future(peer.worker.transfer(request))
        dying = asyncio.ensure_future(peer.died.wait())
        await asyncio.wait([answering, dying], return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if not answering.done():
            answering.cancel()
            raise LinkClosedError("it died before it could answer")
        answer = answering.result()
        self.log.append((asker.name, type(request).__name__, type(answer).__name__))
        await asyncio.sleep(self.latency)
        if self.answer_lost(request):
            raise LinkClosedError("the answer was lost")
        return decode(encode(answer))

    def asked(self, kind):
        return [answer for _, request, answer in self.log if request == kind]

    # What must hold.

    def assert_delivered(self, *, repeats=False):
        """Every event reached the bot, in its guild's order; none twice, unless a fault allows it."""
        emitted = [key for key, _ in self.discord.emitted]
        assert set(emitted) - set(self.bot.keys) == set(), "lost"
        if not repeats:
            assert len(self.bot.keys) == len(set(self.bot.keys)), "doubled"
        first_time = defaultdict(dict)  # a dictionary keeps the order in which keys came first
        for key, guild in self.bot.events:
            first_time[guild][key] = True
        for guild, keys in first_time.items():
            assert list(keys) == [key for key, other in self.discord.emitted if other == guild], f"order of {guild}"

    async def all_is_delivered(self, *alive, repeats=False, flow=1, wait=10):
        """Network and bot are well again, `flow` seconds of events follow: these pods deliver all of one session."""
        self.lost = self.answer_lost = lambda request: False
        self.bot.error = None
        await self.discord.flow(flow)
        await asyncio.sleep(wait)
        await self.settle(*alive)
        assert self.discord.identifies == 1
        self.assert_delivered(repeats=repeats)

    async def settle(self, *pods, within=120.0):
        """Until nothing waits in these pods any more."""
        async with asyncio.timeout(within):
            while any(pod.report.queued_events for pod in pods):  # noqa: ASYNC110 -- on a virtual clock
                await asyncio.sleep(0.05)


async def until(condition, within=60.0):
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 -- on a virtual clock
            await asyncio.sleep(0.01)


@pytest.fixture(scope="session", name="becomes")
def becomes_fixture():
    """Wait on the virtual clock until a condition holds."""
    return until


@pytest.fixture
async def pods(tmp_path, disk):
    made = Pods(tmp_path, disk)
    yield made
    for pod in made.all.values():
        if pod.worker is not None:
            await pod.stop()
