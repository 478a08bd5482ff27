"""Resuming: at which URL, what may come back, and when a session is given up."""

import pytest

from shardpod.protocol import Connect, SessionEnded, ShardState
from shardpod.protocol.shard import MAX_FAILED_RESUMES

MAIN = "wss://gateway.discord.gg/?v=10&encoding=json"
RESUME = "wss://gateway-us-east1-c.discord.gg/?v=10&encoding=json"


def test_resume_names_session_and_last_seq_and_needs_no_permit(drive):
    shard = drive().identify()
    shard.event("TYPING_START", s=2)
    shard.event("TYPING_START", s=7)
    shard.lose()
    while shard.state is ShardState.DISCONNECTED:
        shard.wait_for_timer()
    shard.take()
    shard.protocol.dialling(shard.now)
    shard.hello()

    (message,) = shard.sent()
    assert message == {"op": 6, "d": {"token": "MTk4.the-bots-token.zzz", "session_id": "a" * 32, "seq": 7}}
    assert shard.state is ShardState.RESUMING


def test_replayed_events_are_delivered_before_resumed_which_connects(drive):
    shard = drive().identify()
    shard.lose()
    shard.connect()

    assert shard.event("TYPING_START", s=2).seq == 2
    assert shard.state is ShardState.RESUMING
    assert shard.event("RESUMED", s=3).type == "RESUMED"
    assert shard.state is ShardState.CONNECTED
    assert shard.protocol.session.seq == 3


def test_resumed_with_an_old_seq_connects_all_the_same(drive):
    shard = drive().identify()
    shard.event("TYPING_START", s=9)
    shard.lose()
    shard.connect()
    shard.event("RESUMED", s=9)

    assert shard.state is ShardState.CONNECTED
    assert shard.protocol.session.seq == 9


@pytest.mark.parametrize("compression", ["none", "zlib-stream", "zstd-stream"])
def test_the_resume_url_gets_the_same_query_as_the_main_one(drive, compression):
    plain, packed = drive(), drive(compression=compression)
    plain.identify().lose()
    packed.protocol.session = plain.protocol.session
    query = "" if compression == "none" else f"&compress={compression}"
    packed.protocol.start()

    assert packed.take() == [Connect(RESUME + query, to_identify=False)]


def test_resumed_without_a_seq_connects_and_is_not_delivered(drive):
    shard = drive().identify()
    shard.event("TYPING_START", s=9)
    shard.lose()
    shard.connect()
    shard.take()

    assert shard.event("RESUMED", s=None) is None
    assert shard.state is ShardState.CONNECTED
    assert shard.protocol.session.seq == 9
    assert shard.take() == []


@pytest.mark.parametrize(("event_type", "connected"), [("TYPING_START", False), (None, False), ("RESUMED", True)])
def test_any_other_dispatch_without_a_seq_closes_the_connection(drive, effects, event_type, connected):
    shard = drive().identify()
    if not connected:
        shard.lose()
        shard.connect()
    shard.take()

    assert shard.event(event_type, s=None) is None
    assert shard.state is ShardState.DISCONNECTED
    assert effects(shard.take()) == ["Close"]


def test_a_resume_host_that_cannot_be_reached_is_given_up_for_the_main_one(drive):
    shard = drive().identify()
    shard.lose()
    shard.wait_for_timer()
    assert shard.take() == [Connect(RESUME, to_identify=False)]
    shard.protocol.dialling(shard.now)
    shard.protocol.connection_failed("refused", shard.now)

    assert "refused" in shard.protocol.problem
    assert shard.connect() == Connect(MAIN, to_identify=False)


def test_a_resume_host_that_says_nothing_is_given_up_for_the_main_one(drive):
    """A host that swallows packets never fails: without this the shard would dial it for ever."""
    shard = drive().identify()
    shard.lose()
    shard.wait_for_timer()
    shard.take()
    shard.protocol.dialling(shard.now)
    shard.wait_for_timer()

    assert shard.connect() == Connect(MAIN, to_identify=False)


@pytest.mark.parametrize("how", ["closed", "op 9 true", "no answer"])
def test_after_three_resumes_turned_down_in_a_row_the_shard_identifies(drive, how):
    shard = drive().identify()
    shard.lose()
    for _ in range(MAX_FAILED_RESUMES):
        assert not shard.connect().to_identify
        if how == "closed":
            shard.lose(4000)
        elif how == "op 9 true":
            shard.hear(9, d=True)
        else:
            while shard.state is ShardState.RESUMING:
                shard.hear(11)
                shard.wait_for_timer()
        assert shard.state is ShardState.DISCONNECTED
    shard.take()
    while shard.state is ShardState.DISCONNECTED:
        shard.wait_for_timer()

    ended, connect = shard.take()
    assert isinstance(ended, SessionEnded)
    assert connect == Connect(MAIN, to_identify=True)


def test_a_successful_resume_forgives_the_failed_ones(drive):
    shard = drive().identify()
    shard.lose()
    for _ in range(MAX_FAILED_RESUMES - 1):
        shard.connect()
        shard.lose(4000)
    shard.resume()
    shard.wait(20)
    shard.lose()
    for _ in range(MAX_FAILED_RESUMES - 1):
        assert not shard.connect().to_identify
        shard.lose(4000)

    assert not shard.connect().to_identify


def test_a_network_that_breaks_while_resuming_never_costs_the_session(drive):
    shard = drive().identify()
    for _ in range(10):
        shard.lose(None)
        assert not shard.connect().to_identify


@pytest.mark.parametrize("how", ["closed", "zombie", "no answer"])
def test_a_resume_that_is_cut_off_after_something_was_replayed_never_costs_the_session(drive, how):
    shard = drive().identify()
    shard.lose()
    for _ in range(3 * MAX_FAILED_RESUMES):
        assert not shard.connect().to_identify
        shard.event("TYPING_START", s=shard.protocol.session.seq + 1)
        if how == "closed":
            shard.lose(1006)
        while shard.state is ShardState.RESUMING:
            if how == "no answer":
                shard.hear(11)
            shard.wait_for_timer()

    assert not shard.connect().to_identify


def test_a_resume_that_repeats_only_what_is_known_made_no_progress(drive):
    shard = drive().identify()
    shard.lose()
    for _ in range(MAX_FAILED_RESUMES):
        assert not shard.connect().to_identify
        shard.event("TYPING_START", s=1)
        shard.lose(4000)

    assert shard.connect().to_identify


def test_a_resume_turned_down_after_something_was_replayed_counts_as_failed(drive):
    shard = drive().identify()
    shard.lose()
    for _ in range(MAX_FAILED_RESUMES):
        assert not shard.connect().to_identify
        shard.event("TYPING_START", s=shard.protocol.session.seq + 1)
        shard.hear(9, d=True)

    assert shard.connect().to_identify


def test_a_payload_that_cannot_be_read_and_is_replayed_at_each_resume_costs_the_session_and_not_the_shard(drive):
    """Otherwise the shard would resume, choke and resume for as long as Discord keeps the session."""
    shard = drive().identify()
    shard.receive(b"unreadable")
    for _ in range(MAX_FAILED_RESUMES):
        assert not shard.connect().to_identify
        shard.receive(b"unreadable")

    assert shard.connect().to_identify


def test_until_resumed_it_knows_since_when_it_may_have_missed_something(drive):
    shard = drive().identify()
    shard.event("TYPING_START", s=2)
    heard_at = shard.now
    assert shard.protocol.hearing.silent_since is None

    shard.now += 30.0
    shard.lose()
    assert shard.protocol.hearing.silent_since == heard_at

    shard.connect()
    shard.event("TYPING_START", s=3)
    shard.lose()
    shard.connect()
    shard.event("TYPING_START", s=4)
    assert shard.protocol.hearing.silent_since == heard_at, "a Resume that broke off has not replayed all"

    shard.event("RESUMED", s=5)
    assert shard.protocol.hearing.silent_since is None


def test_a_resume_that_took_long_leaves_in_doubt_what_was_sent_meanwhile(drive):
    shard = drive().identify()
    shard.ask(prompt=5.0)
    shard.hear(11)
    shard.lose()
    shard.connect()
    resumed_at = shard.now
    shard.now += 6.0
    shard.event("RESUMED", s=2)
    assert (shard.protocol.hearing.silent_since, shard.protocol.hearing.heard_at) == (resumed_at, resumed_at)

    shard.ask(prompt=5.0)
    shard.hear(11)
    assert shard.protocol.hearing.silent_since is None


def test_a_new_session_has_missed_nothing(drive):
    shard = drive().identify()
    shard.lose(4009)
    assert shard.protocol.session is None

    shard.identify(session_id="b" * 32)
    assert shard.protocol.hearing.silent_since is None
