"""Reports, assignments, and how the operator is dialled: the control channel's pod end against a small operator."""

import asyncio

import pytest
import structlog.testing
from websockets.asyncio.server import serve

import shardpod.pod.control_client as module
from shardpod.contract import NotLeader

SECRET = "control-secret-xyz"


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
    alone = pod.without_running(operator.path)
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
    operator, make_operator, pod, until, assignment
):
    standby = make_operator()
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
