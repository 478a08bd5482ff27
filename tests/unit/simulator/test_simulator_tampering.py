"""Events lost, doubled, reordered and varied on purpose: for whom, and that the account stays exact."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from discord_simulator import settle
from discord_simulator.events import EventDraft
from discord_simulator.fault_requests import read_fault
from discord_simulator.scenario import Scenario


def inject(here, fault, **fields):
    return Scenario(here.discord).inject(read_fault({"fault": fault} | fields), here.now)


def publish(here, count=1, event_type="MESSAGE_CREATE"):
    guild_id = here.discord.guilds.ids[0]
    d = {"guild_id": str(guild_id), "content": "hi", "nested": {"a": 1, "b": {"c": [1, 2], "d": 3}}, "last": True}
    return [here.discord.publish(EventDraft(event_type, guild_id, d)).number for _ in range(count)]


def numbers(outlet, event_type="MESSAGE_CREATE"):
    return [payload["d"]["event_number"] for payload in outlet.dispatched(event_type)]


def deliveries(session, outlet):
    """Give what a perfect bot behind this session would have handled."""
    load = outlet.dispatched("MESSAGE_CREATE")
    return [(p["d"]["event_number"], f"{session.id}:{p['s']}", p["d"]["guild_id"]) for p in load]


def account_of(here, arrived):
    return settle(here.discord.ledger.rows(), arrived, {"load"}, here.discord.ledger.interferences())


def test_a_drop_is_for_the_named_session_only_and_leaves_no_gap_in_its_sequence(world):
    here = world()
    deprived, _, deprived_outlet = here.new_session()
    _, _, other_outlet = here.new_session()

    inject(here, "drop", target=deprived.id, count=2)
    sent = publish(here, 3)

    assert numbers(deprived_outlet) == sent[2:]
    assert numbers(other_outlet) == sent
    assert [payload["s"] for payload in deprived_outlet.sent[1:]] == list(range(1, deprived.seq + 1))
    assert list(here.discord.ledger.interferences()) == [(number, deprived.id, "dropped") for number in sent[:2]]


def test_what_was_dropped_on_purpose_is_not_in_the_accounts_losses(world):
    here = world()
    deprived, _, outlet = here.new_session()
    here.new_session()
    inject(here, "drop", target=deprived.id, count=2)
    sent = publish(here, 3)

    account = account_of(here, deliveries(deprived, outlet)[:-1])  # and one was lost by the bot

    assert (account.lost_on_purpose, account.lost) == (sent[:2], sent[2:])


def test_an_event_dropped_for_everyone_was_never_sent(world):
    here = world()
    here.new_session()
    inject(here, "drop", count=1)
    publish(here)

    assert (account_of(here, []).sent, here.discord.ledger.unrouted) == (0, 1)


def test_one_event_type_can_be_lost_in_silence_until_the_next_identify(world):
    here = world()
    session, connection, outlet = here.new_session()
    inject(here, "drop", events=["INTERACTION_CREATE", "GUILD_CREATE"])
    publish(here, event_type="INTERACTION_CREATE")
    publish(here)
    connection.lost(None, here.now)
    resumed, resumed_outlet = here.connect()
    here.resume(resumed, session.id, session.seq)
    publish(here, event_type="INTERACTION_CREATE")
    _, _, healed_outlet = here.new_session()
    publish(here, event_type="INTERACTION_CREATE")

    assert outlet.dispatched("INTERACTION_CREATE") == resumed_outlet.dispatched("INTERACTION_CREATE") == []
    assert len(outlet.dispatched("MESSAGE_CREATE")) == 1
    assert len(healed_outlet.dispatched("INTERACTION_CREATE")) == 1


def test_a_duplicate_comes_again_under_its_own_sequence_number_and_is_no_fault_of_the_bot(world):
    here = world()
    session, _, outlet = here.new_session()
    inject(here, "duplicate", copies=2, count=1)
    first, second = publish(here, 2)

    account = account_of(here, deliveries(session, outlet))

    assert numbers(outlet) == [first, first, first, second]
    assert list(here.discord.ledger.rows())[first - 1][4] == [(session.id, seq) for seq in (10, 11, 12)]
    assert (account.doubled_on_purpose, account.doubled, account.lost) == ([first, first], [], [])
    assert account.exactly_once


def test_a_double_through_another_session_counts_although_the_first_had_a_duplicate(world):
    here = world()
    session, _, outlet = here.new_session()
    other, _, other_outlet = here.new_session()
    inject(here, "duplicate", target=session.id, count=1)
    (number,) = publish(here)

    account = account_of(here, deliveries(session, outlet) + deliveries(other, other_outlet))

    assert (account.doubled_on_purpose, account.doubled) == ([number], [number])


def test_reordering_is_seen_in_one_session_and_explained_in_the_account(world):
    here = world()
    reordered, _, outlet = here.new_session()
    _, _, other_outlet = here.new_session()
    inject(here, "reorder", target=reordered.id, by=2, count=1)
    sent = publish(here, 4)

    account = account_of(here, deliveries(reordered, outlet))

    assert numbers(outlet) == [sent[1], sent[2], sent[0], sent[3]]
    assert numbers(other_outlet) == sent
    assert (account.reordered_on_purpose, account.order_violations, account.lost) == ([sent[0]], [], [])


def test_an_event_held_back_goes_out_within_a_second_or_so_if_nothing_follows(world):
    here = world()
    session, _, outlet = here.new_session()
    inject(here, "reorder")
    (number,) = publish(here)
    here.discord.tick(here.now)
    assert (numbers(outlet), here.discord.ledger.unrouted) == ([], 1)

    here.discord.tick(here.now + 1.0)

    assert numbers(outlet) == [number]
    assert list(here.discord.ledger.rows())[number - 1][4] == [(session.id, session.seq)]
    assert here.discord.ledger.unrouted == 0


def test_an_event_still_held_back_when_its_session_ends_is_noted_as_dropped(world):
    here = world()
    session, _, _ = here.new_session()
    inject(here, "reorder")
    (number,) = publish(here)
    here.discord.end(session)

    assert (number, session.id, "dropped") in list(here.discord.ledger.interferences())


def test_varied_sessions_get_the_same_content_in_other_bytes(world):
    here = world()
    _, _, outlet = here.new_session()
    varied, _, varied_outlet = here.new_session()
    inject(here, "vary", target=varied.id, fields=["_trace"])
    publish(here, 20)

    plain = [json.dumps(payload["d"]) for payload in outlet.dispatched("MESSAGE_CREATE")]
    other = [dict(payload["d"]) for payload in varied_outlet.dispatched("MESSAGE_CREATE")]
    traces = [d.pop("_trace") for d in other]

    assert [json.loads(d) for d in plain] == other
    assert [json.dumps(d) for d in other] != plain
    assert len(set(traces)) == 20
    assert len({tuple(d["nested"]) for d in other}) > 1


def test_a_fault_ends_after_its_seconds(world):
    here = world()
    _, _, outlet = here.new_session()
    inject(here, "drop", seconds=10)
    publish(here)
    here.now += 10.0
    here.discord.tick(here.now)

    sent = publish(here)

    assert numbers(outlet) == sent


def test_a_share_of_the_events_is_met_and_the_same_for_the_same_seed(world):
    def run():
        here = world()
        _, _, outlet = here.new_session()
        inject(here, "drop", share=0.3)
        publish(here, 400)
        return numbers(outlet)

    kept = run()

    assert 240 < len(kept) < 320
    assert kept == run()


FAULTS = st.sampled_from([("drop", {}), ("duplicate", {"copies": 3}), ("reorder", {"by": 3}), ("vary", {})])


@settings(max_examples=50)
@given(st.lists(st.tuples(FAULTS, st.floats(0.1, 1.0), st.integers(1, 8)), max_size=5), st.integers(0, 40))
def test_whatever_is_done_to_events_the_account_of_a_perfect_bot_is_clean(world, faults, count):
    here = world()
    session, _, outlet = here.new_session()
    for (fault, fields), share, times in faults:
        events = {} if fault == "vary" else {"share": share, "count": times}
        inject(here, fault, **fields, **events)
    publish(here, count)
    for seconds in (0.0, 2.0):
        here.discord.tick(here.now + seconds)

    arrived = deliveries(session, outlet)
    account = account_of(here, arrived)

    assert account.exactly_once, account.report()
    assert account.session_order_violations == []
    listed = [
        number for number, _, _, kind, receivers in here.discord.ledger.rows() if kind == "load" for _ in receivers
    ]
    assert sorted(listed) == sorted(number for number, _, _ in arrived)
