"""What the bot took in a run, held against what Discord sent in it.

The bot's keys are looked up in the ledger, for the events themselves show no number. The counting is that of the tables
made on one machine.
"""

from collections.abc import Collection, Iterable

from reshardtable.arrivals import Arrival, Counted, count, numbers_by_key

from discord_simulator.ledger import EventRow

from .services import Taken


def count_run(rows: Collection[EventRow], first: int, came: Iterable[Taken]) -> Counted:
    """`rows`: the whole ledger; the run began with event number `first`, and `came` is what arrived since.

    All load of earlier runs had arrived when this one began: what comes of it now is a repetition. What sessions began
    with may have been on its way.
    """
    numbers = numbers_by_key(rows)
    load = {number for number, _, _, kind, _ in rows if kind == "load"}
    mine: list[Arrival] = []
    again: list[int] = []
    for taken in came:
        number = numbers.get(taken.key, 0)
        if number == 0 or number >= first:
            mine.append(Arrival(taken.key, taken.guild_id, taken.content, at=0.0))
        elif number in load:
            again.append(number)
    counted = count([row for row in rows if row[0] >= first], mine, numbers, new_sessions=())
    counted.repeated += again
    return counted


def missing(rows: Iterable[EventRow], first: int, came: Iterable[Taken]) -> set[int]:
    """The run's load that was sent to a session, and has not arrived by any of its keys."""
    arrived = {taken.key for taken in came}
    load = (row for row in rows if row[0] >= first and row[3] == "load" and row[4])
    return {row[0] for row in load if not any(f"{session}:{seq}" in arrived for session, seq in row[4])}
