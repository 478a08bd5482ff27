"""What load consists of: the same for the same seed, hard to route for careless receivers, in time."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_simulator import Burst, LoadSettings, MixError
from discord_simulator.events import EventKind, number_event
from discord_simulator.generator import DEFAULT_MIX, EventGenerator
from discord_simulator.guilds import Guilds
from discord_simulator.load import Load
from discord_simulator.scenario import Scenario
from discord_simulator.snowflakes import shard_of

GUILDS = Guilds(60, seed=3, application_id=1).ids


def payloads(count, seed="s", mix=None):
    generator = EventGenerator(GUILDS, seed, mix)
    return [number_event(generator.next(), number, EventKind.LOAD).payload(7) for number in range(1, count + 1)]


def test_the_same_seed_gives_the_same_bytes():
    assert payloads(500) == payloads(500)
    assert payloads(50) != payloads(50, seed="other")


def test_a_run_gives_the_same_events_however_the_clock_ticks(world):
    def run(ticks):
        here = world()
        _, _, outlet = here.new_session()
        scenario = Scenario(here.discord)
        scenario.start_load(LoadSettings(rate=100, duration=1.0), here.now)
        for tick in ticks:
            scenario.tick(here.now + tick)
        return outlet.sent, list(here.discord.ledger.rows())

    assert run([1.0, 2.0]) == run([tenth / 10 for tenth in range(30)])


def test_numbers_and_ids_stand_anywhere_in_d():
    positions = Counter()
    for payload in payloads(300, mix={"MESSAGE_CREATE": 1}):
        keys = list(json.loads(payload)["d"])
        positions["number", keys.index("event_number") * 3 // len(keys)] += 1
        positions["id", keys.index("id") * 3 // len(keys)] += 1

    assert len(positions) == 6  # each in the first, the middle and the last third
    assert min(positions.values()) > 30


def test_the_first_guild_id_in_the_bytes_is_often_a_nested_one():
    misleading = 0
    for payload in payloads(300, mix={"MESSAGE_CREATE": 1}):
        first = payload.split(b'"guild_id":"')[1].split(b'"')[0] if b'"guild_id":"' in payload else b""
        misleading += first.decode() != json.loads(payload)["d"].get("guild_id", "")

    assert misleading > 5


def test_the_envelope_has_discords_order_and_snowflakes_are_strings():
    for payload in payloads(200):
        envelope = json.loads(payload)
        assert list(envelope) == ["t", "s", "op", "d"]
        assert (envelope["op"], envelope["s"]) == (0, 7)
        assert isinstance(envelope["d"].get("id", ""), str)
        assert isinstance(envelope["d"].get("guild_id", ""), str)


def test_the_default_mix_makes_every_type_and_messages_of_realistic_size():
    made = payloads(6000)

    assert {json.loads(payload)["t"] for payload in made} == set(DEFAULT_MIX)
    sizes = [len(payload) for payload in made if b'"t":"MESSAGE_CREATE"' in payload]
    assert 500 < sum(sizes) / len(sizes) < 2500
    assert max(sizes) > 3000


def test_guild_updates_carry_their_guild_in_id_and_direct_messages_carry_none():
    generator = EventGenerator(GUILDS, "s", {"GUILD_UPDATE": 1, "MESSAGE_CREATE": 1})
    drafts = [generator.next() for _ in range(500)]

    updates = [draft for draft in drafts if draft.type == "GUILD_UPDATE"]
    assert all(draft.d["id"] == str(draft.guild_id) and "guild_id" not in draft.d for draft in updates)
    direct = [draft for draft in drafts if draft.guild_id is None]
    assert direct
    assert all("guild_id" not in draft.d and "member" not in draft.d for draft in direct)


@pytest.mark.parametrize("mix", [{"NO_SUCH": 1}, {}, {"MESSAGE_CREATE": 0}, {"MESSAGE_CREATE": -1, "USER_UPDATE": 2}])
def test_a_mix_that_cannot_be_made_is_refused(mix):
    with pytest.raises(MixError):
        EventGenerator(GUILDS, "s", mix)


@pytest.mark.parametrize("shard_count", [1, 2, 3, 7, 16])
def test_guilds_spread_evenly_over_any_number_of_shards(shard_count):
    guilds = Guilds(1000, seed=9, application_id=1)

    sizes = Counter(shard_of(guild_id, shard_count) for guild_id in guilds.ids)

    assert len(sizes) == shard_count
    assert max(sizes.values()) - min(sizes.values()) <= 1
    assert len(set(guilds.ids)) == 1000


def test_a_load_ends_at_the_earlier_of_duration_and_events():
    assert Load(LoadSettings(rate=10, duration=2), 0.0).total == 20
    assert Load(LoadSettings(rate=10, duration=2, events=5), 0.0).total == 5
    assert Load(LoadSettings(rate=10), 0.0).total is None


def test_bursts_come_on_top_of_the_rate():
    load = Load(LoadSettings(rate=10, duration=3, burst=Burst(every=1.0, size=100)), started=5.0)

    assert load.due(5.5) == 5
    assert load.due(6.0) == 110
    assert load.total == 330


@given(st.lists(st.floats(0, 3), min_size=1, max_size=30), st.floats(1, 500))
def test_however_often_it_is_asked_a_load_sends_its_total_and_never_ahead_of_the_rate(waits, rate):
    load, now = Load(LoadSettings(rate=rate, duration=10), 0.0), 0.0
    for wait in waits:
        now += wait
        load.published += load.due(now)
        assert load.published <= rate * min(now, 10.0) + 1e-6
    load.published += load.due(now + 10.0)

    assert load.published == load.total
    assert load.done
