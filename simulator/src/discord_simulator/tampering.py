"""What is done on purpose to the events of one session: lost, doubled, out of order, or differently written.

Works on events before they get their `s`, as Discord's own losses do: a client sees no gap in the sequence. Other
sessions of the guild are not touched. Everything follows from the seed; times are told by the caller.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any

import msgspec

from discord_simulator.events import Event, EventKind

_HOLD_LIMIT_S = 1.0  # an event held back goes out by then, even if nothing follows that it could come after
_FOREVER = float("inf")


class Interference(Enum):
    """What became of one event in one session."""

    DROPPED = "dropped"
    DUPLICATED = "duplicated"
    REORDERED = "reordered"


@dataclass(slots=True, kw_only=True)
class Rule:
    """Does `interference` to a `share` of the events; to `left` of them at most, until `until`.

    Without `types` only to load, so that sessions can still begin; with them to every event of these types. `amount` is
    how many copies a duplicate makes, and how many events overtake one that is held back.
    """

    interference: Interference
    types: frozenset[str] | None = None
    share: float = 1.0
    left: float = _FOREVER
    until: float = _FOREVER
    amount: int = 1

    def concerns(self, event: Event) -> bool:
        return event.kind is EventKind.LOAD if self.types is None else event.type in self.types


@dataclass(slots=True, kw_only=True)
class Variation:
    """This session's own way to write `d`: keys in another order, and values of its own in `fields`."""

    key_order: bool
    fields: tuple[str, ...]
    until: float = _FOREVER


@dataclass(slots=True)
class _Held:
    event: Event
    overtaken_by: int  # events still to pass it
    since: float | None = None


@dataclass(slots=True)
class Tampering:
    """The rules of one session; the first that takes an event has it. `seed` is the session's own."""

    seed: str
    rules: list[Rule] = field(default_factory=list)
    variation: Variation | None = None
    _held: list[_Held] = field(default_factory=list)
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = Random(f"tampering/{self.seed}")  # noqa: S311 - repeatable on purpose, keeps no secret

    def take(self, event: Event) -> tuple[list[Event], Interference | None]:
        """Give the events to dispatch now, in order, and what was done to this one."""
        rule = next((rule for rule in self.rules if self._applies(rule, event)), None)
        outgoing = self._outgoing(rule, self._written(event))
        for held in self._held:
            held.overtaken_by -= len(outgoing)
        outgoing += self._release(lambda held: held.overtaken_by <= 0)
        if rule is not None and rule.interference is Interference.REORDERED:
            self._held.append(_Held(self._written(event), rule.amount))
        return outgoing, rule.interference if rule else None

    def tick(self, now: float) -> list[Event]:
        """Forget what is over; give what was held back long enough."""
        self.rules = [rule for rule in self.rules if now < rule.until]
        if self.variation is not None and now >= self.variation.until:
            self.variation = None
        for held in self._held:
            held.since = now if held.since is None else held.since
        return self._release(lambda held: held.since is not None and now - held.since >= _HOLD_LIMIT_S)

    def abandon(self) -> list[Event]:
        """Give what was held back and will never be sent: the session is over."""
        return self._release(lambda _held: True)

    def heal(self) -> None:
        """End all rules; what is held back still goes out."""
        self.rules.clear()
        self.variation = None

    def _applies(self, rule: Rule, event: Event) -> bool:
        if rule.left <= 0 or not rule.concerns(event) or self._random.random() >= rule.share:
            return False
        rule.left -= 1
        return True

    def _outgoing(self, rule: Rule | None, event: Event) -> list[Event]:
        if rule is None:
            return [event]
        return [event] * (1 + rule.amount) if rule.interference is Interference.DUPLICATED else []

    def _release(self, ripe: Callable[[_Held], bool]) -> list[Event]:
        released = [held.event for held in self._held if ripe(held)]
        self._held = [held for held in self._held if not ripe(held)]
        return released

    def _written(self, event: Event) -> Event:
        return event if self.variation is None else _vary(event, self.variation, self.seed, self._random)


def _vary(event: Event, variation: Variation, seed: str, random: Random) -> Event:
    d = msgspec.json.decode(event.body)
    d |= dict.fromkeys(variation.fields, f"{seed}/{event.number}")
    return event.with_body(msgspec.json.encode(_shuffled(d, random) if variation.key_order else d))


def _shuffled(value: Any, random: Random) -> Any:
    """Give the same JSON with the keys of all its objects in another order; arrays keep theirs."""
    if isinstance(value, dict):
        items = [(key, _shuffled(each, random)) for key, each in value.items()]
        random.shuffle(items)
        return dict(items)
    return [_shuffled(each, random) for each in value] if isinstance(value, list) else value
