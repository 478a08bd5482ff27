"""What is written down of a running cluster, so that another process finds it, and the next one cleans up after it."""

import json
import os
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from . import places
from .processes import start_time
from .work import Work


@dataclass(frozen=True)
class Record:
    nodes: list[int]
    forwarded: bool
    """Whether the host forwarded packets before."""
    owner: tuple[int, int] | None
    """Process that takes the cluster down at its end, and when it was started; None for `make cluster`'s, left up."""
    ready: bool = False
    """Whether it was ever set up to its end."""

    @property
    def orphaned(self) -> bool:
        """Whether whoever was to take it down is gone."""
        return self.owner is not None and start_time(self.owner[0]) != self.owner[1]


def me() -> tuple[int, int]:
    return os.getpid(), start_time(os.getpid()) or 0


def read(run: Path | None = None) -> Record | None:
    try:
        found = json.loads(_file(run or places.RUN).read_text())
    except FileNotFoundError:
        return None
    return Record(**{**found, "owner": found["owner"] and tuple(found["owner"])})


def write(record: Record, run: Path | None = None) -> None:
    file = _file(run or places.RUN)
    scratch = file.with_suffix(".new")
    scratch.write_text(json.dumps(asdict(record)))
    scratch.rename(file)


def one_at_a_time(work: Work) -> AbstractContextManager[None]:
    """Setting up and taking down: never two of them at once on this machine."""
    return work.alone(places.RUN.with_suffix(".lock"), "sets a cluster up or takes it down")


def _file(run: Path) -> Path:
    return run / "cluster.json"
