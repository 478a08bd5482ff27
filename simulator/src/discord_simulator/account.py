"""The account of a run: what was sent, held against what arrived at the bot.

Pure: the ledger's rows and the bot's deliveries go in, counts and numbers come out.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from discord_simulator.events import SHARD_0_TYPES
from discord_simulator.ledger import EventRow, InterferenceRow
from discord_simulator.tampering import Interference

ALL_KINDS = frozenset({"load", "session"})
_SHOWN = 10  # numbers listed per line of the long rendering


class Delivery(NamedTuple):
    """One event as the bot got it; `key` is the idempotency key `session_id:seq`, `guild_id` what the receiver read."""

    number: int
    key: str
    guild_id: str | None


@dataclass(slots=True)
class Account:
    """Numbers are event numbers, in order of arrival where they arrived.

    sent: events that went to one session at least. delivered: distinct numbers of them that arrived. lost: the others.
    repeated: arrived again with a key already seen for the number. doubled: arrived with another key than before.
    order_violations: load events that came after a later one of their guild; repeats, and what is always shard 0's, do
    not count.
    session_order_violations: first deliveries whose `s` is smaller than an earlier one of the same session.
    unknown: arrived, but in no row. misread: arrived with a guild other than the ledger's.
    lost_on_purpose, doubled_on_purpose, reordered_on_purpose: what faults explain of the above, and is not in there. A
    number that nobody delivered, and that was dropped for one of its sessions, is explained.
    """

    sent: int = 0
    delivered: int = 0
    lost: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    order_violations: list[int] = field(default_factory=list)
    session_order_violations: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    misread: list[int] = field(default_factory=list)
    lost_on_purpose: list[int] = field(default_factory=list)
    doubled_on_purpose: list[int] = field(default_factory=list)
    reordered_on_purpose: list[int] = field(default_factory=list)

    @property
    def exactly_once(self) -> bool:
        """Nothing lost, doubled, repeated or unknown, and every guild in order."""
        return not (self.lost or self.doubled or self.repeated or self.unknown or self.order_violations)

    def line(self) -> str:
        return f"sent {self.sent}, delivered {self.delivered}, " + ", ".join(
            f"{name} {len(numbers)}" for name, numbers in self._findings()
        )

    def report(self) -> str:
        """Give one line per finding, with the first numbers of each."""
        lines = [f"sent       {self.sent:>10}", f"delivered  {self.delivered:>10}"]
        for name, numbers in self._findings():
            first = ", ".join(map(str, numbers[:_SHOWN])) + (", …" if len(numbers) > _SHOWN else "")
            lines.append(f"{name:<25}{len(numbers):>8}" + (f"  {first}" if numbers else ""))
        return "\n".join(lines)

    def _findings(self) -> list[tuple[str, list[int]]]:
        return [
            ("lost", self.lost),
            ("repeated", self.repeated),
            ("doubled", self.doubled),
            ("out of guild order", self.order_violations),
            ("out of session order", self.session_order_violations),
            ("unknown", self.unknown),
            ("misread", self.misread),
            *(finding for finding in self._explained() if finding[1]),
        ]

    def _explained(self) -> list[tuple[str, list[int]]]:
        return [
            ("lost on purpose", self.lost_on_purpose),
            ("doubled on purpose", self.doubled_on_purpose),
            ("reordered on purpose", self.reordered_on_purpose),
        ]


class _Sent(NamedTuple):
    type: str
    guild_id: str | None
    kind: str


class _OnPurpose:
    """What faults did: numbers that a session missed, and (number, session id) that one got twice or late."""

    def __init__(self, interferences: Iterable[InterferenceRow]) -> None:
        self.dropped: set[int] = set()
        self.duplicated: set[tuple[int, str]] = set()
        self.reordered: set[tuple[int, str]] = set()
        for number, session_id, how in interferences:
            if how == Interference.DROPPED.value:
                self.dropped.add(number)
            elif how == Interference.DUPLICATED.value:
                self.duplicated.add((number, session_id))
            else:
                self.reordered.add((number, session_id))


def settle(
    events: Iterable[EventRow],
    deliveries: Iterable[tuple[int, str, str | None]],
    kinds: Collection[str] = ALL_KINDS,
    interferences: Iterable[InterferenceRow] = (),
) -> Account:
    """Hold `deliveries`, in order of arrival, against the ledger's rows, and its interferences where there were faults.

    `kinds` limits the account to events of these kinds; deliveries of others are passed over. Events nobody was there
    for (`unrouted`) count as unknown if they arrive all the same.
    """
    sent = {
        number: _Sent(event_type, guild_id, kind)
        for number, event_type, guild_id, kind, receivers in events
        if receivers
    }
    on_purpose = _OnPurpose(interferences)
    account = Account()
    delivered = _follow(account, sent, deliveries, kinds, on_purpose)
    asked_for = [number for number, event in sent.items() if event.kind in kinds]
    account.sent = len(asked_for)
    account.delivered = len(delivered)
    for number in asked_for:
        if number not in delivered:
            (account.lost_on_purpose if number in on_purpose.dropped else account.lost).append(number)
    return account


def _follow(
    account: Account,
    sent: dict[int, _Sent],
    deliveries: Iterable[tuple[int, str, str | None]],
    kinds: Collection[str],
    on_purpose: "_OnPurpose",
) -> Collection[int]:
    """Walk through the arrivals once; give the distinct numbers among them."""
    keys: dict[int, set[str]] = {}
    latest_of_guild: dict[str, int] = {}
    latest_of_session: dict[str, int] = {}
    for number, key, guild_id in deliveries:
        event = sent.get(number)
        if event is None:
            account.unknown.append(number)
            continue
        if event.kind not in kinds:
            continue
        seen = keys.setdefault(number, set())
        if key in seen:
            account.repeated.append(number)
            continue
        session_id, _, seq = key.rpartition(":")
        if seen:
            explained = (number, session_id) in on_purpose.duplicated and _all_of(session_id, seen)
            (account.doubled_on_purpose if explained else account.doubled).append(number)
            seen.add(key)
            continue
        seen.add(key)
        shard_0 = event.type in SHARD_0_TYPES
        if guild_id != event.guild_id and not (shard_0 and guild_id is None):
            account.misread.append(number)
        if (
            event.kind == "load"
            and not shard_0
            and event.guild_id is not None
            and _falls_behind(latest_of_guild, event.guild_id, number)
        ):
            explained = (number, session_id) in on_purpose.reordered
            (account.reordered_on_purpose if explained else account.order_violations).append(number)
        if seq.isdecimal() and _falls_behind(latest_of_session, session_id, int(seq)):
            account.session_order_violations.append(number)
    return keys


def _all_of(session_id: str, keys: set[str]) -> bool:
    return all(key.startswith(f"{session_id}:") for key in keys)


def _falls_behind(latest: dict[str, int], of: str, value: int) -> bool:
    """Note `value`, and say whether a greater one was there before it."""
    if value < latest.get(of, value):
        return True
    latest[of] = value
    return False


def number_by_key(events: Iterable[EventRow], arrivals: Iterable[tuple[str, str | None]]) -> list[Delivery]:
    """Give deliveries for arrivals `(key, guild id)` whose events showed no number; those of no event get number 0."""
    numbers = {f"{session_id}:{seq}": number for number, _, _, _, receivers in events for session_id, seq in receivers}
    return [Delivery(numbers.get(key, 0), key, guild_id) for key, guild_id in arrivals]
