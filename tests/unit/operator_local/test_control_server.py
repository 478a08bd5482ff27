import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway_operator.control import ControlServer, server
from gateway_operator.control.connection import CLOSE_REPLACED
from gateway_operator.core.identify_ledger import Granted, Wait
from gateway_operator.core.leases import LeaseBook
from shardpod.contract import IdentifySent, Observed, PermitAnswer, PermitRequest, from_operator

SECRET = "the-control-secret"
POD = "mybot-e1-0-1"


@dataclass
class FakeLedger:
    answer: Granted | Wait = field(default_factory=lambda: Granted(permit=5, expires_in=1.0))
    asked: list[tuple] = field(default_factory=list)
    reported: list[tuple] = field(default_factory=list)
    seen_connected: list[tuple] = field(default_factory=list)

    def ask(self, epoch: int, shard_id: int, shard_count: int, *, ready: bool, now: float) -> Granted | Wait:
        self.asked.append((epoch, shard_id, shard_count, ready, now))
        return self.answer

    def sent(self, permit: int, now: float) -> None:
        self.reported.append((permit, now))

    def connected(self, epoch: int, shard_count: int, shard_ids: set[int], now: float) -> None:
        self.seen_connected.append((epoch, shard_count, shard_ids, now))


@dataclass
class Channel:
    """A server that listens, and pods that dial it."""

    control: ControlServer
    ledger: FakeLedger
    changed: asyncio.Event
    path: str

    @asynccontextmanager
    async def dial(self, secret: str | None = SECRET):
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        async with unix_connect(self.path, "ws://operator/", additional_headers=headers) as socket:
            yield socket

    @asynccontextmanager
    async def pod(self, name: str = POD):
        async with self.dial() as socket:
            await socket.send(Observed(pod=name).model_dump_json())
            yield socket

    async def heard(self, condition) -> None:
        """Wait until what the server says of the pod fulfils the condition."""
        async with asyncio.timeout(10):
            while not condition(self.control.pods().get(POD)):
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def channel(state_path, clock):
    ledger, changed = FakeLedger(), asyncio.Event()
    control = ControlServer(term=3, secret=SECRET, ledger=ledger, leases=LeaseBook(), changed=changed, clock=clock)
    path = state_path / "control.sock"
    async with control.listening(path):
        yield Channel(control, ledger, changed, str(path))


async def next_message(socket: ClientConnection):
    async with asyncio.timeout(10):
        return from_operator.validate_json(await socket.recv())


async def _read_to_the_end(socket: ClientConnection) -> None:
    while True:
        await socket.recv()


async def closing(socket: ClientConnection) -> tuple[int, str]:
    """The code and the reason with which the server closes."""
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionClosed) as closed:
            await _read_to_the_end(socket)
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_a_report_is_kept_with_the_time_it_was_heard(channel, clock):
    async with channel.pod() as socket:
        await channel.heard(lambda pod: pod is not None)
        clock.advance(5)
        await socket.send(Observed(pod=POD, ready=True).model_dump_json())
        await channel.heard(lambda pod: pod.observed.ready)

        heard = channel.control.pods()[POD]
        assert heard.connected
        assert heard.heard_at == clock.now


async def test_a_pod_that_went_is_kept_as_not_connected_with_its_last_report(channel):
    async with channel.pod():
        await channel.heard(lambda pod: pod is not None)
    await channel.heard(lambda pod: not pod.connected)

    assert channel.control.pods()[POD].observed == Observed(pod=POD)


async def test_a_pod_gone_and_no_longer_assigned_is_forgotten(channel, assignment):
    channel.control.assign({POD: assignment(POD)})
    async with channel.pod():
        await channel.heard(lambda pod: pod is not None)
        channel.control.assign({})
        assert POD in channel.control.pods()
    await channel.heard(lambda pod: not pod.connected)
    channel.control.assign({POD: assignment(POD)})
    assert POD in channel.control.pods()

    channel.control.assign({})

    assert channel.control.pods() == {}


async def test_an_assignment_made_before_the_pod_dials_is_sent_when_it_does(channel, assignment):
    channel.control.assign({POD: assignment(POD)})
    async with channel.pod() as socket:
        assert await next_message(socket) == assignment(POD, term=3, n=1)


async def test_only_a_changed_assignment_is_sent_again_and_counts_up(channel, assignment):
    async with channel.pod() as socket:
        await channel.heard(lambda pod: pod is not None)
        channel.control.assign({POD: assignment(POD)})
        first = await next_message(socket)
        channel.control.assign({POD: assignment(POD)})
        channel.control.assign({POD: assignment(POD, role="draining")})
        second = await next_message(socket)

    assert (first.n, first.role) == (1, "active")
    assert (second.n, second.role) == (2, "draining")


async def test_a_pod_that_dials_gets_what_was_in_force_then_before_what_was_assigned_since(channel, assignment):
    channel.control.assign({POD: assignment(POD, role="standby")})
    async with channel.pod() as socket:
        await channel.heard(lambda pod: pod is not None)
        channel.control.assign({POD: assignment(POD, role="active")})
        channel.control.assign({POD: assignment(POD, role="draining")})
        received = [await next_message(socket) for _ in range(3)]

    assert [(message.n, message.role) for message in received] == [(1, "standby"), (2, "active"), (3, "draining")]


async def test_after_a_reconnect_the_same_assignment_comes_with_the_same_number(channel, assignment):
    channel.control.assign({POD: assignment(POD)})
    async with channel.pod() as socket:
        first = await next_message(socket)
    async with channel.pod() as socket:
        assert await next_message(socket) == first


async def test_of_two_connections_of_one_pod_the_newer_wins(channel, assignment):
    channel.control.assign({POD: assignment(POD)})
    async with channel.pod() as older:
        await next_message(older)
        async with channel.pod() as newer:
            await next_message(newer)
            code, reason = await closing(older)
            assert code == CLOSE_REPLACED
            assert "newer connection" in reason

            channel.control.assign({POD: assignment(POD, role="draining")})
            assert (await next_message(newer)).role == "draining"
            assert channel.control.pods()[POD].connected


@pytest.mark.parametrize("secret", [None, "", "another", SECRET + "x", "\u00e9"])
async def test_without_the_secret_nobody_gets_in(channel, secret):
    with pytest.raises(InvalidStatus) as refused:
        async with channel.dial(secret):
            pass

    assert refused.value.response.status_code == 401


@pytest.mark.parametrize(
    "garbage",
    [
        "not json",
        "[]",
        "{}",
        '{"kind": "unheard_of"}',
        '{"kind": "observed"}',
        '{"kind": "permit_request", "request": "one"}',
        b"binary",
    ],
)
async def test_garbage_closes_the_connection_with_a_reason_and_is_logged_once(channel, garbage):
    with capture_logs() as logs:
        async with channel.pod() as socket:
            await socket.send(garbage)
            await socket.send(garbage)
            code, reason = await closing(socket)
        await channel.heard(lambda pod: not pod.connected)

    assert code == 1008
    assert reason
    assert len([entry for entry in logs if entry["log_level"] == "warning"]) == 1


async def test_garbage_harms_no_other_pod(channel, assignment):
    channel.control.assign({POD: assignment(POD)})
    async with channel.pod() as good, channel.dial() as bad:
        await bad.send("garbage")
        await closing(bad)

        await next_message(good)
        assert channel.control.pods()[POD].connected


@pytest.fixture
def small_messages(monkeypatch):
    monkeypatch.setattr(server, "MAX_MESSAGE_BYTES", 1000)


async def test_a_message_too_large_closes_the_connection(small_messages, channel):
    async with channel.pod() as socket:
        await socket.send(" " * 1001)
        code, _reason = await closing(socket)

    assert code == 1009


async def test_the_reason_of_a_refusal_shows_no_value_of_the_message(channel):
    message = json.loads(Observed(pod=POD).model_dump_json()) | {"shards": [{"shard_id": "session-secret"}]}
    async with channel.pod() as socket:
        await socket.send(json.dumps(message))
        _code, reason = await closing(socket)

    assert "shards.0.shard_id" in reason
    assert "session-secret" not in reason


async def test_who_asks_before_saying_who_it_is_has_to_wait(channel):
    async with channel.dial() as socket:
        answer = await ask(socket)

    assert answer.permit is None
    assert channel.ledger.asked == []


async def test_an_identify_sent_is_reported_even_before_the_pod_says_who_it_is(channel, clock):
    async with channel.dial() as socket:
        await socket.send(IdentifySent(permit=5, epoch=1, shard_id=1).model_dump_json())
        await ask(socket)

    assert channel.ledger.reported == [(5, clock.now)]


async def test_two_instances_of_a_pod_are_told_apart(channel, assignment):
    old, new = f"{POD}.7", f"{POD}.8"
    channel.control.assign({old: assignment(POD, role="draining"), new: assignment(POD)})
    async with channel.dial() as first, channel.dial() as second:
        await first.send(Observed(pod=POD, instance=old).model_dump_json())
        assert (await next_message(first)).role == "draining"
        await second.send(Observed(pod=POD, instance=new).model_dump_json())
        assert (await next_message(second)).role == "active"

        assert {name: heard.connected for name, heard in channel.control.pods().items()} == {old: True, new: True}
        assert (await ask(first)).permit is None, "a shard that is leaving spends no identify"
        assert (await ask(second)).permit == 5


async def test_what_an_instance_was_told_counts_once_it_says_so(channel, assignment):
    async with channel.pod() as socket:
        await channel.heard(lambda pod: pod is not None)
        channel.control.assign({POD: assignment(POD)})
        first = await next_message(socket)
        assert channel.control.pods()[POD].told is None
        await socket.send(Observed(pod=POD, term=3, n=first.n).model_dump_json())
        await channel.heard(lambda pod: pod.told == "active")

        channel.control.assign({POD: assignment(POD, role="ending")})
        assert channel.control.pods()[POD].told is None


async def test_a_report_in_another_pods_name_is_refused(channel):
    async with channel.pod() as socket:
        await socket.send(Observed(pod="mybot-e1-2-3").model_dump_json())
        code, _reason = await closing(socket)

    assert code == 1008
    assert "mybot-e1-2-3" not in channel.control.pods()


async def ask(socket: ClientConnection, **changes) -> PermitAnswer:
    request = {"request": 9, "epoch": 1, "shard_id": 1, "shard_count": 4, "ready": True, **changes}
    await socket.send(PermitRequest(**request).model_dump_json())
    return await next_message(socket)


@pytest.fixture
async def assigned_pod(channel, assignment):
    channel.control.assign({POD: assignment(POD)})
    async with channel.pod() as socket:
        await next_message(socket)
        yield socket


async def test_a_request_for_a_permit_is_answered_from_the_ledger(channel, assigned_pod, clock):
    answer = await ask(assigned_pod)

    assert answer == PermitAnswer(request=9, term=3, permit=5, expires_in=1.0)
    assert channel.ledger.asked == [(1, 1, 4, True, clock.now)]


async def test_a_request_that_has_to_wait_is_told_for_how_long_and_why(channel, assigned_pod):
    channel.ledger.answer = Wait(retry_in=4.5, reason="the bucket is in use")

    answer = await ask(assigned_pod, ready=False)

    assert answer == PermitAnswer(request=9, term=3, retry_in=4.5, reason="the bucket is in use")
    assert channel.ledger.asked[0][3] is False


@pytest.mark.parametrize("foreign", [{"shard_id": 2}, {"epoch": 2}, {"shard_count": 5}])
async def test_a_shard_that_is_not_the_pods_gets_no_permit(channel, assigned_pod, foreign):
    answer = await ask(assigned_pod, **foreign)

    assert answer.permit is None
    assert answer.retry_in > 0
    assert channel.ledger.asked == []


async def test_a_pod_without_an_assignment_gets_no_permit(channel):
    async with channel.pod() as socket:
        assert (await ask(socket)).permit is None


async def test_a_sent_identify_is_reported_to_the_ledger(channel, assigned_pod, clock):
    await assigned_pod.send(IdentifySent(permit=5, epoch=1, shard_id=1).model_dump_json())
    await ask(assigned_pod)

    assert channel.ledger.reported == [(5, clock.now)]


async def test_the_next_operator_listens_at_the_path_a_dead_one_left(channel, state_path, clock):
    left_over = state_path / "left-over.sock"
    (state_path / "control.sock").rename(left_over)
    control = ControlServer(
        term=4, secret=SECRET, ledger=FakeLedger(), leases=LeaseBook(), changed=asyncio.Event(), clock=clock
    )

    async with (
        control.listening(left_over),
        unix_connect(
            str(left_over), "ws://operator/", additional_headers={"Authorization": f"Bearer {SECRET}"}
        ) as socket,
    ):
        await socket.send(Observed(pod=POD).model_dump_json())
