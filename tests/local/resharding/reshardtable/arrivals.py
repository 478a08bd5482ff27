"""What the bot took, with the key and the fingerprint it came with, held against what Discord sent.

While a reshard runs Discord sends an event to a session of both sets, so the ledger has two keys for it, and the bot is
to get one of them. The events show no number here: two that are meant to look alike must not differ in it.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from faulttable.bot import Answer, Bot, Taken

from discord_simulator import settle
from discord_simulator.ledger import EventRow, Ledger


@dataclass(frozen=True, slots=True)
class Arrival:
    """`content` is the fingerprint that only events around a handover carry; `at` is the loop's time."""

    key: str
    guild_id: str | None
    content: str
    at: float


class WatchingBot(Bot):
    """Keeps all that it takes, in order of arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals: list[Arrival] = []

    def answer(self, taken: list[Taken]) -> Answer:
        before = len(self.deliveries)
        answer = super().answer(taken)
        if len(self.deliveries) > before:
            now = asyncio.get_running_loop().time()
            self.arrivals += [Arrival(event.key, event.guild_id, event.content, now) for event in taken]
        return answer


class Pulse:
    """When Discord sent which event, to some hundredths of a second."""

    EVERY = 0.01

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._numbers: list[int] = []
        self._times: list[float] = []

    async def beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._numbers.append(self._ledger.next_number)
            self._times.append(loop.time())
            await asyncio.sleep(self.EVERY)

    def sent_at(self, number: int) -> float:
        """The earliest moment it may have been."""
        after = bisect_left(self._numbers, number + 1)
        return self._times[max(0, after - 1)] if self._times else 0.0


@dataclass(slots=True)
class Counted:
    """Numbers of events. `repeated`: came again with its key. `again`: with another key, but the fingerprint it had.

    `doubled`: with another key, and nothing to know it by. `not_owed`: went to no session of the set that had to
    deliver it, and did not arrive. `unexplained`: keys of what nobody sent, or what names another guild.
    """

    sent: int = 0
    delivered: int = 0
    lost: list[int] = field(default_factory=list)
    not_owed: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    disordered: list[int] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    longest_delay: float = 0.0


def numbers_by_key(rows: Iterable[EventRow]) -> dict[str, int]:
    return {f"{session}:{seq}": number for number, _, _, _, receivers in rows for session, seq in receivers}


def count(
    rows: Collection[EventRow], arrivals: Iterable[Arrival], numbers: Mapping[str, int], new_sessions: Collection[str]
) -> Counted:
    """Hold arrivals against the ledger's rows. `new_sessions`: those that owed nothing before they were handed it."""
    came = [(numbers.get(arrival.key, 0), arrival) for arrival in arrivals]
    account = settle(rows, [(number, one.key, one.guild_id) for number, one in came], kinds={"load"})
    contents: dict[int, set[str]] = {}
    for number, arrival in came:
        contents.setdefault(number, set()).add(arrival.content)
    known = {number for number in account.doubled if len(contents[number]) == 1 and "" not in contents[number]}
    to_new_alone = {
        number for number, _, _, _, receivers in rows if all(session in new_sessions for session, _ in receivers)
    }
    return Counted(
        sent=account.sent,
        delivered=account.delivered,
        lost=[number for number in account.lost if number not in to_new_alone],
        not_owed=[number for number in account.lost if number in to_new_alone],
        repeated=account.repeated,
        again=[number for number in account.doubled if number in known],
        doubled=[number for number in account.doubled if number not in known],
        disordered=account.order_violations,
        unexplained=[one.key for number, one in came if number == 0] + [f"event {each}" for each in account.misread],
    )
