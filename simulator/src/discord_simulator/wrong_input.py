"""What a user wrote and the simulator cannot take: told with the field, the problem, and what is allowed there."""

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeVar

import msgspec

InputT = TypeVar("InputT")


class WrongInputError(ValueError):
    """`field` is a dotted path, empty for the whole; `allowed` is text, or text by field where none is named."""

    def __init__(self, field: str, problem: str, allowed: str | Mapping[str, str]) -> None:
        where = f"{field}: " if field else ""
        super().__init__(f"{where}{problem}; allowed: {_in_words(allowed)}")
        self.field = field
        self.problem = problem
        self.allowed = allowed

    def describe(self) -> dict[str, object]:
        """Give it as the control API answers it, ready for JSON."""
        return {"field": self.field, "error": self.problem, "allowed": self.allowed}

    def inside(self, place: str) -> "WrongInputError":
        """Give the same error for an object that stands at `place` in something larger."""
        return WrongInputError(f"{place}.{self.field}" if self.field else place, self.problem, self.allowed)


class Input(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What a user may write, as an object. `allowed` says of each field what may stand there."""

    allowed: ClassVar[dict[str, str]] = {}


def checked(read: Callable[[], InputT], allowed: Mapping[str, str]) -> InputT:
    """Run a msgspec decoder; raises `WrongInputError` for what it refuses."""
    try:
        return read()
    except msgspec.DecodeError as error:
        named = re.search(r"`\$\.(\w+)|field `(\w+)`", str(error))
        field = next(filter(None, named.groups()), "") if named else ""
        raise WrongInputError(field, str(error), allowed.get(field, allowed)) from error


def _in_words(allowed: str | Mapping[str, str]) -> str:
    if isinstance(allowed, str):
        return allowed
    return "; ".join(f"{name}: {text}" for name, text in allowed.items()) or "no fields"
