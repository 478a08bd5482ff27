"""One worker under its supervisor: real processes that die, hang, fail, and are started again."""

import os
import signal
from itertools import pairwise
from random import Random

import psutil
import pytest
import structlog.testing

from shardpod.pod import worker_process as module
from shardpod.pod.worker_process import WorkerProcess
from shardpod.protocol import SessionSettings
from shardpod.worker import WorkerSettings
from shardpod.worker.link import LinkClosedError
from shardpod.worker.messages import Begin, Failed, Neighbour, Neighbours, Release, Released

SETTINGS = WorkerSettings(
    shard_ids=(4, 5),
    shard_count=16,
    session=SessionSettings(token="t", gateway_url="wss://main", compression="none", intents=1),
)
RELEASING = Neighbours("me", may_release=True)


class Supervised:
    """A WorkerProcess, with the number of identifies that it told at each report."""

    def __init__(self):
        self.neighbours = Neighbours("me")
        self.told = []
        self.process = WorkerProcess(
            SETTINGS.shard_ids,
            begin=lambda: Begin(SETTINGS, self.neighbours),
            handler=self.handle,
            on_report=lambda: self.told.append(self.process.report.identifies),
            random=Random(1),
        )

    async def handle(self, message):
        return Failed("not in this test")

    def tell(self, neighbours):
        self.neighbours = neighbours
        self.process.tell(neighbours)


@pytest.fixture
async def supervised(stand_in, ending):
    def start(behaviour="obedient"):
        stand_in.behave(behaviour)
        made = Supervised()
        ending.append(made.process)
        made.process.start()
        return made

    return start


def begun(stand_in):
    return [pid for pid, text in stand_in.heard() if text.startswith("begin (4, 5)")]


# Alive.


async def test_a_worker_is_told_to_begin_and_reports(supervised, stand_in, until):
    process = supervised().process
    assert (process.running, process.report.shards) == (False, ())
    await until(lambda: process.report.identifies > 2)

    assert process.running
    assert [shard.shard_id for shard in process.report.shards] == [4, 5]
    assert begun(stand_in) == [process.pid]
    assert (process.restarts, process.problem) == (0, None)


async def test_a_question_is_answered_by_the_worker(supervised, until):
    process = supervised().process
    await until(lambda: process.running)

    assert await process.call(Release(5, "them"), timeout=5) == Released("s", "wss://of-4/5/them")


async def test_neighbours_that_change_while_a_worker_begins_are_told_when_it_has_begun(supervised, stand_in, until):
    slow = supervised("slow")
    await until(lambda: begun(stand_in))
    slow.tell(RELEASING)
    (stand_in.directory / "begin").touch()
    await until(lambda: "neighbours may_release=True takes_from=" in stand_in.said())

    slow.tell(Neighbours("me", (Neighbour("them", None, 4, 5),)))
    await until(lambda: stand_in.said()[-1] == "neighbours may_release=False takes_from=them")


# Deaths.


async def test_a_worker_that_is_killed_is_started_again_told_to_begin_anew_and_its_counts_are_kept(
    supervised, stand_in, until
):
    killed = supervised()
    process = killed.process
    await until(lambda: process.report.identifies > 10)
    killed.neighbours = RELEASING
    first = process.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: not process.running)
    counted = process.report.identifies
    assert counted > 10
    await until(lambda: process.report.identifies > counted + 3)

    assert begun(stand_in) == [first, process.pid]
    assert stand_in.said()[-1] == "neighbours may_release=True takes_from=", "as it is now"
    assert process.restarts == 1
    assert all(later >= earlier for earlier, later in pairwise(killed.told))
    assert process.report.received["T"] == process.report.identifies
    assert process.report.queued_events == 1, "the dead one's queue is no count"


async def test_while_a_worker_is_down_it_has_no_shards_cannot_be_asked_and_says_why(supervised, until, monkeypatch):
    monkeypatch.setattr(module, "_FIRST_PAUSE", 30.0)
    process = supervised().process
    await until(lambda: process.running)
    os.kill(process.pid, signal.SIGKILL)
    await until(lambda: process.problem)

    assert process.problem == "a worker was ended by SIGKILL; it is started again"
    assert (process.running, process.report.shards, process.pid) == (False, (), None)
    with pytest.raises(LinkClosedError):
        await process.call(Release(5, "them"), timeout=5)


async def test_the_pause_grows_for_a_worker_that_dies_again_and_again(supervised, until):
    with structlog.testing.capture_logs() as logs:
        process = supervised("crash").process
        await until(lambda: process.restarts == 3)

    ends = [(log["how"], log["pause"]) for log in logs if "how" in log]
    assert ends == [("ended with exit code 3", 0.1), ("ended with exit code 3", 0.2), ("ended with exit code 3", 0.4)]


async def test_the_pause_is_short_again_after_a_healthy_life(supervised, until, monkeypatch):
    monkeypatch.setattr(module, "HEALTHY_AFTER", 0.0)
    with structlog.testing.capture_logs() as logs:
        process = supervised("crash").process
        await until(lambda: process.restarts == 3)

    assert [log["pause"] for log in logs if "how" in log] == [0.1, 0.1, 0.1]


async def test_a_worker_that_cannot_begin_says_why_and_is_started_again(supervised, stand_in, until):
    process = supervised("fail").process
    await until(lambda: process.restarts)
    assert process.problem == "a worker could not begin (StoreError); it is started again"
    stand_in.behave("obedient")
    await until(lambda: process.running)

    assert process.problem is None


async def test_a_process_that_cannot_be_started_is_tried_again(supervised, stand_in, until, monkeypatch):
    started = supervised()
    monkeypatch.setattr(module, "COMMAND", ("/nothing/here",))
    process = started.process
    await until(lambda: process.restarts)
    assert process.problem == "a worker cannot be run (FileNotFoundError); it is started again"
    stand_in.behave("obedient")
    await until(lambda: process.running)


# Silence.


@pytest.mark.parametrize("behaviour", ["silent", "obedient"])
async def test_a_worker_that_is_silent_is_killed_and_started_again(supervised, stand_in, until, monkeypatch, behaviour):
    monkeypatch.setattr(module, "SILENCE", 0.4)
    silent = supervised(behaviour)
    process = silent.process
    await until(lambda: process.running)
    first = psutil.Process(process.pid)
    if behaviour == "obedient":
        first.suspend()
        # More than its socket holds: what was said to it will never be read.
        for _ in range(40):
            silent.tell(Neighbours("me", tuple(Neighbour("x" * 100, None, 4, 5) for _ in range(1000))))
        silent.tell(Neighbours("me"))
    stand_in.behave("obedient")
    await until(lambda: process.restarts == 1 and process.running)

    assert not first.is_running()
    assert len(begun(stand_in)) == 2
