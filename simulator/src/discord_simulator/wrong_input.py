"""What a user wrote and the simulator cannot take: told with the field, the problem, and what is allowed there."""

import re
from collections.abc import Callable
from typing import ClassVar, TypeVar

import msgspec

InputT = TypeVar("InputT")


class WrongInputError(ValueError):
    """`field` is a dotted path, empty for the whole; `allowed` is text, or such text by field where none is named."""

    def __init__(self, field: str, problem: str, allowed: str | dict[str, str]) -> None:
        named = f"{field}: " if field else ""
        written = (
            allowed if isinstance(allowed, str) else "; ".join(f"{name}: {text}" for name, text in allowed.items())
        )
        super().__init__(f"{named}{problem}; allowed: {written or 'nothing'}")
        self.field = field
        self.problem = problem
        self.allowed = allowed

    def describe(self) -> dict[str, object]:
        """Give it as the control API answers it, ready for JSON."""
        return {"field": self.field, "error": self.problem, "allowed": self.allowed}


class Input(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What a user may write, as an object. `allowed` says of each field what may stand there."""

    allowed: ClassVar[dict[str, str]] = {}


def checked(read: Callable[[], InputT], allowed: dict[str, str]) -> InputT:
    """Run a msgspec decoder; raises `WrongInputError` for what it refuses."""
    try:
        return read()
    except msgspec.DecodeError as error:
        named = re.search(r"`\$\.(\w+)|field `(\w+)`", str(error))
        field = next(filter(None, named.groups()), "") if named else ""
        raise WrongInputError(field, str(error), allowed.get(field, allowed)) from error
