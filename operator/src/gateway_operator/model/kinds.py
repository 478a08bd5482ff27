"""The kinds of values a manifest is made of; each knows in words what it allows.

pydantic's own messages speak of Python. `Allowed` replaces them all by one error that carries the words, so
that `reading.py` need not know the kinds.
"""

import re
from typing import Annotated, Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from .intents import LARGEST_INTENTS_NUMBER, UnknownIntentError, intent_value
from .units import quantity, seconds

T = TypeVar("T")

NOT_ALLOWED = "not_allowed"
NOT_SUPPORTED_YET = "not_supported_yet"
SAID = "said"
"""The types of the errors below: `allowed` in words, a capability to come, and a message that stands as it is."""

MAX_URL_CHARACTERS = 2048
MAX_EVENT_TYPES = 256
"""Discord documents about 80 event types; the bound keeps the rules that walk the lists cheap on a cluster."""


class Allowed:
    """Says in words what the value may be, whatever was wrong. `secret`: the value must never be repeated."""

    def __init__(self, words: str, *, secret: bool = False) -> None:
        self._context: dict[str, Any] = {"allowed": words, "secret": secret}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            handler(source),
            custom_error_type=NOT_ALLOWED,
            custom_error_message="must be {allowed}",
            custom_error_context=self._context,
        )


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
        BeforeValidator(seconds, json_schema_input_type=Annotated[str, Field(max_length=16)]),
        Field(ge=at_least, le=at_most),
        Allowed(f"a duration with its unit (ms, s, m or h), {words}"),
    )


def _url(*schemes: str, example: str) -> tuple[Any, ...]:
    def check(text: str) -> str:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port  # reading the port checks it
        if parts.scheme not in schemes or not host or parts.username is not None or re.search(r"\s", text):
            raise ValueError("not such a URL")
        return text

    return (
        Field(max_length=MAX_URL_CHARACTERS),
        AfterValidator(check),
        # A user name and password in a URL would end up in logs and in the status.
        Allowed(
            f"a {' or '.join(f'{scheme}://' for scheme in schemes)} URL with a host and without user name or "
            f"password, such as {example}",
            secret=True,
        ),
    )


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


def refuse_later_choice(*later: object) -> BeforeValidator:
    """Refuses values of a field that will be allowed one day."""

    def check(value: object) -> object:
        if value in later:
            _refuse(value)
        return value

    return BeforeValidator(check)


NotYet = Annotated[Any, BeforeValidator(_refuse)]
"""A field that is part of the resource and refused when given, until it works."""

Items = Annotated[tuple[T, ...], Field(strict=False)]
"""YAML has lists, the model has tuples, so that nothing changes it."""

Text = Annotated[str, Field(strict=True)]
HttpUrl = Annotated[str, *_url("http", "https", example="http://bot:8080/")]
WebSocketUrl = Annotated[str, *_url("ws", "wss", example="wss://gateway.discord.gg/")]
Bytes = Annotated[
    int,
    BeforeValidator(quantity, json_schema_input_type=int | Annotated[str, Field(max_length=24)]),
    Field(ge=64 * 2**10, le=2**40),
    Allowed("a number of bytes from 64Ki to 1Ti, such as 256Mi or 1G"),
]
Intent = Annotated[Annotated[str, Field(max_length=64)] | int, BeforeValidator(_known_intent)]
EventType = Annotated[
    str,
    Field(strict=True, max_length=64, pattern=r"^[A-Z][A-Z0-9_]*$"),
    Allowed("the name of an event as Discord sends it, such as MESSAGE_CREATE"),
]
Switch = Annotated[bool, Field(strict=True), Allowed("true or false")]
