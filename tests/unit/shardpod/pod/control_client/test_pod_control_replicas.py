"""One host name, many replicas of the operator, of which one leads: how the pod finds it."""

import asyncio
import contextlib
import socket
from itertools import pairwise
from random import Random

import pytest
import structlog.testing
from websockets.asyncio.server import serve

import shardpod.pod.control_addresses as addresses
import shardpod.pod.control_client as module
from shardpod.contract import NotLeader, Observed
from shardpod.pod.control_addresses import Replica, replicas_of
from shardpod.pod.control_client import ControlClient

URL = "ws://control.bots.svc:{port}/v1/control/bots/mybot"
NOBODY = "127.0.0.9"


class Replicas:
    """Operators at addresses of their own and one port, behind one name."""

    def __init__(self, *operators) -> None:
        self.at = {f"127.0.0.{number}": operator for number, operator in enumerate(operators, 2)}
        self.told = list(self.at)
        self.asked = 0
        self.port = 0

    @contextlib.asynccontextmanager
    async def listening(self):
        async with contextlib.AsyncExitStack() as stack:
            for host, operator in self.at.items():
                server = await stack.enter_async_context(serve(operator._serve, host, self.port))
                self.port = server.sockets[0].getsockname()[1]
            yield URL.format(port=self.port)

    async def resolve(self, address):
        self.asked += 1
        if not self.told:
            raise socket.gaierror(-2, "Name or service not known")
        return [Replica(address, host, self.port) for host in self.told]


@pytest.fixture
def leader(make_operator, assignment):
    made = make_operator()
    made.greeting = [assignment()]
    return made


@pytest.fixture
def standby(make_operator):
    made = make_operator()
    made.greeting = [NotLeader().model_dump_json()]
    return made


@pytest.fixture
def once(monkeypatch):
    """One round, and none after it while the test lasts."""
    monkeypatch.setattr(module, "_REDIAL_DELAY", (3600.0, 3600.0))


@pytest.fixture
def logs():
    with structlog.testing.capture_logs() as captured:
        yield captured


def warnings(logs):
    return [log for log in logs if log["log_level"] == "warning"]


@pytest.mark.usefixtures("once")
async def test_a_standby_is_left_for_the_leader_behind_the_same_name_without_a_pause(leader, standby, pod, until, logs):
    replicas = Replicas(standby, leader)
    async with replicas.listening() as url:
        found = pod(url, resolve=replicas.resolve)
        await until(lambda: found.assignments)

    assert (len(standby.sockets), len(leader.sockets), replicas.asked) == (1, 1, 1)
    assert warnings(logs) == []


async def test_the_handshake_names_the_service_and_the_path_and_not_the_replica(leader, pod, until):
    replicas = Replicas(leader)
    async with replicas.listening() as url:
        found = pod(url, resolve=replicas.resolve)
        await until(lambda: found.assignments)
        assert leader.headers[0]["Host"] == f"control.bots.svc:{replicas.port}"
        assert leader.sockets[0].request.path == "/v1/control/bots/mybot"


@pytest.mark.usefixtures("once")
async def test_a_replica_that_cannot_be_reached_is_passed_over_without_a_pause(leader, pod, until):
    replicas = Replicas(leader)
    replicas.told.insert(0, NOBODY)
    async with replicas.listening() as url:
        found = pod(url, resolve=replicas.resolve)
        await until(lambda: found.assignments)


@pytest.mark.usefixtures("once")
async def test_after_a_round_without_a_leader_there_is_a_pause_and_one_warning(make_operator, pod, until, logs):
    standbys = [make_operator(), make_operator()]
    for one in standbys:
        one.greeting = [NotLeader().model_dump_json()]
    replicas = Replicas(*standbys)
    async with replicas.listening() as url:
        pod(url, resolve=replicas.resolve)
        await until(lambda: warnings(logs))

    assert [len(one.sockets) for one in standbys] == [1, 1]
    assert [log["problem"] for log in warnings(logs)] == ["none of its replicas leads"]


async def test_a_standby_beside_a_dead_leader_is_not_told_as_an_operator_that_comes_and_goes(standby, pod, until, logs):
    replicas = Replicas(standby)
    replicas.told.append(NOBODY)
    async with replicas.listening() as url:
        pod(url, resolve=replicas.resolve)
        await until(lambda: len(standby.sockets) >= 10)

    assert len(warnings(logs)) == 1


async def test_when_the_leader_gives_up_its_pods_find_the_next_one(leader, standby, pod, until, assignment):
    replicas = Replicas(leader, standby)
    async with replicas.listening() as url:
        found = pod(url, resolve=replicas.resolve)
        await until(lambda: found.assignments)
        standby.greeting, leader.greeting = [assignment(term=2)], [NotLeader().model_dump_json()]
        await leader.send(NotLeader().model_dump_json())
        await until(lambda: len(found.assignments) == 2)
        assert found.client.connected
        assert len(leader.sockets) == 1, "it went on to the next and did not come back first"

    assert found.assignments[1].term == 2


async def test_the_name_is_asked_for_again_when_the_leader_has_gone(leader, make_operator, pod, until, assignment):
    successor = make_operator()
    successor.greeting = [assignment(term=2)]
    replicas = Replicas(leader, successor)
    replicas.told = ["127.0.0.2"]
    async with replicas.listening() as url:
        found = pod(url, resolve=replicas.resolve)
        await until(lambda: found.assignments)
        replicas.told = ["127.0.0.3"]
        leader.sockets[-1].transport.abort()
        await until(lambda: len(found.assignments) == 2)


async def test_a_replica_that_closes_at_once_does_not_hide_the_others(leader, make_operator, pod, until):
    broken = make_operator()

    async def closing(connection):
        await connection.close(1011, "broken")

    broken._serve = closing
    replicas = Replicas(broken, leader)
    async with replicas.listening() as url:
        found = pod(url, resolve=replicas.resolve)
        await until(lambda: found.assignments)


async def test_a_name_that_is_not_known_is_an_operator_that_is_away_and_told_once(leader, pod, until, logs):
    replicas = Replicas(leader)
    known, replicas.told = replicas.told, []
    async with replicas.listening() as url:
        found = pod(url, resolve=replicas.resolve)
        await until(lambda: replicas.asked >= 5)
        replicas.told = known
        await until(lambda: found.assignments)

    (warning,) = warnings(logs)
    assert "operator cannot be reached" in warning["event"]
    assert "control.bots.svc" in warning["problem"]
    assert "not known" in warning["problem"]


@pytest.mark.looptime
async def test_the_pauses_grow_while_nobody_leads_to_three_times_the_first_at_most(monkeypatch):
    monkeypatch.setattr(module, "_REDIAL_DELAY", (1.0, 1.0))
    rounds = []

    async def resolve(address):
        rounds.append(asyncio.get_running_loop().time())
        raise OSError("away")

    client = ControlClient(
        ("ws://operator:1/",),
        "secret",
        observe=lambda: Observed(pod="p"),
        on_assignment=print,
        random=Random(1),
        resolve=resolve,
    )
    task = asyncio.create_task(client.run())
    await asyncio.sleep(200)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    pauses = [later - earlier for earlier, later in pairwise(rounds)]

    assert pauses[0] == pytest.approx(1.1)
    assert pauses == pytest.approx(sorted(pauses))
    assert pauses[-1] == pytest.approx(3.0)


# What an address leads to.


async def test_a_path_of_a_unix_socket_is_one_replica():
    assert await replicas_of("unix:/run/control.sock") == [Replica("unix:/run/control.sock")]


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("ws://127.0.0.1:7400/v1/control/a/b", "127.0.0.1", 7400),
        ("ws://[::1]:7400/", "::1", 7400),
        ("ws://127.0.0.1", "127.0.0.1", 80),
        ("wss://127.0.0.1", "127.0.0.1", 443),
    ],
)
async def test_an_ip_is_one_replica(url, host, port):
    assert await replicas_of(url) == [Replica(url, host, port)]


async def test_a_name_is_all_its_addresses_in_order_and_each_once(monkeypatch):
    async def getaddrinfo(host, port, **options):
        assert (host, port) == ("control.bots.svc", 7400)
        found = ["10.0.0.2", "10.0.0.1", "10.0.0.2"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    replicas = await replicas_of("ws://control.bots.svc:7400/v1/control/a/b")

    assert [replica.host for replica in replicas] == ["10.0.0.2", "10.0.0.1"]


async def test_a_name_server_that_does_not_answer_is_given_up(monkeypatch):
    async def getaddrinfo(host, port, **options):
        await asyncio.sleep(3600)

    monkeypatch.setattr(addresses, "RESOLVE_TIMEOUT", 0.01)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    with pytest.raises(TimeoutError):
        await replicas_of("ws://control.bots.svc:7400/")


@pytest.mark.looptime
@pytest.mark.parametrize("url", ["ws://operator:99999/", "ws://" + "a" * 64 + ".svc:1/"])
async def test_an_address_that_cannot_be_right_is_told_and_the_others_are_tried(url, logs):
    tried = []

    async def resolve(address):
        tried.append(address)
        return await replicas_of(address)

    client = ControlClient(
        (url, "ws://another:99999/"),
        "secret",
        observe=lambda: Observed(pod="p"),
        on_assignment=print,
        random=Random(1),
        resolve=resolve,
    )
    task = asyncio.create_task(client.run())
    await asyncio.sleep(60)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert tried[:2] == [url, "ws://another:99999/"]
    assert len(warnings(logs)) == 1
