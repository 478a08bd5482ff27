"""Workers of a few lines as real processes, an operator of a few lines, and a pod's configuration."""

import asyncio
import contextlib
import json
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from websockets.asyncio.server import unix_serve
from websockets.exceptions import ConnectionClosed

from shardpod.contract import PermitAnswer
from shardpod.pod import worker_process
from shardpod.pod.config import read_config
from shardpod.protocol import ShardState
from shardpod.worker import ShardReport, WorkerReport

CONTROL_SECRET = "the-control-secret"
TOKEN = "MTk4.the-bots-token.zzz"
STAND_IN = Path(__file__).parent / "stand_in_worker.py"


class Operator:
    """Assigns `assignment` to whoever dials, and permits every identify."""

    def __init__(self, path, assignment):
        self.path = path
        self.assignment = assignment
        self.sockets = []
        self.reports = []
        self.identifies = []
        self.authorizations = set()
        self._permits = 0

    def listening(self):
        return unix_serve(self._serve, str(self.path))

    async def assign(self, assignment):
        """To the pod that has dialled; and to those that dial from now on."""
        self.assignment = assignment
        await self.sockets[-1].send(assignment.model_dump_json())

    async def _serve(self, socket):
        self.authorizations.add(socket.request.headers["Authorization"])
        self.sockets.append(socket)
        with contextlib.suppress(ConnectionClosed):
            if self.assignment is not None:
                await socket.send(self.assignment.model_dump_json())
            async for text in socket:
                message = json.loads(text)
                if message["kind"] == "observed":
                    self.reports.append(message)
                elif message["kind"] == "identify_sent":
                    self.identifies.append(message)
                else:
                    self._permits += 1
                    answer = PermitAnswer(request=message["request"], term=1, permit=self._permits, expires_in=1.0)
                    await socket.send(answer.model_dump_json())

    @property
    def last(self):
        return self.reports[-1] if self.reports else {}


@pytest.fixture(scope="session")
def operator_of():
    return Operator


@pytest.fixture
def short_path():
    """A unix socket's path may have some 100 bytes only."""
    with tempfile.TemporaryDirectory(prefix="pod-") as directory:
        yield Path(directory) / "s"


@pytest.fixture
def environ(short_path):
    return {
        "GATEWAY_POD_NAME": "mybot-e1-0-15",
        "GATEWAY_POD_INSTANCE": "mybot-e1-0-15.7",
        "GATEWAY_CONTROL_ADDRESSES": f"unix:{short_path}",
        "GATEWAY_CONTROL_SECRET": CONTROL_SECRET,
        "DISCORD_TOKEN": TOKEN,
    }


@pytest.fixture
def config(environ):
    return read_config(environ)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Workers are stand-ins that behave as `behave` says: see stand_in_worker.py."""

    def behave(behaviour):
        command = (sys.executable, str(STAND_IN), str(tmp_path), behaviour)
        monkeypatch.setattr(worker_process, "COMMAND", command)

    def heard():
        """What all of them have heard: (pid, message)."""
        file = tmp_path / "heard"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(pid), text) for pid, text in (line.split(" ", 1) for line in lines)]

    behave("obedient")
    return SimpleNamespace(behave=behave, heard=heard, directory=tmp_path, said=lambda: [text for _, text in heard()])


@pytest.fixture
async def ending():
    """Stops what is appended to it, in the end."""
    started = []
    yield started
    await asyncio.gather(*(one.stop(drain_for=0) for one in started))


def make_shard(shard_id=0, state=ShardState.CONNECTED, **fields):
    values = {
        "guilds": 10,
        "unavailable_guilds": 1,
        "all_guilds_loaded": True,
        "latency": 0.04,
        "session_id": "s",
        "resume_gateway_url": "wss://resume",
        "seq": 12,
        "settled_seq": 9,
        "close_code": None,
        "problem": None,
        **fields,
    }
    return ShardReport(shard_id=shard_id, state=state, **values)


def make_report(*shards, **fields):
    values = {
        "queued_events": 3,
        "queued_bytes": 300,
        "queued_longest": 5,
        "oldest_age": 1.5,
        "sink_up": True,
        "sink_problem": None,
        "spooled_events": 2,
        "spooled_bytes": 200,
        "dead_letters": 4,
        "dead_lettered": 8,
        "transfers": 6,
        "received": {"MESSAGE_CREATE": 4, "READY": 2},
        "delivered": 2,
        "filtered": 1,
        "repeated": 7,
        "not_ours": 9,
        "dropped": {"queue_full": {"TYPING_START": 6, 'odd"type\n': 1}},
        "identifies": 2,
        "resumes": 3,
        "sessions_lost": 1,
        **fields,
    }
    return WorkerReport(shards=shards or (make_shard(0), make_shard(1)), **values)


@pytest.fixture(scope="session")
def shard():
    """A shard's report; `fields` are of it."""
    return make_shard


@pytest.fixture(scope="session")
def report():
    """A worker's report, of two connected shards unless others are given."""
    return make_report
