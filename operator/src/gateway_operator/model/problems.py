"""What is wrong with a manifest, said so that its author can mend it without reading this code."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

NEAR_ENOUGH = 0.6
"""Similarity from which a name is offered as the one that was meant (difflib's ratio, 0 to 1)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong at `path` (`spec.delivery.events.include[2]`; empty: the whole file); `allowed` in words."""

    path: str
    message: str
    allowed: str | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ManifestError(Exception):
    """A manifest that cannot be used. Its text has one line a problem and is fit to be printed as it is."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, whatever their case and underscores; None when none is near."""
    by_letters = {_letters(candidate): candidate for candidate in known}
    matches = get_close_matches(_letters(name), by_letters, n=1, cutoff=NEAR_ENOUGH)
    return by_letters[matches[0]] if matches else None


def _letters(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()
