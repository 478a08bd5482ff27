"""One dispatch, encoded once and shared by every session it goes to.

Only `s` differs between sessions, so an event keeps the bytes before and after it. The order of the envelope's keys is
the captured one: `t`, `s`, `op`, `d`. Inside `d` Discord promises no order, so `rearranged` gives none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from random import Random

import msgspec

EVENT_NUMBER_KEY = "event_number"
# Documented as shard 0's, although an entitlement may name a guild (fact sheet, section 6).
SHARD_0_TYPES = frozenset({"ENTITLEMENT_CREATE", "USER_UPDATE"})
_BEFORE_BODY = b',"op":0,"d":'
_encode = msgspec.json.Encoder().encode


class EventKind(Enum):
    """`load`: routed by guild to every matching session. `session`: belongs to the one session that got it."""

    LOAD = "load"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event before it has a number. `number_position` says after how many keys of `d` the number stands."""

    type: str
    guild_id: int | None
    d: dict[str, object]
    number_position: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """A numbered event. `head` and `tail` enclose the sequence number in the envelope's bytes."""

    number: int
    type: str
    guild_id: int | None
    kind: EventKind
    head: bytes
    tail: bytes

    def payload(self, seq: int) -> bytes:
        return b"%b%d%b" % (self.head, seq, self.tail)

    @property
    def body(self) -> bytes:
        """The bytes of `d`."""
        return self.tail[len(_BEFORE_BODY) : -1]

    def with_body(self, body: bytes) -> "Event":
        return replace(self, tail=b"%b%b}" % (_BEFORE_BODY, body))


def number_event(draft: EventDraft, number: int, kind: EventKind, *, shown: bool = True) -> Event:
    """Number an event; its number is in `d` only where it is to be `shown`."""
    items = list(draft.d.items())
    if shown:
        items.insert(draft.number_position, (EVENT_NUMBER_KEY, number))
    return Event(
        number=number,
        type=draft.type,
        guild_id=draft.guild_id,
        kind=kind,
        head=b'{"t":"%b","s":' % draft.type.encode(),
        tail=b"%b%b}" % (_BEFORE_BODY, _encode(dict(items))),
    )


def draft_event(rng: Random, event_type: str, guild_id: int | None, d: Mapping[str, object]) -> EventDraft:
    """Make a draft whose keys begin anywhere and whose number stands anywhere.

    Receivers that look for `"guild_id"` or `"id"` by substring, or expect it first, are wrong with Discord too.
    """
    items = list(d.items())
    start = int(rng.random() * len(items))  # a third of what randrange costs, for every event
    return EventDraft(event_type, guild_id, dict(items[start:] + items[:start]), int(rng.random() * (len(items) + 1)))


def control_payload(op: int, d: object) -> bytes:
    """Encode everything that is no dispatch: `s` and `t` are null (Discord docs, Gateway events: payload structure)."""
    return b'{"t":null,"s":null,"op":%d,"d":%b}' % (op, _encode(d))
