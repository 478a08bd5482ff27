"""Events that keep failing while others pass, and answers that take part of a batch, on a virtual clock."""

import asyncio

import pytest
import structlog.testing

from shardpod.delivery import SinkError

pytestmark = pytest.mark.looptime


def refusal(**details):
    return SinkError("the bot answered 422", rejected=True, **details)


async def others_pass(rig, make_event, *, seconds, first=1000):
    """An event of another lane each half second, all of which the bot takes."""
    for number in range(2 * seconds):
        rig.put(make_event(first + number, guild=str(first + number)))
        await asyncio.sleep(0.5)


async def test_an_event_that_is_refused_for_itself_is_buried_after_so_many_attempts(rig, make_event, failing_for):
    rig = rig(failing_for({"bad"}, refusal()), max_attempts=3)
    with structlog.testing.capture_logs() as logs:
        rig.put(make_event(1, guild="bad", raw=b'{"d":"private words"}'))
        await rig.drained()

    assert rig.buried == [(1, "the bot answered 422", 3)]
    assert rig.settled == [(1, "dead_letter")]
    assert rig.tries[1] == 3
    (log,) = [log for log in logs if log["log_level"] == "error"]
    assert (log["key"], log["attempts"]) == ("s:1", 3)
    assert "private words" not in str(logs)


async def test_the_lane_of_a_buried_event_goes_on_in_order(rig, make_event):
    rig = rig(lambda events: refusal() if events[0].seq == 2 else 0.01, max_attempts=2)
    rig.put(*(make_event(seq, guild="1") for seq in range(1, 6)))
    await rig.drained()

    assert rig.sink.delivered == [1, 3, 4, 5]
    assert [seq for seq, _, _ in rig.buried] == [2]
    assert [attempt for _, seqs, attempt in rig.sink.calls if seqs == [3]] == [1]


async def test_with_one_attempt_a_refused_event_is_buried_at_once(rig, make_event, failing_for):
    rig = rig(failing_for({"bad"}, refusal()), max_attempts=1)
    rig.put(make_event(1, guild="bad"))
    await rig.drained(within=0.1)

    assert rig.buried == [(1, "the bot answered 422", 1)]


async def test_the_bots_own_trouble_counts_against_an_event_while_others_are_acknowledged(rig, make_event, failing_for):
    rig = rig(failing_for({"bad"}, SinkError("500")), max_attempts=5)
    rig.put(make_event(1, guild="bad"))
    await others_pass(rig, make_event, seconds=120)

    ((seq, problem, attempts),) = rig.buried
    assert (seq, problem) == (1, "500")
    assert 5 <= attempts <= 6, "nothing had passed yet when it failed first"
    assert rig.tries[1] == attempts


async def test_the_bots_own_trouble_counts_against_no_event_while_nothing_else_is_acknowledged(rig, make_event):
    broken = [False]
    rig = rig(lambda events: SinkError("500") if broken[0] else 0.01, max_attempts=2)
    rig.put(*(make_event(seq, guild=str(seq)) for seq in range(1, 20)))
    await rig.drained()
    broken[0] = True
    rig.put(make_event(101, guild="1"), make_event(102, guild="2"))
    await asyncio.sleep(300)

    assert rig.tries[101] > 5
    assert rig.buried == []
    broken[0] = False
    await rig.drained()
    assert sorted(rig.sink.delivered[-2:]) == [101, 102]


@pytest.mark.parametrize(
    "error",
    [refusal(), SinkError("ended before the answer", unreachable=True), SinkError("503", retry_after=1.0)],
    ids=["refused", "unreachable", "asks-for-time"],
)
async def test_while_the_bot_is_down_no_event_is_buried(rig, make_event, error):
    down = [SinkError("connection refused", unreachable=True)]
    rig = rig(lambda events: down[0] or 0.01, max_attempts=2)
    rig.put(*(make_event(seq, guild=str(seq)) for seq in range(1, 10)))
    await asyncio.sleep(1)
    down[0] = error
    await asyncio.sleep(600)

    assert rig.health.down
    assert rig.buried == []
    assert min(rig.tries[seq] for seq in range(1, 10)) > 2
    down[0] = None
    await rig.drained()
    assert sorted(rig.sink.delivered) == list(range(1, 10))


async def test_a_request_that_breaks_off_is_never_held_against_its_event(rig, make_event, failing_for):
    rig = rig(failing_for({"bad"}, SinkError("ended before the answer", unreachable=True)), max_attempts=2)
    rig.put(make_event(1, guild="bad"))
    await others_pass(rig, make_event, seconds=120)

    assert rig.tries[1] > 5
    assert rig.buried == []


async def test_a_success_in_between_forgives_earlier_failures(rig, make_event):
    """Three events that are refused twice each, in one lane: none reaches three."""
    failures = dict.fromkeys((1, 2, 3), 2)

    def answer(events):
        seq = events[0].seq
        if failures[seq]:
            failures[seq] -= 1
            return refusal()
        return 0.01

    rig = rig(answer, max_attempts=3)
    rig.put(*(make_event(seq, guild="1") for seq in (1, 2, 3)))
    await rig.drained()

    assert rig.sink.delivered == [1, 2, 3]
    assert rig.buried == []


# Batches.


async def test_of_a_batch_only_the_event_that_fails_is_buried(rig, make_event):
    """A refused batch of several says nothing about any of them: they go one by one, until the culprit is known."""
    rig = rig(
        lambda events: refusal() if any(event.seq == 5 for event in events) else 0.01,
        max_batch_events=100,
        max_attempts=3,
    )
    lane_of = {seq: str(seq % 3) for seq in range(1, 31)}
    rig.put(*(make_event(seq, guild=lane_of[seq]) for seq in lane_of))
    await rig.drained()

    assert [seq for seq, _, _ in rig.buried] == [5]
    assert sorted(rig.sink.delivered) == [seq for seq in lane_of if seq != 5]
    for lane in set(lane_of.values()):
        in_lane = [seq for seq in rig.sink.delivered if lane_of[seq] == lane]
        assert in_lane == sorted(in_lane)
    *in_batches, first, second, third = [seqs for _, seqs, _ in rig.sink.calls if 5 in seqs]
    assert [first, second, third] == [[5]] * 3, "it was tried three times by itself"
    assert all(len(seqs) > 1 for seqs in in_batches)


async def test_a_batch_that_is_refused_whole_strikes_nobody(rig, make_event):
    failures = [refusal()] * 3
    rig = rig(lambda events: failures.pop() if failures else 0.01, max_batch_events=100, max_attempts=1, senders=1)
    for number in range(3):
        rig.put(*(make_event(2 * number + seq, guild=str(number)) for seq in (1, 2)))
        await asyncio.sleep(0.1)
    await rig.drained()

    assert rig.buried == []
    assert sorted(rig.sink.delivered) == [1, 2, 3, 4, 5, 6]


async def test_what_the_bot_took_of_a_batch_is_not_repeated_and_the_next_event_is_the_suspect(rig, make_event):
    def answer(events):
        bad = next((index for index, event in enumerate(events) if event.seq == 4), None)
        return 0.01 if bad is None else refusal(acknowledged=bad)

    rig = rig(answer, max_batch_events=100, max_attempts=2)
    rig.put(*(make_event(seq, guild="1") for seq in range(1, 8)))
    await rig.drained()

    assert rig.sink.delivered == [1, 2, 3, 5, 6, 7]
    assert [seq for seq, _, _ in rig.buried] == [4]
    assert [rig.tries[seq] for seq in (1, 2, 3)] == [1, 1, 1]
    assert rig.delivery.delivered == 6
    assert dict(rig.settled) == {4: "dead_letter"} | dict.fromkeys((1, 2, 3, 5, 6, 7))


async def test_a_batch_that_gets_on_by_a_little_each_time_is_not_given_up_nor_the_bot_counted_as_down(rig, make_event):
    rig = rig(
        lambda events: SinkError("timeout", acknowledged=1) if len(events) > 1 else 0.01,
        max_batch_events=10,
        max_attempts=3,
    )
    rig.put(*(make_event(seq, guild="1") for seq in range(1, 41)))
    await rig.drained()

    assert rig.sink.delivered == list(range(1, 41))
    assert rig.buried == []
    assert not rig.health.down


async def test_part_of_a_batch_taken_by_a_bot_that_was_down_brings_it_back(rig, make_event):
    down = [True]

    def answer(events):
        if down[0]:
            return SinkError("refused", unreachable=True)
        return SinkError("500", acknowledged=1) if len(events) > 1 else 0.01

    rig = rig(answer, max_batch_events=10)
    rig.put(*(make_event(seq, guild="1") for seq in (1, 2, 3)))
    await asyncio.sleep(10)
    assert rig.health.down
    down[0] = False
    await rig.drained(within=10)

    assert rig.sink.delivered == [1, 2, 3]


# What was held against an event goes with it.


async def nearly_poison(rig, make_event):
    """Event 1 was refused twice of three times, and rests; behind it in its lane is event 2."""
    rig = rig(lambda events: refusal() if events[0].guild_id == "bad" else 0.01, max_attempts=3, max_events=3)
    rig.put(make_event(1, guild="bad"), make_event(2, guild="bad"))
    await tried(rig, 2)
    await asyncio.sleep(0.05)
    return rig


async def tried(rig, times):
    while rig.tries[1] < times:  # noqa: ASYNC110 -- on a virtual clock, and the sink knows no events
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("leaves", ["dropped", "discarded", "discarded under way"])
async def test_the_event_behind_one_that_was_refused_and_left_has_all_its_attempts(rig, make_event, leaves):
    rig = await nearly_poison(rig, make_event)
    match leaves:
        case "dropped":
            rig.put(make_event(3, guild="bad"), make_event(4, guild="bad"))
            assert rig.settled == [(1, "queue_full")]
        case "discarded":
            rig.queue.discard(lambda event: event.seq == 1)
        case "discarded under way":
            await tried(rig, 3)
            rig.queue.discard(lambda event: event.seq == 1)
    await asyncio.sleep(300)

    assert rig.tries[2] == 3
    assert [attempt for _, seqs, attempt in rig.sink.calls if seqs == [2]] == [1, 2, 3]
    assert rig.buried[0] == (2, "the bot answered 422", 3)


async def test_the_attempts_of_an_event_outlast_the_loss_of_one_that_stands_behind_it(rig, make_event):
    rig = await nearly_poison(rig, make_event)
    rig.queue.discard(lambda event: event.seq == 2)
    await rig.drained()

    assert rig.buried == [(1, "the bot answered 422", 3)]
