"""Guilds that come and go, and what the load makes of messages, look-alikes and what belongs to shard 0."""

import json
from collections import Counter
from itertools import pairwise

import pytest

from discord_simulator import (
    FullShards,
    LifeRates,
    LoadSettings,
    StoryShares,
    WrongInputError,
    number_by_key,
    settle,
)
from discord_simulator.events import EventDraft
from discord_simulator.fault_requests import read_fault
from discord_simulator.generator import EventGenerator
from discord_simulator.guilds import Guilds
from discord_simulator.scenario import Scenario
from discord_simulator.snowflakes import shard_of

GUILDS = Guilds(60, seed=3, application_id=1).ids


def inject(here, fault, **fields):
    return Scenario(here.discord).inject(read_fault({"fault": fault} | fields), here.now)


def drafts(count, seed="s", **options):
    generator = EventGenerator(GUILDS, seed, **options)
    return [generator.next() for _ in range(count)]


def run_load(here, settings, seconds=2.0):
    scenario = Scenario(here.discord)
    scenario.start_load(settings, here.now)
    for tick in range(int(seconds * 100) + 1):
        scenario.tick(here.now + tick / 100)
    return scenario


def test_a_new_guild_is_created_without_unavailable_in_every_set(world):
    here = world()
    small, large = here.new_session((0, 1)), here.new_session((0, 2))
    (guild_id,) = inject(here, "guild-join")["guilds"]

    (created,) = [p["d"] for p in small[2].dispatched("GUILD_CREATE")[8:]]
    assert created["id"] == guild_id
    assert "unavailable" not in created
    assert len(large[2].dispatched("GUILD_CREATE")) == 4 + (shard_of(int(guild_id), 2) == 0)
    assert here.discord.guilds.has(int(guild_id))


def test_a_guild_that_was_left_is_deleted_without_unavailable_and_may_come_back_as_new(world):
    here = world()
    _, _, outlet = here.new_session()
    (guild_id,) = inject(here, "guild-leave")["guilds"]
    assert outlet.last["d"] == {"id": guild_id, "event_number": outlet.last["d"]["event_number"]}

    assert inject(here, "guild-join", guilds=[guild_id]) == {"guilds": [guild_id]}

    assert outlet.last["d"]["id"] == guild_id
    assert "unavailable" not in outlet.last["d"]


def test_an_outage_is_a_guild_delete_with_unavailable_and_ends_with_guild_create(world):
    here = world()
    _, _, outlet = here.new_session()
    scenario = Scenario(here.discord)
    outage = read_fault({"fault": "guild-outage", "count": 2, "seconds": 3})
    guild_ids = scenario.inject(outage, here.now)["guilds"]
    assert [(p["d"]["id"], p["d"]["unavailable"]) for p in outlet.dispatched("GUILD_DELETE")] == [
        (guild_id, True) for guild_id in guild_ids
    ]
    here.now += 2.9
    scenario.tick(here.now)
    assert len(outlet.dispatched("GUILD_CREATE")) == 8

    scenario.tick(here.now + 0.1)

    back = [p["d"] for p in outlet.dispatched("GUILD_CREATE")[8:]]
    assert [(d["id"], d["unavailable"]) for d in back] == [(guild_id, False) for guild_id in guild_ids]


def test_a_guild_returned_by_hand_is_not_returned_again_when_its_time_comes(world):
    here = world()
    scenario = Scenario(here.discord)
    guild_id = str(here.discord.guilds.ids[0])
    for fault in (
        {"fault": "guild-outage", "guilds": [guild_id], "seconds": 3},
        {"fault": "guild-return", "guilds": [guild_id]},
        {"fault": "guild-outage", "guilds": [guild_id]},
    ):
        scenario.inject(read_fault(fault), here.now)

    scenario.tick(here.now + 3.0)

    assert here.discord.guilds.unavailable == {int(guild_id)}


def test_an_outage_of_a_shard_takes_its_guilds_only(world):
    here = world()

    guild_ids = inject(here, "guild-outage", count=100, target="1/2")["guilds"]

    assert [int(guild_id) for guild_id in guild_ids] == here.discord.guilds.of_shard(1, 2)


def test_a_session_that_begins_during_an_outage_hears_of_it_in_place_of_guild_create(world):
    here = world()
    (guild_id,) = inject(here, "guild-outage")["guilds"]

    _, _, outlet = here.new_session()

    assert {"unavailable": True, "id": guild_id} in outlet.dispatched("READY")[0]["d"]["guilds"]
    assert [(p["d"]["id"], p["d"]["unavailable"]) for p in outlet.dispatched("GUILD_DELETE")] == [(guild_id, True)]
    assert len(outlet.dispatched("GUILD_CREATE")) == 7


def test_a_guild_that_goes_before_its_initial_guild_create_gets_none(world):
    here = world()
    connection, outlet = here.connect()
    here.identify(connection)
    (guild_id,) = inject(here, "guild-leave")["guilds"]
    here.discord.tick(here.now + 5.0)

    assert guild_id not in [p["d"]["id"] for p in outlet.dispatched("GUILD_CREATE")]
    assert here.discord.ready_sessions() == 1


def test_ids_that_are_none_are_refused(world):
    with pytest.raises(WrongInputError, match="guilds: 'x' is no id"):
        inject(world(), "guild-leave", guilds=["x"])


def test_growth_reaches_the_thresholds_of_resharding(world):
    here = world(guilds=0)
    run_load(here, LoadSettings(rate=10, duration=2, life=LifeRates(joins=1000)), seconds=3)

    assert len(here.discord.guilds.ids) == 1900  # the last event of the load is due at 1.9 s
    assert here.discord.recommended_shards == 2


def test_a_full_shard_takes_no_more_guilds_where_the_settings_say_so(world):
    here = world(guilds=8, max_guilds_per_shard=5, full_shards=FullShards.BLOCK)
    here.new_session((0, 2))

    joined = inject(here, "guild-join", count=6)["guilds"]

    assert len(here.discord.guilds.of_shard(0, 2)) == len(here.discord.guilds.of_shard(1, 2)) == 5
    assert len(joined) == 2
    assert {incident.rule for incident in here.discord.ledger.incidents} == {"full-shard"}


LIFE = LifeRates(joins=20, leaves=10, comebacks=5, outages=10, outage_seconds=0.2)


def test_load_never_concerns_a_guild_that_is_not_there(world):
    here = world()
    _, _, outlet = here.new_session()
    scenario = run_load(here, LoadSettings(rate=500, duration=2, life=LIFE, look_alikes=0.5))

    there, changes = set(), Counter()
    for payload in outlet.sent[1:]:
        d = payload["d"]
        if payload["t"] == "GUILD_CREATE":
            there.add(d["id"])
        elif payload["t"] == "GUILD_DELETE":
            there.remove(d["id"])
        elif d.get("guild_id"):
            assert d["guild_id"] in there
        changes[payload["t"], d.get("unavailable")] += 1
    assert scenario.load.done
    assert here.discord.guilds.unavailable == set()
    assert changes["GUILD_DELETE", True] >= 15
    assert changes["GUILD_DELETE", None] >= 15
    assert changes["GUILD_CREATE", None] >= 40


def test_the_same_seed_and_the_same_actions_give_the_same_events_however_the_clock_ticks(world):
    def run(ticks):
        here = world()
        _, connection, outlet = here.new_session((0, 1))
        guild_id = str(here.discord.guilds.ids[0])
        scenario = Scenario(here.discord)
        here.send(connection, 4, {"guild_id": guild_id, "channel_id": "5"})
        for fault in ({"fault": "drop", "share": 0.1}, {"fault": "reorder", "share": 0.1}, {"fault": "vary"}):
            scenario.inject(read_fault(fault), here.now)
        life = LoadSettings(rate=200, duration=1.0, burst=None, life=LIFE, look_alikes=0.2)
        scenario.start_load(life, here.now)
        for tick in ticks:
            scenario.tick(here.now + tick)
        here.send(connection, 8, {"guild_id": guild_id, "query": "", "limit": 0})
        return outlet.sent, list(here.discord.ledger.rows()), list(here.discord.ledger.interferences())

    assert run([0.5, 0.9, 1.0, 3.0]) == run([0.5, 0.9, 1.0, 3.0])
    sent, rows, interferences = run([1.0, 3.0])
    finely = run([tenth / 10 for tenth in range(11)] + [3.0])
    assert (sent, rows, interferences) == finely
    assert len(interferences) > 10


def test_another_seed_gives_other_events(world):
    def run(seed):
        here = world(seed=seed)
        _, _, outlet = here.new_session()
        run_load(here, LoadSettings(rate=100, duration=0.1), seconds=0.2)
        return outlet.sent

    assert run(1) != run(2)


def test_five_links_are_one_create_and_five_updates_and_an_edit_six_more():
    stories = StoryShares(links=1.0, edits=1.0)
    made = drafts(400, mix={"MESSAGE_CREATE": 1, "MESSAGE_UPDATE": 12}, stories=stories)
    by_id = {}
    for draft in made:
        by_id.setdefault(draft.d["id"], []).append(draft)
    told = [story for story in by_id.values() if story[0].type == "MESSAGE_CREATE" and len(story) == 12]
    assert told, "no story of five links was drawn: another seed, please"

    for created, *updates in told:
        assert {draft.type for draft in updates} == {"MESSAGE_UPDATE"}
        assert {draft.guild_id for draft in updates} == {created.guild_id}
        unfurled, (edit, *unfurled_again) = updates[:5], updates[5:]
        assert (created.d["embeds"], created.d["edited_timestamp"]) == ([], None)
        assert created.d["content"].count("https://") == 5
        assert [len(draft.d["embeds"]) for draft in unfurled] == [1, 2, 3, 4, 5]
        assert {draft.d["edited_timestamp"] for draft in unfurled} == {None}
        assert {draft.d["content"] for draft in unfurled} == {created.d["content"]}
        assert edit.d["content"] == f"{created.d['content']}!"
        edited_at = edit.d["edited_timestamp"]
        assert {draft.d["edited_timestamp"] for draft in unfurled_again} == {edited_at[:23] + "000" + edited_at[26:]}


def test_look_alikes_have_the_same_content_and_come_at_the_share_asked_for():
    made = drafts(1000, mix={"TYPING_START": 1}, look_alikes=0.3)

    alike = sum(one.d == other.d for one, other in pairwise(made))

    assert 240 < alike < 360
    assert sum(one.d == other.d for one, other in pairwise(drafts(300, mix={"TYPING_START": 1}))) == 0


def test_what_has_an_id_of_its_own_is_never_repeated():
    made = drafts(500, look_alikes=1.0, mix={"MESSAGE_CREATE": 1, "INTERACTION_CREATE": 1})

    assert len({draft.d["id"] for draft in made}) == 500


def test_without_numbers_look_alikes_are_the_same_bytes_and_the_account_works_by_key(world):
    here = world(event_numbers=False)
    session, _, outlet = here.new_session()
    run_load(here, LoadSettings(rate=100, events=20, mix={"TYPING_START": 1}, look_alikes=1.0))
    load = outlet.dispatched("TYPING_START")

    assert len({json.dumps(payload["d"]) for payload in load}) == 1
    arrived = [(f"{session.id}:{payload['s']}", payload["d"].get("guild_id")) for payload in load]
    rows = list(here.discord.ledger.rows())
    account = settle(rows, number_by_key(rows, [*arrived[1:], ("nobody:1", None)]), kinds={"load"})
    assert (account.sent, len(account.lost), account.unknown) == (20, 1, [0])


def test_entitlements_go_to_shard_0_and_may_name_a_guild(world):
    here = world()
    sessions = [here.new_session((shard_id, 2)) for shard_id in range(2)]
    run_load(here, LoadSettings(rate=100, events=100, mix={"ENTITLEMENT_CREATE": 1}))

    entitlements = sessions[0][2].dispatched("ENTITLEMENT_CREATE")
    assert len(entitlements) == 100
    assert sessions[1][2].dispatched("ENTITLEMENT_CREATE") == []
    named = [payload for payload in entitlements if "guild_id" in payload["d"]]
    assert any(shard_of(int(payload["d"]["guild_id"]), 2) == 1 for payload in named)
    for read in (lambda d: d.get("guild_id"), lambda _d: None):  # both readings of a receiver are right
        arrived = [(p["d"]["event_number"], f"{sessions[0][0].id}:{p['s']}", read(p["d"])) for p in entitlements]
        account = settle(here.discord.ledger.rows(), reversed(arrived), kinds={"load"})
        assert (account.misread, account.order_violations) == ([], [])


def test_interactions_in_direct_messages_have_a_user_and_no_member():
    direct = [draft for draft in drafts(400, mix={"INTERACTION_CREATE": 1}) if draft.guild_id is None]

    assert direct
    assert all("user" in draft.d and "member" not in draft.d and "guild" not in draft.d for draft in direct)


def test_the_end_of_a_session_ends_its_voice(world):
    here = world()
    session, connection, _ = here.new_session()
    _, _, other_outlet = here.new_session()
    guild_id = str(here.discord.guilds.ids[0])
    here.send(connection, 4, {"guild_id": guild_id, "channel_id": "5"})

    connection.lost(1000, here.now)

    joined, left = [payload["d"] for payload in other_outlet.dispatched("VOICE_STATE_UPDATE")]
    assert (joined["channel_id"], left["channel_id"]) == ("5", None)
    assert joined["session_id"] == left["session_id"] == session.id


def voice_states(outlet, guild_id):
    created = [payload["d"] for payload in outlet.dispatched("GUILD_CREATE") if payload["d"]["id"] == guild_id]
    return [(state["channel_id"], state["session_id"]) for state in created[-1]["voice_states"]]


def test_a_session_that_comes_later_is_told_where_the_bot_is_in_voice(world):
    here = world()
    session, connection, _ = here.new_session()
    guild_id, left = map(str, here.discord.guilds.ids[:2])
    for guild in (guild_id, left):
        here.send(connection, 4, {"guild_id": guild, "channel_id": "5"})
    here.send(connection, 4, {"guild_id": left, "channel_id": None})

    _, _, later = here.new_session()
    assert voice_states(later, guild_id) == [("5", session.id)]
    assert voice_states(later, left) == []


def test_voice_that_another_session_has_taken_over_outlives_the_first(world):
    here = world()
    _, connection, _ = here.new_session()
    taker, taking, outlet = here.new_session()
    guild_id = str(here.discord.guilds.ids[0])
    here.send(connection, 4, {"guild_id": guild_id, "channel_id": "5"})
    here.send(taking, 4, {"guild_id": guild_id, "channel_id": "5"})

    connection.lost(1000, here.now)

    told = [payload["d"] for payload in outlet.dispatched("VOICE_STATE_UPDATE")]
    assert told[-1]["session_id"] == taker.id
    assert told[-1]["channel_id"] == "5"
    assert len(outlet.dispatched("VOICE_SERVER_UPDATE")) == 1


def test_all_members_of_a_large_guild_come_in_chunks_of_a_thousand(world):
    here = world(guild_members=2500)
    _, connection, outlet = here.new_session()
    request = {"guild_id": str(here.discord.guilds.ids[0]), "query": "", "limit": 0, "nonce": "n"}

    here.send(connection, 8, request)

    chunks = [payload["d"] for payload in outlet.dispatched("GUILD_MEMBERS_CHUNK")]
    assert [(len(d["members"]), d["chunk_index"], d["chunk_count"], d["nonce"]) for d in chunks] == [
        (1000, 0, 3, "n"), (1000, 1, 3, "n"), (500, 2, 3, "n"),
    ]  # fmt: skip
    created = outlet.dispatched("GUILD_CREATE")[0]["d"]
    assert (created["member_count"], created["large"]) == (2500, True)


def test_a_guild_nobody_knows_can_be_published_for_all_the_same(world):
    here = world()
    _, _, outlet = here.new_session()

    here.discord.publish(EventDraft("INTERACTION_CREATE", 1 << 22, {"guild_id": str(1 << 22)}))

    assert len(outlet.dispatched("INTERACTION_CREATE")) == 1
