"""What a shard has outstanding: what it may resume from, and what has to go to the spool next."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shardpod.delivery import Outstanding
from shardpod.protocol import Event


@pytest.fixture
def outstanding(make_event):
    """A shard that received events, all of which wait: `put(seq)`, and `settle(seq)`."""

    class Received(Outstanding):
        __slots__ = ("by_seq",)

        def __init__(self):
            super().__init__(3)
            self.by_seq = {}

        def put(self, *seqs, session="s", at=0.0):
            for seq in seqs:
                event = self.by_seq[seq] = make_event(seq, session=session, at=at)
                self.note(event)
                self.events[id(event)] = event

        def settle(self, *seqs):
            for seq in seqs:
                del self.events[id(self.by_seq[seq])]

        def unspooled_seqs(self, before):
            return [event.seq for event in self.unspooled(before)]

    return Received()


def test_nothing_received_means_no_session(outstanding):
    assert (outstanding.session_id, outstanding.settled_seq, outstanding.safe_seq) == (None, 0, 0)


def test_the_checkpoint_stays_before_the_first_unsettled_event(outstanding):
    outstanding.put(1, 2, 3, 4)
    assert outstanding.settled_seq == 0
    outstanding.settle(2, 3)
    assert outstanding.settled_seq == 0
    outstanding.settle(1)
    assert outstanding.settled_seq == 3
    outstanding.settle(4)

    assert outstanding.settled_seq == 4


def test_filtered_events_move_the_checkpoint_but_not_past_an_unsettled_one(outstanding, make_event):
    outstanding.note(make_event(5))
    assert outstanding.settled_seq == 5
    outstanding.put(6)
    outstanding.note(make_event(7))
    assert outstanding.settled_seq == 5
    outstanding.settle(6)

    assert outstanding.settled_seq == 7


def test_events_of_an_earlier_session_hold_up_no_checkpoint_of_the_new_one(outstanding):
    outstanding.put(1, 2, 3, session="old")
    outstanding.put(12, session="new")

    assert (outstanding.session_id, outstanding.settled_seq) == ("new", 11)
    outstanding.settle(12)
    assert outstanding.settled_seq == 12
    assert len(outstanding.events) == 3


def test_a_session_that_is_resumed_begins_where_its_checkpoint_was(outstanding):
    outstanding.begin("s", 40)
    assert (outstanding.settled_seq, outstanding.safe_seq) == (40, 40)
    outstanding.put(41)
    assert outstanding.settled_seq == 40


def test_a_dead_letter_that_is_put_back_does_not_take_the_checkpoint_back(outstanding, make_event):
    outstanding.put(1, 2, 3)
    outstanding.settle(1, 2, 3)
    assert outstanding.settled_seq == 3
    letter = make_event(2)
    outstanding.events[id(letter)] = letter

    assert outstanding.settled_seq == 3
    outstanding.put(4)
    assert outstanding.settled_seq == 3
    outstanding.settle(4)
    assert outstanding.settled_seq == 4


def test_what_is_spooled_is_safe_without_being_settled(outstanding):
    outstanding.put(1, 2, 3)
    outstanding.spooled_seq = 2
    assert (outstanding.settled_seq, outstanding.safe_seq) == (0, 2)
    outstanding.settle(1, 2, 3)

    assert outstanding.safe_seq == 3


def test_what_the_spool_has_of_one_session_says_nothing_about_the_next(outstanding):
    outstanding.put(1, 2, 3)
    outstanding.spooled_seq = 3
    outstanding.put(2, session="new")

    assert (outstanding.safe_seq, outstanding.settled_seq) == (1, 1)


def test_only_what_waited_long_enough_is_to_be_spooled(outstanding):
    outstanding.put(1, at=1.0)
    outstanding.put(2, at=2.0)
    outstanding.put(3, at=3.0)
    outstanding.by_seq[1].spool_id = 7

    assert outstanding.unspooled_seqs(2.5) == [2]
    assert outstanding.unspooled_seqs(0.5) == []


def test_the_spool_has_no_gap_even_when_an_old_event_stands_behind_a_young_one(outstanding):
    """Else a later checkpoint would count the young one as spooled, and it is not."""
    outstanding.put(1, at=1.0)
    outstanding.put(2, at=9.0)
    outstanding.put(3, at=1.0)

    assert outstanding.unspooled_seqs(5.0) == [1]
    assert outstanding.unspooled_seqs(9.0) == [1, 2, 3]


@given(st.data())
def test_the_checkpoint_is_the_highest_seq_with_everything_before_it_settled(make_event, data):
    gaps = data.draw(st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=20))
    shard, events, seq = Outstanding(0), [], 0
    for gap, filtered in gaps:
        seq += gap
        event = make_event(seq)
        shard.note(event)
        if not filtered:
            shard.events[id(event)] = event
            events.append(event)
    unsettled = {event.seq for event in events}
    for event in data.draw(st.permutations(events)):
        del shard.events[id(event)]
        unsettled.discard(event.seq)
        assert shard.settled_seq == (min(unsettled) - 1 if unsettled else seq)


class Checkpoints(RuleBasedStateMachine):
    """Sessions, spooling and settling in any order: what a crash would take, the checkpoint never claims."""

    @initialize()
    def begin(self):
        self.shard = Outstanding(0)
        self.now = 0.0
        self.seq = self.spool_id = 0
        self.session = "0"
        self.received = {}  # of this session: seq -> event
        self.settled = set()
        self.last = 0

    @rule(gap=st.integers(1, 3), filtered=st.booleans(), passed=st.floats(0, 3))
    def receive(self, gap, filtered, passed):
        self.now += passed
        self.seq += gap
        event = Event("X", self.seq, None, 0, self.session, self.now, b"")
        self.shard.note(event)
        if not filtered:
            self.shard.events[id(event)] = event
            self.received[event.seq] = event

    @precondition(lambda self: self.shard.events)
    @rule(data=st.data())
    def settle(self, data):
        index = data.draw(st.integers(0, len(self.shard.events) - 1))
        event = self.shard.events.pop(list(self.shard.events)[index])
        if event is self.received.get(event.seq):
            self.settled.add(event.seq)

    @precondition(lambda self: self.settled)
    @rule(data=st.data())
    def put_a_settled_one_back(self, data):
        seq = data.draw(st.sampled_from(sorted(self.settled)))
        letter = Event("X", seq, None, 0, self.session, self.now, b"")
        self.shard.events[id(letter)] = letter

    @rule(waited=st.floats(0, 3), room=st.integers(0, 5))
    def spool(self, waited, room):
        for event in self.shard.unspooled(self.now - waited)[:room]:
            self.spool_id += 1
            event.spool_id = self.spool_id
            if event.session_id == self.session:
                self.shard.spooled_seq = max(self.shard.spooled_seq, event.seq)

    @rule()
    def another_session(self):
        self.session = str(int(self.session) + 1)
        self.seq = self.last = 0
        self.received, self.settled = {}, set()

    @invariant()
    def nothing_unsafe_is_passed(self):
        if not hasattr(self, "shard") or self.shard.session_id != self.session:
            return
        settled, safe = self.shard.settled_seq, self.shard.safe_seq
        assert self.last <= settled <= safe <= self.shard.received_seq
        self.last = settled
        for seq, event in self.received.items():
            if seq <= settled:
                assert seq in self.settled
            if seq <= safe:
                assert seq in self.settled or event.spool_id
        spooled = [bool(event.spool_id) for event in self.shard.events.values()]
        assert spooled == sorted(spooled, reverse=True), "the spool holds all up to some event"


Checkpoints.TestCase.settings = settings(deadline=None, max_examples=100, stateful_step_count=40)
TestCheckpoints = Checkpoints.TestCase
