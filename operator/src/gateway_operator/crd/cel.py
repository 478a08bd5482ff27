"""Rules in the Common Expression Language, which the API server carries out (`x-kubernetes-validations`).

Their messages are fixed texts: one put together by an expression (`messageExpression`) has costs that the API server
reckons beforehand, without bound where lists are filtered, and would then refuse the whole definition.
"""

from dataclasses import dataclass
from typing import Any, Literal

from .written import duration_text, size_text

Reason = Literal["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"]


@dataclass(frozen=True, slots=True)
class Rule:
    """`field_path` is seen from where the rule stands, and begins with a dot; without one it is that place itself."""

    rule: str
    message: str
    field_path: str | None = None
    reason: Reason = "FieldValueInvalid"

    def as_validation(self) -> dict[str, Any]:
        validation = {"rule": self.rule, "message": self.message, "reason": self.reason}
        return validation | ({"fieldPath": self.field_path} if self.field_path else {})


_READABLE_DURATION = "^([0-9]{1,9}ms|0*[0-9]{1,6}(s|m|h))$"
"""What `duration()` reads without a failure of its own, which would come in other words: it counts nanoseconds in 64
bits. A longer one passes every bound we have."""


def duration_within(at_least: float, at_most: float, words: str) -> Rule:
    bounds = f"duration(self) <= duration('{duration_text(at_most)}')"
    if at_least:
        bounds = f"duration(self) >= duration('{duration_text(at_least)}') && {bounds}"
    return Rule(f"self.matches('{_READABLE_DURATION}') && {bounds}", f"must be {words}")


def size_within(at_least: int, at_most: int, words: str, *, or_none: bool) -> Rule:
    """A number is held against the same bounds as a text; `or_none`: 0 is right as well."""
    text = (
        f"quantity(self).compareTo(quantity('{size_text(at_least)}')) >= 0"
        f" && quantity(self).compareTo(quantity('{size_text(at_most)}')) <= 0"
    )
    number = f"self >= {at_least} && self <= {at_most}"
    if or_none:
        text = f"(quantity(self).compareTo(quantity('0')) == 0 || {text})"
        number = f"self == 0 || {number}"
    return Rule(f"type(self) == int ? ({number}) : (isQuantity(self) && {text})", f"must be {words}")


def matching(pattern: str, words: str) -> Rule:
    """In place of the schema's `pattern`, whose message would be the expression."""
    return Rule(f"self.matches(r'{pattern}')", f"must be {words}")


def _within_the_set(name: str) -> tuple[Rule, Rule]:
    given = f"!has(self.sharding) || !has(self.sharding.{name})"
    path = f".sharding.{name}"
    return (
        Rule(
            f"{given} || has(self.shards)",
            "holds a part of the shards, so spec.shards must say how many there are in all",
            path,
            "FieldValueForbidden",
        ),
        Rule(
            f"{given} || !has(self.shards) || self.sharding.{name} < self.shards",
            "must be below spec.shards: shards are counted from 0",
            path,
        ),
    )


def _longer(rule_of_durations: str, *names: str) -> str:
    """The rule, for durations that can be read; each of the others is told of at its own place.

    All of them have defaults, which are filled in before a rule is tried, but for one case: when the definition itself
    is applied, the API server tries the rules on the map's own default, which is empty.
    """
    absent = (f"!has(self.{name})" for name in names)
    unreadable = (f"!self.{name}.matches('{_READABLE_DURATION}')" for name in names)
    return " || ".join((*absent, *unreadable, rule_of_durations))


_HISTORY = " + ".join(["duration(self.maxSkew)"] * 5 + ["duration(self.fenceTimeout)"] * 4)
"""`Windows.history` of the contract. Durations are added; to multiply them there is no way."""

RULES: dict[str, tuple[Rule, ...]] = {
    "spec": (
        *_within_the_set("firstShardId"),
        *_within_the_set("lastShardId"),
        Rule(
            "!has(self.sharding) || !has(self.sharding.firstShardId) || !has(self.sharding.lastShardId)"
            " || self.sharding.firstShardId <= self.sharding.lastShardId",
            "is before firstShardId; both are part of the range",
            ".sharding.lastShardId",
        ),
        Rule(
            "!has(self.reshard) || !has(self.reshard.auto) || !self.reshard.auto || !has(self.sharding)"
            " || (!has(self.sharding.firstShardId) && !has(self.sharding.lastShardId))",
            "must be false where spec.sharding.firstShardId or lastShardId is given: the others hold shards as well, "
            "and none can decide alone how many there are",
            ".reshard.auto",
        ),
    ),
    "spec.reshard": (
        Rule(
            _longer(f"duration(self.abortAfter) > {_HISTORY}", "abortAfter", "maxSkew", "fenceTimeout"),
            "must be longer than 5 times maxSkew and 4 times fenceTimeout together, for which both shard sets are "
            "compared, as each reshard would be given up meanwhile",
            ".abortAfter",
        ),
        Rule(
            _longer("duration(self.abortAfter) > duration(self.settle)", "abortAfter", "settle"),
            "must be longer than settle, as each reshard of several pods would be given up between two of them",
            ".abortAfter",
        ),
    ),
    "spec.delivery.events": (
        Rule(
            "!has(self.include) || !has(self.exclude) || self.exclude.all(event, !(event in self.include))",
            "excludes an event that is included as well: leave it out in one of the two",
            ".exclude",
        ),
    ),
    "spec.delivery": (
        Rule(
            "!has(self.events) || !has(self.events.exclude) || !has(self.queue) || !has(self.queue.shedFirst)"
            " || self.queue.shedFirst.all(event, !(event in self.events.exclude))",
            "sheds an event that spec.delivery.events.exclude keeps out: leave it out in one of the two",
            ".queue.shedFirst",
        ),
        Rule(
            "!has(self.events) || !has(self.events.include) || size(self.events.include) == 0 || !has(self.queue)"
            " || !has(self.queue.shedFirst) || self.queue.shedFirst.all(event, event in self.events.include)",
            "sheds an event that is not among spec.delivery.events.include: add it there, or leave it out here",
            ".queue.shedFirst",
        ),
    ),
}
"""The rules of model/rules.py, by the path of the map where they stand."""
