"""The control channel's pod end against an operator of a few lines, over real sockets.

A little longer than 400 lines: every behaviour of the channel needs the same fake operator, which is best beside them.
"""

import asyncio
import contextlib
import json
from random import Random

import pytest
import structlog.testing
from websockets.asyncio.server import serve, unix_serve
from websockets.exceptions import ConnectionClosed

import shardpod.pod.control_client as module
from shardpod.contract import NotLeader, Observed, PermitAnswer
from shardpod.pod.control_client import ControlClient
from shardpod.worker import Granted, Wait
from shardpod.worker.shard_runner import CONNECT_AHEAD

SECRET = "control-secret-xyz"


class Operator:
    """Keeps what it hears. `answer(request)` returns a message to send back, or None."""

    def __init__(self, path=None):
        self.path = path
        self.heard = []
        self.headers = []
        self.sockets = []
        self.answer = lambda request: None
        self.greeting = []

    @contextlib.asynccontextmanager
    async def listening(self, **options):
        async with unix_serve(self._serve, str(self.path), **options):
            yield self

    async def _serve(self, socket):
        self.sockets.append(socket)
        self.headers.append(socket.request.headers)
        with contextlib.suppress(ConnectionClosed):
            for message in self.greeting:
                await socket.send(message)
            async for text in socket:
                message = json.loads(text)
                self.heard.append(message)
                if message["kind"] == "permit_request" and (answer := self.answer(message)) is not None:
                    await socket.send(answer)

    async def send(self, text):
        await self.sockets[-1].send(text)

    def of(self, kind):
        return [message for message in self.heard if message["kind"] == kind]


class Pod:
    """A control client with what a pod would give it."""

    def __init__(self, *addresses, secret=SECRET):
        self.assignments = []
        self.reports = 0
        self.client = ControlClient(
            tuple(f"unix:{address}" if "://" not in str(address) else address for address in addresses),
            secret,
            observe=self.observe,
            on_assignment=self.assignments.append,
            random=Random(1),
        )

    def observe(self):
        self.reports += 1
        return Observed(pod="mybot-e1-0-15")


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(module, "_REDIAL_DELAY", (0.001, 0.01))


@pytest.fixture(autouse=True)
async def _last_connections_end():
    """A pod redials while its operator goes away: let a connection that was accepted last come to its end."""
    yield
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=5)


@pytest.fixture
def operator(tmp_path_factory):
    return Operator(tmp_path_factory.mktemp("o") / "s")


@pytest.fixture
async def pod():
    tasks = []

    def make(*addresses, **options):
        made = Pod(*addresses, **options)
        tasks.append(asyncio.create_task(made.client.run()))
        made.task = tasks[-1]
        return made

    yield make
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def assignment(make_assignment):
    def text(term=1, n=1, epoch=1):
        whole = make_assignment(term=term, n=n, epoch=epoch).model_dump(mode="json")
        return json.dumps({**whole, "a_field_of_the_future": True})

    return text


def granted(request, term=1, permit=7):
    return PermitAnswer(request=request["request"], term=term, permit=permit, expires_in=1.0).model_dump_json()


# Reports.


async def test_the_first_message_is_the_pods_report_and_the_secret_is_shown_when_dialling(operator, pod, until):
    async with operator.listening():
        pod(operator.path)
        await until(lambda: operator.heard)

    assert (operator.heard[0]["kind"], operator.heard[0]["pod"]) == ("observed", "mybot-e1-0-15")
    assert operator.headers[0]["Authorization"] == f"Bearer {SECRET}"


async def test_reports_come_by_themselves_and_sooner_when_something_changed(operator, pod, until, monkeypatch):
    monkeypatch.setattr(module, "_HURRIED_REPORT_DELAY", 0.001)
    async with operator.listening():
        hurried = pod(operator.path)
        await until(lambda: operator.heard)
        for count in range(2, 6):
            hurried.client.hurry()
            await until(lambda count=count: len(operator.heard) >= count)
        monkeypatch.setattr(module, "_REPORT_INTERVAL", 0.01)
        hurried.client.hurry()
        await until(lambda: len(operator.heard) >= 10)


async def test_a_last_report_is_sent_if_there_is_anybody_to_hear_it(operator, pod, until):
    alone = Pod(operator.path)
    await alone.client.report_now()
    assert alone.reports == 0
    async with operator.listening():
        heard = pod(operator.path)
        await until(lambda: operator.heard)
        before = len(operator.heard)
        await heard.client.report_now()
        await until(lambda: len(operator.heard) > before)


# Assignments.


async def test_an_assignment_is_handed_over_and_reported_on_soon(operator, pod, until, monkeypatch, assignment):
    monkeypatch.setattr(module, "_HURRIED_REPORT_DELAY", 0.001)
    monkeypatch.setattr(module, "_REPORT_INTERVAL", 60.0)
    async with operator.listening():
        assigned = pod(operator.path)
        await until(lambda: operator.heard)
        await operator.send(assignment())
        await until(lambda: len(operator.heard) > 1)

    assert [(message.term, message.n) for message in assigned.assignments] == [(1, 1)]


async def test_an_assignment_of_a_lower_term_is_ignored(operator, pod, until, assignment):
    async with operator.listening():
        assigned = pod(operator.path)
        await until(lambda: operator.heard)
        for term, n in ((5, 1), (4, 9), (5, 2), (6, 1), (5, 3)):
            await operator.send(assignment(term, n))
        await until(lambda: len(assigned.assignments) >= 3)
        await operator.send(assignment(9, 1))
        await until(lambda: assigned.assignments[-1].term == 9)

    assert [(message.term, message.n) for message in assigned.assignments] == [(5, 1), (5, 2), (6, 1), (9, 1)]


async def test_a_lower_term_is_ignored_on_a_later_connection_as_well(operator, pod, until, assignment):
    operator.greeting = [assignment(5, 1)]
    async with operator.listening():
        assigned = pod(operator.path)
        await until(lambda: assigned.assignments)
    operator.greeting = [assignment(4, 1), assignment(6, 1)]
    async with operator.listening():
        await until(lambda: len(assigned.assignments) >= 2)

    assert [message.term for message in assigned.assignments] == [5, 6]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "null",
        "[]",
        '{"kind":"of the future","secret_field":"hidden words"}',
        '{"kind":"assignment"}',
        b"\xff\x00",
    ],
)
async def test_a_message_that_is_not_understood_is_told_and_changes_nothing(operator, pod, until, message, assignment):
    async with operator.listening():
        assigned = pod(operator.path)
        await until(lambda: operator.heard)
        with structlog.testing.capture_logs() as logs:
            await operator.send(message)
            await operator.send(assignment())
            await until(lambda: assigned.assignments)

    assert [log["event"] for log in logs if log["log_level"] == "warning"] == [
        "a message of the operator was not understood"
    ]
    assert "hidden words" not in str(logs)


# Permits.


async def test_a_request_for_a_permit_names_the_shard_of_the_assignment(operator, pod, until, assignment):
    operator.greeting = [assignment(epoch=4)]
    operator.answer = granted
    async with operator.listening():
        asking = pod(operator.path)
        await until(lambda: asking.assignments)
        answer = await asking.client.ask(3, ready=True)

    assert answer == Granted(7, 1.0)
    (request,) = operator.of("permit_request")
    assert (request["epoch"], request["shard_id"], request["shard_count"], request["ready"]) == (4, 3, 16, True)


async def test_a_wait_is_passed_on_with_its_reason(operator, pod, until):
    operator.answer = lambda request: PermitAnswer(
        request=request["request"], term=1, retry_in=4.5, reason="the budget is low"
    ).model_dump_json()
    async with operator.listening():
        asking = pod(operator.path)
        await until(lambda: asking.client.connected)
        await operator.send(granted({"request": 999}))  # an answer to nothing
        assert await asking.client.ask(3, ready=False) == Wait(4.5, "the budget is low")


async def test_many_requests_at_once_get_each_its_own_answer(operator, pod, until):
    requests = []

    def answer(request):
        requests.append(request)
        if len(requests) == 20:
            for earlier in reversed(requests):
                asyncio.get_running_loop().create_task(
                    operator.send(granted(earlier, permit=100 + earlier["shard_id"]))
                )

    operator.answer = answer
    async with operator.listening():
        asking = pod(operator.path)
        await until(lambda: asking.client.connected)
        answers = await asyncio.gather(*(asking.client.ask(shard, ready=True) for shard in range(20)))

    assert [answer.permit for answer in answers] == [100 + shard for shard in range(20)]


async def test_without_an_operator_the_answer_is_wait_and_a_used_permit_no_error(operator):
    alone = Pod(operator.path).client
    alone.identify_sent(3, 71)
    answer = await alone.ask(3, ready=True)

    assert isinstance(answer, Wait)
    assert answer.retry_in > 0
    assert "operator" in answer.reason
    assert (await alone.ask(3, ready=False)).retry_in > CONNECT_AHEAD, "it would dial, and sit there without a permit"


async def test_a_connection_lost_while_asking_answers_wait_at_once(operator, pod, until):
    async with operator.listening():
        asking = pod(operator.path)
        await until(lambda: asking.client.connected)
        answer = asyncio.create_task(asking.client.ask(3, ready=True))
        await until(lambda: operator.of("permit_request"))
        operator.sockets[-1].transport.abort()
        assert isinstance(await asyncio.wait_for(answer, 2), Wait)


async def test_an_operator_that_does_not_answer_counts_as_away(operator, pod, until, monkeypatch):
    monkeypatch.setattr(module, "_ANSWER_TIMEOUT", 0.02)
    async with operator.listening():
        asking = pod(operator.path)
        await until(lambda: asking.client.connected)
        assert isinstance(await asking.client.ask(3, ready=True), Wait)
        assert (await asking.client.ask(3, ready=False)).retry_in > CONNECT_AHEAD


async def test_a_permit_of_a_lower_term_is_not_taken(operator, pod, until, monkeypatch, assignment):
    monkeypatch.setattr(module, "_ANSWER_TIMEOUT", 0.05)
    operator.greeting = [assignment(term=5)]
    operator.answer = lambda request: granted(request, term=4)
    async with operator.listening():
        asking = pod(operator.path)
        await until(lambda: asking.assignments)
        assert isinstance(await asking.client.ask(3, ready=True), Wait)


async def test_a_used_permit_is_reported(operator, pod, until, assignment):
    operator.greeting = [assignment(epoch=4)]
    async with operator.listening():
        asking = pod(operator.path)
        await until(lambda: asking.assignments)
        asking.client.identify_sent(3, 71)
        await until(lambda: operator.of("identify_sent"))

    (message,) = operator.of("identify_sent")
    assert (message["permit"], message["epoch"], message["shard_id"]) == (71, 4, 3)


# Dialling.


async def test_an_operator_that_comes_late_or_comes_back_is_found_and_its_absence_told_once(operator, pod, until):
    with structlog.testing.capture_logs() as logs:
        redialling = pod(operator.path)
        await asyncio.sleep(0.1)
        assert not redialling.client.connected
        for _ in range(3):
            operator.heard.clear()
            async with operator.listening():
                await until(lambda: operator.heard)
                assert redialling.client.connected
            await until(lambda: not redialling.client.connected)
            await asyncio.sleep(0.05)

    told = [log for log in logs if log["log_level"] == "warning"]
    assert 1 <= len(told) <= 4
    assert all("operator cannot be reached" in log["event"] for log in told)


async def test_every_address_is_tried(operator, pod, until, tmp_path):
    async with operator.listening():
        pod(tmp_path / "nobody", tmp_path / "nobody2", operator.path)
        await until(lambda: operator.heard)


async def test_a_replica_that_does_not_lead_is_left_for_the_next_address(
    operator, pod, until, tmp_path_factory, assignment
):
    standby = Operator(tmp_path_factory.mktemp("s") / "s")
    standby.greeting = [NotLeader().model_dump_json()]
    operator.greeting = [assignment()]
    async with standby.listening(), operator.listening():
        found = pod(standby.path, operator.path)
        await until(lambda: found.assignments)
        await asyncio.sleep(0.05)
        assert found.client.connected
        assert operator.sockets[-1].state.name == "OPEN"
        assert len(standby.sockets) == 1


async def test_a_wrong_secret_is_told_without_showing_it(operator, pod, until):
    def check(connection, request):
        return connection.respond(401, "no\n")

    with structlog.testing.capture_logs() as logs:
        async with operator.listening(process_request=check):
            pod(operator.path)
            await until(lambda: logs)

    assert "401" in logs[0]["problem"]
    assert SECRET not in str(logs)


async def test_an_address_over_tcp_is_dialled_without_the_proxy_of_the_environment(operator, pod, until, monkeypatch):
    """The channel carries a secret and stays inside the cluster; a proxy for the way out must not see it."""
    for name in ("http_proxy", "ws_proxy", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    async with serve(operator._serve, "127.0.0.1", 0) as server:
        pod(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await until(lambda: operator.heard)


async def test_a_pod_that_cannot_carry_out_its_assignment_says_so_and_stays_reachable(operator, pod, until, assignment):
    broken = pod(operator.path)

    def fail(_assignment):
        raise ValueError("port out of range")

    broken.client._on_assignment = fail
    with structlog.testing.capture_logs() as logs:
        async with operator.listening():
            await until(lambda: operator.heard)
            await operator.send(assignment())
            await until(lambda: any(log["log_level"] == "error" for log in logs))
            operator.heard.clear()
            broken.client.hurry()
            await until(lambda: operator.heard)

    assert not broken.task.done()
