"""The account of a run: every finding on its own, and properties over all histories."""

from hypothesis import given
from hypothesis import strategies as st

from discord_simulator import settle

A, B = "10", "20"


def row(number, guild_id=A, kind="load", receivers=(("s1", None),)):
    return (number, "MESSAGE_CREATE", guild_id, kind, [(session, seq or number) for session, seq in receivers])


def arrive(number, session="s1", guild_id=A):
    return (number, f"{session}:{number}", guild_id)


def test_everything_once_and_in_order_is_a_clean_account():
    account = settle([row(1), row(2), row(3)], [arrive(1), arrive(2), arrive(3)])

    assert account.exactly_once
    assert account.line() == (
        "sent 3, delivered 3, lost 0, repeated 0, doubled 0, out of guild order 0, out of session order 0,"
        " unknown 0, misread 0"
    )


def test_what_was_sent_and_never_arrived_is_lost():
    assert settle([row(1), row(2)], [arrive(1)]).lost == [2]


def test_what_no_session_got_is_neither_sent_nor_lost():
    account = settle([row(1, receivers=())], [])

    assert (account.sent, account.lost) == (0, [])


def test_the_same_number_with_the_same_key_is_a_repeat():
    account = settle([row(1)], [arrive(1), arrive(1)])

    assert (account.repeated, account.doubled, account.delivered) == ([1], [], 1)


def test_the_same_number_with_another_key_is_doubled():
    account = settle([row(1)], [arrive(1), arrive(1, "s2")])

    assert (account.repeated, account.doubled) == ([], [1])


def test_an_earlier_number_after_a_later_one_of_its_guild_is_out_of_order():
    account = settle([row(1), row(2), row(3, B)], [arrive(2), arrive(3, guild_id=B), arrive(1)])

    assert account.order_violations == [1]
    assert account.session_order_violations == [1]


def test_a_repeat_of_an_earlier_event_is_no_violation_of_order():
    assert settle([row(1), row(2)], [arrive(1), arrive(2), arrive(1)]).order_violations == []


def test_guilds_and_session_events_have_no_order_among_each_other():
    events = [row(1), row(2, B), row(3, kind="session")]

    account = settle(events, [arrive(3, "s3"), arrive(2, "s2", B), arrive(1)])

    assert account.order_violations == []


def test_an_event_that_was_never_sent_is_unknown():
    assert settle([row(1)], [arrive(1), arrive(9)]).unknown == [9]


def test_a_guild_the_receiver_read_wrongly_is_misread():
    assert settle([row(1)], [arrive(1, guild_id=B)]).misread == [1]


def test_only_the_kinds_asked_for_count():
    events = [row(1), row(2), row(3, kind="session"), row(4, kind="session")]

    account = settle(events, [arrive(1), arrive(3), arrive(3)], kinds={"load"})

    assert (account.sent, account.delivered, account.lost, account.repeated, account.unknown) == (2, 1, [2], [], [])


def test_the_long_rendering_names_the_first_numbers():
    report = settle([row(number) for number in range(1, 21)], []).report()

    assert "lost                           20  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …" in report.splitlines()


numbers = st.lists(st.integers(1, 30), unique=True, max_size=30).map(sorted)


@given(numbers, st.data())
def test_lost_and_delivered_make_up_all_that_was_sent(sent, data):
    arrivals = data.draw(st.lists(st.sampled_from(sent), max_size=60)) if sent else []

    account = settle([row(number) for number in sent], [arrive(number) for number in arrivals])

    assert account.sent == len(sent) == account.delivered + len(account.lost)
    assert len(arrivals) == account.delivered + len(account.repeated)
    assert set(account.lost).isdisjoint(arrivals)


@given(numbers, st.data())
def test_an_order_is_clean_exactly_if_each_guild_arrives_ascending(sent, data):
    guild_of = {number: data.draw(st.sampled_from([A, B])) for number in sent}
    order = data.draw(st.permutations(sent))

    account = settle(
        [row(number, guild_of[number]) for number in sent],
        [arrive(number, guild_id=guild_of[number]) for number in order],
    )

    ascending = all(
        [number for number in order if guild_of[number] == guild] == [n for n in sent if guild_of[n] == guild]
        for guild in (A, B)
    )
    assert (account.order_violations == []) is ascending
    assert (account.lost, account.doubled, account.repeated) == ([], [], [])
