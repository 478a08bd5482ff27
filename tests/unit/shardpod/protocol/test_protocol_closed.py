"""After a connection: whether it is resumed, and how long to wait before the next."""

import pytest

from shardpod.protocol import Connect, SessionEnded, ShardState, after_close, explain_close
from shardpod.protocol.close_codes import AfterClose
from shardpod.protocol.reconnect import LONGEST_DELAY_WITH_SESSION, Reconnect

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
