"""What the operator keeps of a reshard: stored before anything follows from it, and told in the log."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from gateway_operator.core.leases import LeaseBook, NoLease
from gateway_operator.core.reshard_record import ReshardRecord
from gateway_operator.core.world import LeaseView, Plan, Reshard, ReshardPhase, ReshardRequest, ShardSet
from gateway_operator.resharding import Resharding
from shardpod.contract import Handover, HandoverObserved, ShardRange, Windows

NOW, WALL = 100.0, 5000.0
RANGE = ShardRange(first_shard_id=0, last_shard_id=1)
OLD = ShardSet(1, 2, (RANGE,))
NEW = ShardSet(2, 4, (RANGE, ShardRange(first_shard_id=2, last_shard_id=3)))
REHEARSED = Handover(number=1, range=RANGE, from_epoch=1, to_epoch=2, step="rehearse")
GOING = REHEARSED.model_copy(update={"step": "go"})
RESHARD = Reshard(
    pending=NEW,
    phase=ReshardPhase.HANDING_OVER,
    reason="spec.shards is 4",
    started_at=1.0,
    progressed_at=2.0,
    handover=REHEARSED,
    windows=Windows(fence_timeout=3.0),
)


class Memory:
    """The part that is used."""

    def __init__(self, record: ReshardRecord) -> None:
        self.record = record
        self.stored = 0
        self.full = False

    def remembered_reshard(self) -> ReshardRecord:
        return self.record

    def remember_reshard(self, record: ReshardRecord) -> None:
        if self.full:
            raise OSError("no space left")
        self.record = record
        self.stored += 1


class Keeping:
    def __init__(self, reshard: Reshard | None = RESHARD) -> None:
        self.memory = Memory(ReshardRecord(reshard=reshard, last_epoch=2))
        self.book = LeaseBook()
        self.resharding = Resharding(self.memory, self.book, now=NOW, wall_now=WALL)

    def plan(self, reshard: Reshard | None, **changes: object) -> list[dict]:
        """Remember a plan; the log lines of it."""
        planned = Plan(active=OLD, reshard=reshard, last_epoch=2, givers=frozenset({"a"}), takers=frozenset({"x"}))
        with capture_logs() as logs:
            self.resharding.remember(replace(planned, **changes))
            self.resharding.follow(replace(planned, **changes))
        return logs

    def leased(self) -> bool:
        said = {
            "a": HandoverObserved(number=1, role="giver", state="fenced"),
            "x": HandoverObserved(number=1, role="taker", state="waiting"),
        }
        answer = self.book.ask("x", 1, live=False, said=said.get, now=NOW)
        return not isinstance(answer, NoLease)


@pytest.fixture
def keeping() -> Keeping:
    return Keeping()


def test_leases_are_granted_once_the_step_is_stored(keeping):
    keeping.plan(RESHARD)
    assert not keeping.leased()

    keeping.plan(replace(RESHARD, handover=GOING))
    assert keeping.memory.record.reshard.handover == GOING
    assert keeping.leased()


def test_what_cannot_be_stored_grants_no_lease(keeping):
    keeping.memory.full = True
    with pytest.raises(OSError, match="no space left"):
        keeping.plan(replace(RESHARD, handover=GOING))

    assert not keeping.leased()
    assert keeping.resharding.record.reshard.handover == REHEARSED


def test_a_handover_that_is_given_back_grants_none(keeping):
    keeping.plan(replace(RESHARD, handover=GOING, giving_back="a reason"))

    assert not keeping.leased()
    assert keeping.book.view().closed


def test_a_handover_found_on_its_way_counts_as_leased_by_its_own_windows():
    keeping = Keeping(replace(RESHARD, handover=GOING))

    assert keeping.book.view() == LeaseView(until=NOW + 6.0, since=NOW)


def test_a_handover_that_was_only_rehearsed_does_not(keeping):
    assert keeping.book.view() == LeaseView()


def test_while_no_operator_was_there_nothing_stood_still(keeping):
    assert keeping.resharding.record.reshard.progressed_at == WALL
    assert keeping.memory.stored == 0


def test_the_same_again_is_not_stored_again(keeping):
    keeping.plan(RESHARD)
    keeping.plan(RESHARD)

    assert keeping.memory.stored == 0


def test_a_request_is_stored_at_once(keeping):
    keeping.resharding.ask(ReshardRequest(to=9))

    assert keeping.memory.record.request == ReshardRequest(to=9)
    assert keeping.memory.record.last_epoch == 2


def test_sessions_of_the_pending_set_are_kept_from_its_start_on(keeping):
    assert keeping.resharding.shard_counts == {4}
    keeping.plan(replace(RESHARD, phase=ReshardPhase.PREPARING))
    assert keeping.resharding.shard_counts == frozenset()


def test_a_range_that_changes_its_owner_is_a_commit(keeping):
    commit = Plan(active=OLD, reshard=replace(RESHARD, handed=(RANGE,)))

    assert keeping.resharding.commits(commit)
    assert not keeping.resharding.commits(Plan(active=OLD, reshard=RESHARD))
    assert not keeping.resharding.commits(Plan(active=OLD))


# The log.


def test_each_step_is_told_once_with_its_numbers(keeping):
    going = replace(RESHARD, handover=GOING)
    [begun] = keeping.plan(going)
    assert begun["event"] == "handover begun"
    assert (begun["number"], begun["first_shard_id"], begun["last_shard_id"]) == (1, 0, 1)
    assert keeping.plan(going) == []

    [committed] = keeping.plan(replace(RESHARD, handover=None, handed=(RANGE,)))
    assert (committed["event"], committed["number"], committed["ranges"]) == ("handover committed", 1, 1)


def test_a_handover_that_is_given_back_is_told_with_the_reason(keeping):
    keeping.plan(replace(RESHARD, handover=GOING))
    [closing] = keeping.plan(replace(RESHARD, handover=GOING, giving_back="x was lost"))
    assert (closing["log_level"], closing["because"]) == ("warning", "x was lost")

    [back] = keeping.plan(replace(RESHARD, handover=None))
    assert back["event"] == "handover given back"


@pytest.mark.parametrize(("active", "event"), [(NEW, "reshard done"), (OLD, "reshard given up")])
def test_the_end_is_told(keeping, active, event):
    [end] = keeping.plan(None, active=active)

    assert (end["event"], end["to"], end["shards"]) == (event, 4, active.shard_count)


def test_phases_are_told_with_what_led_to_them(keeping):
    [line] = keeping.plan(replace(RESHARD, phase=ReshardPhase.ABORTING, aborted_because="nothing has moved"))

    assert (line["event"], line["phase"], line["given_up_because"]) == ("reshard", "Aborting", "nothing has moved")


def test_one_reshard_after_another_is_told_as_two(keeping):
    next_one = replace(RESHARD, pending=replace(NEW, epoch=3), phase=ReshardPhase.PREPARING)

    assert [line["event"] for line in keeping.plan(next_one)] == ["reshard given up", "reshard"]
