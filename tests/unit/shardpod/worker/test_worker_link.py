"""The line between a worker and its supervisor, over a real socket pair."""

import asyncio
import contextlib
import socket

import pytest
import structlog.testing

from shardpod.worker.link import Link, LinkClosedError
from shardpod.worker.messages import AskPermit, Failed, ListDeadLetters, PermitGiven, PermitUsed, Settled, encode


class Side:
    """One end, with what was said to it. `answer` may be a coroutine function of the message."""

    def __init__(self):
        self.heard = []
        self.answer = None

    async def open(self, end):
        self.link = await Link.over(end, self._handle)
        self.running = asyncio.create_task(self.link.run())

    async def _handle(self, message):
        self.heard.append(message)
        return await self.answer(message) if self.answer is not None else None


@pytest.fixture
async def sides():
    made = Side(), Side()
    for side, end in zip(made, socket.socketpair(), strict=True):
        await side.open(end)
    yield made
    for side in made:
        await side.link.end()
    with contextlib.suppress(ConnectionError):
        await asyncio.gather(*(side.running for side in made))


async def answer_with_the_shard(message):
    return Settled(message.shard_id)


async def test_both_sides_ask_and_are_answered(sides):
    one, other = sides
    one.answer = other.answer = answer_with_the_shard
    answers = await asyncio.gather(
        one.link.call(AskPermit(1, ready=True), timeout=5), other.link.call(AskPermit(2, ready=True), timeout=5)
    )

    assert answers == [Settled(1), Settled(2)]


async def test_answers_come_in_any_order_and_find_their_questions(sides):
    one, other = sides
    first_may_go = asyncio.Event()

    async def answer(message):
        if message.shard_id == 1:
            await first_may_go.wait()
        return Settled(message.shard_id)

    other.answer = answer
    first = asyncio.create_task(one.link.call(AskPermit(1, ready=True), timeout=5))
    assert await one.link.call(AskPermit(2, ready=True), timeout=5) == Settled(2)
    first_may_go.set()

    assert await first == Settled(1)


async def test_what_is_told_arrives_in_order_and_is_not_answered(sides, until):
    one, other = sides
    for number in range(100):
        one.link.tell(PermitUsed(number, number))
    await one.link.flush()
    await until(lambda: len(other.heard) == 100)

    assert [message.shard_id for message in other.heard] == list(range(100))


async def test_a_message_of_megabytes_arrives_whole(sides):
    one, other = sides

    async def answer(message):
        return Failed(message.problem)

    other.answer = answer
    problem = "x" * 5_000_000

    assert await one.link.call(Failed(problem), timeout=10) == Failed(problem)


async def test_a_handler_that_fails_is_logged_here_and_told_there_without_what_it_said(sides):
    one, other = sides

    async def fail(message):
        raise ValueError("the token is secret")

    other.answer = fail
    with structlog.testing.capture_logs() as logs:
        answer = await one.link.call(ListDeadLetters(), timeout=5)

    assert answer == Failed("ValueError")
    assert [log["message_type"] for log in logs] == ["ListDeadLetters"]
    other.answer = answer_with_the_shard
    assert await one.link.call(AskPermit(1, ready=True), timeout=5) == Settled(1), "the line lives on"


async def test_what_nobody_answers_is_answered_all_the_same(sides):
    one, _ = sides

    assert isinstance(await one.link.call(ListDeadLetters(), timeout=5), Failed)


async def test_an_answer_that_takes_too_long_is_given_up_and_harms_nothing_when_it_comes(sides):
    one, other = sides
    may_go = asyncio.Event()

    async def answer(message):
        await may_go.wait()
        return Settled(message.shard_id)

    other.answer = answer
    with pytest.raises(TimeoutError):
        await one.link.call(AskPermit(1, ready=True), timeout=0.05)
    may_go.set()

    assert await one.link.call(AskPermit(2, ready=True), timeout=5) == Settled(2)


async def test_the_end_of_one_side_fails_the_calls_that_wait_at_the_other(sides, until):
    one, other = sides
    started = asyncio.Event()

    async def never(message):
        started.set()
        await asyncio.Event().wait()

    other.answer = never
    calls = [asyncio.create_task(one.link.call(AskPermit(number, ready=True), timeout=60)) for number in range(3)]
    await started.wait()
    other.link.close()
    results = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(result) for result in results] == [LinkClosedError] * 3
    await until(one.running.done)
    assert one.link.broken
    with pytest.raises(LinkClosedError):
        await one.link.call(AskPermit(1, ready=True), timeout=5)
    one.link.tell(PermitUsed(1, 1))


async def test_handlers_that_run_when_the_line_ends_are_cancelled(sides, until):
    one, other = sides
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def long(message):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    other.answer = long
    one.link.tell(PermitUsed(1, 1))
    await started.wait()
    one.link.close()
    await until(cancelled.is_set)

    assert other.link.broken


async def test_what_was_said_last_still_arrives(sides, until):
    one, other = sides
    one.link.tell(PermitUsed(7, 7))
    await one.link.end()
    await until(other.running.done)

    assert [message.shard_id for message in other.heard] == [7]


@pytest.mark.parametrize("garbage", [b"\x00\x00\x00\x03abc", b"\x00\x00\x00\x05" + encode(PermitGiven(1))[:5]])
async def test_what_is_no_frame_ends_the_line(garbage):
    here, there = socket.socketpair()
    side = Side()
    await side.open(here)
    there.sendall(garbage)
    await asyncio.wait([side.running], timeout=5)

    assert side.running.done()
    assert side.running.exception() is None
    assert side.link.broken
    assert there.recv(1) == b"", "the other side sees the end as well"
    there.close()
    await side.link.end()
