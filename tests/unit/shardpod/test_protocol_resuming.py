"""After a connection: resume or identify, at which URL, and how long to wait before."""

import pytest

from shardpod.protocol import Connect, SessionEnded, ShardState, after_close, explain_close
from shardpod.protocol.close_codes import AfterClose
from shardpod.protocol.reconnect import LONGEST_DELAY_WITH_SESSION, Reconnect
from shardpod.protocol.shard import MAX_FAILED_RESUMES

MAIN = "wss://gateway.discord.gg/?v=10&encoding=json"
RESUME = "wss://gateway-us-east1-c.discord.gg/?v=10&encoding=json"


# Closed by Discord: the table of the fact sheet's section 3.


@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 1011, 4000, 4001, 4002, 4008, 4015, 4999])
def test_after_these_ends_the_session_is_resumed(drive, code):
    shard = drive().identify()
    shard.lose(code)

    assert shard.state is ShardState.DISCONNECTED
    assert shard.protocol.close_code == code
    assert shard.connect() == Connect(RESUME, to_identify=False)
    assert shard.state is ShardState.RESUMING
    assert [message["op"] for message in shard.sent()] == [6]


@pytest.mark.parametrize("code", [4003, 4005, 4006, 4007, 4009])
def test_after_these_codes_the_session_is_gone_and_a_permit_is_needed(drive, code):
    shard = drive().identify()
    shard.lose(code)

    (ended,) = [effect for effect in shard.take() if isinstance(effect, SessionEnded)]
    assert ended.session_id == "a" * 32
    assert str(code) in ended.reason
    assert shard.connect() == Connect(MAIN, to_identify=True)
    assert shard.state is ShardState.AWAITING_PERMIT


@pytest.mark.parametrize("code", [4004, 4010, 4011, 4012, 4013, 4014])
def test_after_these_codes_the_shard_is_refused_for_good_and_says_what_to_do(drive, code):
    shard = drive().identify()
    shard.lose(code)
    shard.wait(100_000)

    assert shard.state is ShardState.REFUSED
    assert shard.protocol.timer is None
    assert shard.protocol.close_code == code
    assert shard.take() == []
    assert len(explain_close(code)) > 20


def test_only_refusing_codes_are_explained():
    assert explain_close(4000) is None
    assert after_close(4014) is AfterClose.STOP


def test_a_closed_rate_limit_backs_off_even_after_a_healthy_time(drive):
    """Fact sheet, section 3: 4008 back off; at once is for the others."""
    shard = drive().identify()
    shard.wait(5)
    shard.hear(11)
    shard.wait(20)
    shard.lose(4008)

    assert shard.protocol.timer - shard.now >= 1.0


def test_a_refused_shard_stays_refused_when_it_is_stopped_or_told_more(drive):
    shard = drive().identify()
    shard.lose(4004)
    shard.protocol.connection_closed(1000, shard.now)
    shard.protocol.tick(shard.now)
    shard.protocol.stop()

    assert shard.state is ShardState.REFUSED
    assert shard.protocol.close_code == 4004
    assert shard.take() == []


# Resuming.


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


# Waiting longer and longer.


def test_the_wait_grows_with_failures_up_to_a_minute(drive):
    shard = drive(seed=4)
    shard.protocol.start()
    longest = []
    for _ in range(40):
        shard.take()
        shard.protocol.dialling(shard.now)
        shard.protocol.connection_failed("refused", shard.now)
        longest.append(shard.wait_for_timer())

    assert all(0.1 <= wait <= 60 for wait in longest)
    assert longest[0] <= 2
    assert longest[1] <= 4
    assert max(longest) > 30


@pytest.mark.parametrize("seed", range(5))
def test_with_a_session_to_resume_no_wait_is_longer_than_five_seconds(drive, seed):
    """Discord's replay does not wait for a shard that does (fact sheet, section 3: Resume window)."""
    shard = drive(seed=seed).identify()
    shard.lose()
    waits = []
    for attempt in range(60):
        waits.append(shard.wait_for_timer())
        shard.protocol.dialling(shard.now)
        if attempt % 20 == 19:
            shard.hello()
            shard.lose(4008)
            shard.protocol._failed_resumes = 0
        else:
            shard.protocol.connection_failed("refused", shard.now)

    assert max(waits) <= LONGEST_DELAY_WITH_SESSION == 5.0
    assert max(waits) > 3.0
    assert len(set(waits)) > 50, "the waits are random"


def test_connections_that_do_not_last_make_the_wait_grow(drive):
    shard = drive(seed=4).identify()
    waits = []
    for _ in range(12):
        shard.lose()
        waits.append(shard.protocol.timer - shard.now)
        shard.resume()

    assert waits[0] == 0.0
    assert min(waits[1:]) > 0
    assert max(waits[1:3]) <= 8
    assert max(waits) > 3


def test_a_healthy_time_resets_the_wait(drive):
    shard = drive(seed=4).identify()
    for _ in range(12):
        shard.lose()
        shard.resume()
    shard.wait(5)
    shard.hear(11)
    shard.wait(6)
    shard.lose()

    assert shard.protocol.timer == shard.now


def test_every_wait_is_random_so_that_shards_do_not_come_back_in_step(drive):
    waits = set()
    for seed in range(20):
        shard = drive(seed=seed)
        shard.protocol.start()
        shard.protocol.connection_failed("refused", shard.now)
        waits.add(shard.protocol.timer)

    assert len(waits) == 20
    assert isinstance(shard.protocol._reconnect, Reconnect)
