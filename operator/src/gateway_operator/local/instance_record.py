"""What is on disk of each instance of a pod, so that the next operator knows of it whatever became of this one.

An instance has a record from before its first start until it is removed, and a scratch directory of its own, which
only the pod writes to. The record of one that runs names its process.
"""

import re
import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway_operator.core.world import InstanceSpec

from .process_identity import ProcessIdentity
from .state_directory import set_aside, write_privately

_SHARD_FILE = re.compile(r"shard-(\d+)\.db")
"""The pod's name for a shard's session and its events that wait; what SQLite puts beside it begins the same."""


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True)

    spec: InstanceSpec
    process: ProcessIdentity | None


class InstanceRecord:
    """The record in `file` and the directory `scratch` of one instance."""

    def __init__(self, spec: InstanceSpec, records: Path, scratch: Path) -> None:
        self.scratch = scratch / spec.name
        self._file = records / f"{spec.name}.json"

    def write(self, spec: InstanceSpec, process: ProcessIdentity | None) -> None:
        """Store how it is to run, and as what; makes the scratch directory. Raises OSError."""
        self.scratch.parent.mkdir(mode=0o700, exist_ok=True)
        self.scratch.mkdir(mode=0o700, exist_ok=True)
        write_privately(self._file, _Content(spec=spec, process=process).model_dump_json())

    def shards(self) -> frozenset[int]:
        """The shards of which there are files in the scratch directory."""
        try:
            found = [_SHARD_FILE.match(path.name) for path in self.scratch.iterdir()]
        except FileNotFoundError:
            return frozenset()
        return frozenset(int(match[1]) for match in found if match)

    def delete(self) -> None:
        """Forget the instance: the record last, so that a crash in between leaves one that holds nothing."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self._file.unlink(missing_ok=True)


def recorded(records: Path) -> list[tuple[InstanceSpec, ProcessIdentity | None]]:
    """Every instance that has a record, and its process. A record that cannot be read is set aside."""
    found = []
    for file in sorted(records.glob("*.json")):
        try:
            content = _Content.model_validate_json(file.read_bytes())
        except ValidationError:
            set_aside(file)
        else:
            found.append((content.spec, content.process))
    return found


def left_running(records: Path) -> int:
    """How many instances run, whether or not an operator does; nothing is changed."""
    running = 0
    for file in records.glob("*.json"):
        try:
            process = _Content.model_validate_json(file.read_bytes()).process
        except (ValidationError, OSError):
            continue
        running += process is not None and process.is_alive()
    return running
