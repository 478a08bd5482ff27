"""The kinds of values a manifest is made of; each knows in words what it allows.

pydantic's own messages speak of Python. `Allowed` replaces them all by one error that carries the words, so
that `reading.py` need not know the kinds.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn, TypeVar

from cronsim import CronSim, CronSimError
from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from .intents import INTENT_NAME, LARGEST_INTENTS_NUMBER, UnknownIntentError, intent_value
from .units import DURATION, QUANTITY, quantity, seconds

T = TypeVar("T")

NOT_ALLOWED = "not_allowed"
NOT_SUPPORTED_YET = "not_supported_yet"
SAID = "said"
"""The types of the errors below: `allowed` in words, a capability to come, and a message that stands as it is."""

MAX_EVENT_TYPES = 256
"""Discord documents about 80 event types; the bound keeps the rules that walk the lists cheap on a cluster."""


CRON_FIELDS = 5
"""Minute, hour, day of month, month, day of week: with seconds it would have six."""


class Allowed:
    """Says in words what the value may be, whatever was wrong. `secret`: the value must never be repeated.

    `pattern` is for the resource definition alone: it refuses on a cluster what a check in Python refuses here.
    """

    def __init__(self, words: str, *, secret: bool = False, pattern: str | None = None) -> None:
        self._context: dict[str, Any] = {"allowed": words, "secret": secret}
        self._pattern = pattern

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            handler(source),
            custom_error_type=NOT_ALLOWED,
            custom_error_message="must be {allowed}",
            custom_error_context=self._context,
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        told: dict[str, Any] = {**handler(core), "x-allowed": self._context["allowed"]}
        return told | ({"x-pattern": self._pattern} if self._pattern else {})


class Whole(Allowed):
    """A whole number, both bounds inclusive."""

    def __init__(self, at_least: int, at_most: int) -> None:
        super().__init__(f"a whole number from {at_least} to {at_most}")
        self._bounds = Field(ge=at_least, le=at_most, strict=True)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        bounded: Any = Annotated[source, self._bounds]
        return super().__get_pydantic_core_schema__(bounded, handler)


def duration(words: str, *, at_least: float, at_most: float) -> tuple[Any, ...]:
    """What makes a float of seconds out of `10s`; for use in `Annotated[float, *duration(...)]`."""
    return (
        BeforeValidator(seconds, json_schema_input_type=Annotated[str, Field(max_length=16, pattern=f"^{DURATION}$")]),
        Field(ge=at_least, le=at_most),
        Allowed(f"a duration with its unit (ms, s, m or h), {words}"),
    )


def _none_or_from(smallest: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        size = quantity(value)
        if 0 < size < smallest:
            raise ValueError("too small to be of use")
        return size

    return check


def _known_cron(value: object) -> object:
    """A date that never comes, such as the 31st of February, is a mistake as well."""
    if isinstance(value, str) and len(value.split()) == CRON_FIELDS:
        try:
            next(CronSim(value, datetime(2026, 1, 1, tzinfo=UTC)))
        except (CronSimError, StopIteration):
            pass
        else:
            return value
    raise ValueError("not a cron expression")


def _known_intent(value: object) -> object:
    if isinstance(value, str):
        try:
            intent_value(value)
        except UnknownIntentError as unknown:
            raise PydanticCustomError(
                SAID, "{text}", {"text": str(unknown), "allowed": "names such as Guilds, or numbers"}
            ) from None
    elif type(value) is not int or not 0 <= value <= LARGEST_INTENTS_NUMBER:
        raise PydanticCustomError(
            NOT_ALLOWED,
            "must be {allowed}",
            {"allowed": "the name of an intent, such as GuildMessages, or a number"},
        )
    return value


def _refuse(_value: object) -> NoReturn:
    raise PydanticCustomError(NOT_SUPPORTED_YET, "not supported yet")


NotYet = Annotated[Any, BeforeValidator(_refuse), WithJsonSchema({"not": {}})]
"""A field that is part of the resource and refused when given, until it works: no value is right."""

Items = Annotated[tuple[T, ...], Field(strict=False)]
"""YAML has lists, the model has tuples, so that nothing changes it."""

Text = Annotated[str, Field(strict=True)]
_WrittenBytes = int | Annotated[str, Field(max_length=24, pattern=f"^{QUANTITY}$")]
Bytes = Annotated[
    int,
    BeforeValidator(quantity, json_schema_input_type=_WrittenBytes),
    Field(ge=64 * 2**10, le=2**40),
    Allowed("a number of bytes from 64Ki to 1Ti, such as 256Mi or 1G"),
]
_SMALLEST_SPOOL = 2**20
SpoolBytes = Annotated[
    int,
    BeforeValidator(
        _none_or_from(_SMALLEST_SPOOL),
        json_schema_input_type=Annotated[_WrittenBytes, Field(json_schema_extra={"x-zero-or-from": _SMALLEST_SPOOL})],
    ),
    Field(ge=0, le=2**40),
    Allowed("0, or a number of bytes from 1Mi to 1Ti, such as 2Gi"),
]
_WrittenIntent = (
    Annotated[str, Field(max_length=64, pattern=INTENT_NAME)] | Annotated[int, Field(ge=0, le=LARGEST_INTENTS_NUMBER)]
)
Intent = Annotated[
    Annotated[str, Field(max_length=64)] | int,
    BeforeValidator(_known_intent, json_schema_input_type=_WrittenIntent),
]
CronExpression = Annotated[
    str,
    Field(strict=True, max_length=128),
    BeforeValidator(_known_cron),
    Allowed('a cron expression of five fields, in UTC, such as "0 3 * * 1-5"', pattern=r"^\s*\S+(\s+\S+){4}\s*$"),
]
EventType = Annotated[
    str,
    Field(strict=True, max_length=64, pattern=r"^[A-Z][A-Z0-9_]*$"),
    Allowed("the name of an event as Discord sends it, such as MESSAGE_CREATE"),
]
Switch = Annotated[bool, Field(strict=True), Allowed("true or false")]
