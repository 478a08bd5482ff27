"""A script of faults: what happens when, read from YAML or JSON and checked whole before anything begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from discord_simulator.fault_requests import FaultRequest, read_fault
from discord_simulator.wrong_input import WrongInputError

_AT = "seconds from the start of the timeline, 0 or more"
_ENTRIES = 'a list of {"at": seconds, "fault": name, "target": …, …}'


@dataclass(frozen=True, slots=True)
class Timeline:
    """Faults and when they happen, in seconds from the start; those of one time in the order written."""

    entries: tuple[tuple[float, FaultRequest], ...]

    def between(self, after: float, until: float) -> list[FaultRequest]:
        """Give what happens later than `after` and not later than `until`."""
        return [request for at, request in self.entries if after < at <= until]

    @property
    def end(self) -> float:
        return max((at for at, _ in self.entries), default=0.0)


def read_timeline(entries: object) -> Timeline:
    """Read a decoded list of entries; raises `WrongInputError` that names the entry and its field."""
    if not isinstance(entries, list | tuple):
        raise WrongInputError("", "a timeline is a list", _ENTRIES)
    read = [_read_entry(f"[{index}]", entry) for index, entry in enumerate(entries)]
    return Timeline(tuple(sorted(read, key=lambda entry: entry[0])))


def load_timeline(path: Path) -> Timeline:
    """Read a file, YAML or JSON (which is YAML too); raises `WrongInputError`, or `OSError`."""
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongInputError("", f"neither YAML nor JSON: {error}", _ENTRIES) from error
    return read_timeline(entries)


def _read_entry(place: str, entry: Any) -> tuple[float, FaultRequest]:
    if not isinstance(entry, Mapping):
        raise WrongInputError(place, f"{entry!r} is no object", _ENTRIES)
    at = entry.get("at")
    if not isinstance(at, int | float) or isinstance(at, bool) or not at >= 0:
        raise WrongInputError(f"{place}.at", f"{at!r} is no time", _AT)
    try:
        return float(at), read_fault({name: value for name, value in entry.items() if name != "at"})
    except WrongInputError as error:
        raise error.inside(place) from error
