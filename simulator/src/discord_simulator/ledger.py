"""What was sent to whom: the truth a run is judged by.

One row per event number, in columns of machine integers: a million events cost some 40 MB, not a gigabyte.
"""

from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias

from discord_simulator.events import Event, EventKind
from discord_simulator.session import Session
from discord_simulator.tampering import Interference

_KINDS = (EventKind.LOAD, EventKind.SESSION)
_KIND_NUMBERS = {kind: index for index, kind in enumerate(_KINDS)}
_INTERFERENCES = tuple(Interference)
_INTERFERENCE_NUMBERS = {interference: index for index, interference in enumerate(_INTERFERENCES)}
_MAX_INCIDENTS = 10_000  # a client that breaks a rule in a loop must not eat the memory

EventRow: TypeAlias = tuple[int, str, str | None, str, list[tuple[str, int]]]
"""number, type, guild id as Discord writes it, kind, and (session id, seq) for each session it was sent to."""

InterferenceRow: TypeAlias = tuple[int, str, str]
"""number, session id, and what was done on purpose: dropped, duplicated or reordered."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A broken rule, or a session that could not go on. `code` is the close code, 9 for Invalid Session.

    `at` is in seconds since the simulator started. `shard` is `[id, count]` where known.
    """

    rule: str
    code: int
    detail: str
    at: float
    session_id: str | None = None
    shard: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """A fault that was asked for: when, what exactly, and which sessions or guilds it met."""

    at: float
    request: dict[str, object]
    met: dict[str, object]


class Ledger:
    """Counts and records; event numbers are 1, 2, 3, … without a gap."""

    def __init__(self) -> None:
        self.sent = 0
        self.unrouted = 0
        self.identifies = 0
        self.resumes = 0
        self.violations: deque[Incident] = deque(maxlen=_MAX_INCIDENTS)
        self.incidents: deque[Incident] = deque(maxlen=_MAX_INCIDENTS)
        self.faults: deque[FaultRecord] = deque(maxlen=_MAX_INCIDENTS)
        self._sessions: list[Session] = []
        self._session_numbers: dict[str, int] = {}
        self._types: dict[str, int] = {}
        self._type_of = array("H")
        self._guild_of = array("Q")  # 0: none
        self._kind_of = array("B")
        self._deliveries_end = array("Q")
        self._delivered_to = array("I")
        self._delivered_seq = array("Q")
        self._delivered_later: dict[int, list[tuple[int, int]]] = {}
        self._interfered_number = array("Q")
        self._interfered_session = array("I")
        self._interfered_how = array("B")

    @property
    def next_number(self) -> int:
        return len(self._type_of) + 1

    def add_session(self, session: Session) -> None:
        self._session_numbers[session.id] = len(self._sessions)
        self._sessions.append(session)

    def record(self, event: Event, deliveries: Sequence[tuple[Session, int]]) -> None:
        """Write down one event with the sessions and `s` it was given; none means that it went nowhere."""
        assert event.number == self.next_number
        self._type_of.append(self._types.setdefault(event.type, len(self._types)))
        self._guild_of.append(event.guild_id or 0)
        self._kind_of.append(_KIND_NUMBERS[event.kind])
        for session, seq in deliveries:
            self._delivered_to.append(self._session_numbers[session.id])
            self._delivered_seq.append(seq)
        self._deliveries_end.append(len(self._delivered_to))
        if deliveries:
            self.sent += 1
        else:
            self.unrouted += 1

    def record_later(self, number: int, session: Session, seq: int) -> None:
        """Write down that a recorded event, held back until now, has been dispatched to one more session."""
        before = self._deliveries_end[number - 2] if number > 1 else 0
        if self._deliveries_end[number - 1] == before and number not in self._delivered_later:
            self.unrouted -= 1
            self.sent += 1
        self._delivered_later.setdefault(number, []).append((self._session_numbers[session.id], seq))

    def interfere(self, number: int, session: Session, interference: Interference) -> None:
        """Write down what was done on purpose to an event in one session."""
        self._interfered_number.append(number)
        self._interfered_session.append(self._session_numbers[session.id])
        self._interfered_how.append(_INTERFERENCE_NUMBERS[interference])

    def interferences(self) -> Iterator[InterferenceRow]:
        """Give all that was done to events on purpose, in the order it was done."""
        columns = zip(self._interfered_number, self._interfered_session, self._interfered_how, strict=True)
        for number, session, how in columns:
            yield number, self._sessions[session].id, _INTERFERENCES[how].value

    def rows(self, first: int = 1, last: int | None = None) -> Iterator[EventRow]:
        """Give the events numbered `first` to `last`, both inclusive; all from `first` on without `last`."""
        types = list(self._types)
        stop = len(self._type_of) if last is None else min(last, len(self._type_of))
        for index in range(first - 1, stop):
            start = self._deliveries_end[index - 1] if index else 0
            end = self._deliveries_end[index]
            guild_id = self._guild_of[index]
            deliveries = [(self._delivered_to[at], self._delivered_seq[at]) for at in range(start, end)]
            deliveries += self._delivered_later.get(index + 1, ())
            yield (
                index + 1,
                types[self._type_of[index]],
                str(guild_id) if guild_id else None,
                _KINDS[self._kind_of[index]].value,
                [(self._sessions[session].id, seq) for session, seq in deliveries],
            )

    def longest_gap(self, since: float = 0.0) -> float:
        """Give for how many seconds a session was without a socket at most, of the gaps that began at `since` or later.

        Only gaps that a Resume has ended count.
        """
        return max((seconds for session in self._sessions for at, seconds in session.gaps if at >= since), default=0.0)

    def summary(self) -> dict[str, object]:
        """Give everything but the events, ready for JSON. `sent` counts events, not copies."""
        return {
            "sent": self.sent,
            "unrouted": self.unrouted,
            "identifies": self.identifies,
            "resumes": self.resumes,
            "sessions": {
                session.id: {
                    "shard": list(session.shard),
                    "state": session.state.value,
                    "seq": session.seq,
                    "longest_gap": max((seconds for _, seconds in session.gaps), default=0.0),
                }
                for session in self._sessions
            },
            "violations": [asdict(incident) for incident in self.violations],
            "incidents": [asdict(incident) for incident in self.incidents],
            "faults": [asdict(fault) for fault in self.faults],
        }
