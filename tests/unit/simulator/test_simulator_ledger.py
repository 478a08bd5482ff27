"""The ledger gives back what was written, in little memory."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from discord_simulator.events import EventDraft, EventKind, number_event
from discord_simulator.ledger import Ledger
from discord_simulator.session import Session

entries = st.lists(
    st.tuples(
        st.sampled_from(["MESSAGE_CREATE", "USER_UPDATE", "READY"]),
        st.none() | st.integers(1, 2**63 - 1),
        st.sampled_from(EventKind),
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 10**9)), max_size=3),
    ),
    max_size=20,
)


def filled(written):
    ledger = Ledger()
    sessions = [Session(f"s{index}", index, 3, 0, 1) for index in range(3)]
    for session in sessions:
        ledger.add_session(session)
    for event_type, guild_id, kind, receivers in written:
        event = number_event(EventDraft(event_type, guild_id, {}), ledger.next_number, kind)
        ledger.record(event, [(sessions[index], seq) for index, seq in receivers])
    return ledger


@given(entries)
def test_every_row_comes_back_as_it_was_written(written):
    ledger = filled(written)

    assert list(ledger.rows()) == [
        (
            number,
            event_type,
            str(guild_id) if guild_id else None,
            kind.value,
            [(f"s{index}", seq) for index, seq in receivers],
        )
        for number, (event_type, guild_id, kind, receivers) in enumerate(written, start=1)
    ]
    assert ledger.sent + ledger.unrouted == len(written)


@given(entries, st.integers(1, 25), st.integers(1, 25))
def test_a_part_of_the_rows_is_that_part(written, first, last):
    ledger = filled(written)

    assert list(ledger.rows(first, last)) == list(ledger.rows())[first - 1 : last]


def test_an_event_costs_less_than_a_hundred_bytes():
    ledger = filled([("MESSAGE_CREATE", 2**60, EventKind.LOAD, [(0, 5), (1, 6)])] * 20_000)

    columns = [value for value in vars(ledger).values() if hasattr(value, "itemsize")]
    assert 10 < sum(map(sys.getsizeof, columns)) / 20_000 < 100


def test_the_summary_names_sessions_and_counts():
    ledger = filled([("READY", None, EventKind.SESSION, [(1, 1)]), ("USER_UPDATE", None, EventKind.LOAD, [])])

    summary = ledger.summary()

    assert (summary["sent"], summary["unrouted"]) == (1, 1)
    assert summary["sessions"]["s1"] == {"shard": [1, 3], "state": "disconnected", "seq": 0, "longest_gap": 0.0}
