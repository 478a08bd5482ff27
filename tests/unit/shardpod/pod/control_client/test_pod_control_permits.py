"""Permits to identify, over the control channel's pod end."""

import asyncio

import shardpod.pod.control_client as module
from shardpod.contract import PermitAnswer
from shardpod.worker import Granted, Wait
from shardpod.worker.shard_runner import CONNECT_AHEAD


def granted(request, term=1, permit=7):
    return PermitAnswer(request=request["request"], term=term, permit=permit, expires_in=1.0).model_dump_json()


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


async def test_without_an_operator_the_answer_is_wait_and_a_used_permit_no_error(operator, pod):
    alone = pod.without_running(operator.path).client
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
