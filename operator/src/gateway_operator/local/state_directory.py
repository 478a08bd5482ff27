"""What the embedded mode keeps on disk, so that pods outlive a crashed operator and the next one carries on.

One directory a gateway, readable by its owner only. The control socket is always at the same path: a pod left
alone redials there until the next operator listens. After a clean end all is kept, too: the next start resumes the
sessions and delivers what waits.
"""

import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from gateway_operator.core.checkpoints import Checkpoints
from gateway_operator.core.reshard_record import ReshardRecord
from gateway_operator.core.world import ShardSet
from shardpod.contract import Checkpoint

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_SOCKET_PATH_BYTES = 107
"""unix(7): sun_path has 108 bytes, one of them for the end."""

_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600
_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_SHARD_SET = TypeAdapter(ShardSet)
_CHECKPOINTS = TypeAdapter(tuple[Checkpoint, ...])
_RESHARD = TypeAdapter(ReshardRecord)

T = TypeVar("T")


class StateDirectoryError(Exception):
    """The directory cannot be used as it is; the text says why and what to do."""


class AlreadyRunningError(Exception):
    """Another `up` holds this gateway's lock; `pid` is None when it could not be read."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"held by process {pid}")
        self.pid = pid


def default_state_directory(gateway: str, environment: Mapping[str, str]) -> Path:
    """The XDG base directory for state that should survive restarts, by gateway."""
    base = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".local/state")
    return Path(base) / "discord-gateway" / gateway


class StateDirectory:
    """Paths and small files under `path`. `prepare` makes it; everything else expects that."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.control_socket = self.path / "control.sock"
        self.status_socket = self.path / "status.sock"
        self.pods = self.path / "pods"
        self.scratch = self.path / "scratch"
        self.simulator = self.path / "simulator"
        self._shard_set = self.path / "active-shard-set.json"
        self._checkpoints = self.path / "checkpoints.json"
        self._reshard = self.path / "reshard.json"

    def prepare(self) -> None:
        """Make the directory; raises StateDirectoryError."""
        self._check_socket_paths()
        try:
            self.path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            self._check_privacy()
            self.pods.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
            self.scratch.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
        except OSError as error:
            raise StateDirectoryError(f"cannot use the state directory {self.path}: {error.strerror}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the gateway's lock; raises AlreadyRunningError. The kernel lets go of it when the process ends."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        with os.fdopen(descriptor, "r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunningError(_int_or_none(lock.read())) from None
            lock.truncate()
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield

    def control_secret(self) -> str:
        """The secret that pods show when they dial: made once, so that pods left alone can dial the next operator."""
        file = self.path / "control-secret"
        with suppress(FileNotFoundError):
            if secret := file.read_text().strip():
                return secret
        secret = secrets.token_urlsafe(32)
        write_privately(file, secret)
        return secret

    def next_term(self) -> int:
        """This operator's term, higher than that of every operator before it, even if the memory of it was lost."""
        term = self._counted("term") + 1
        write_privately(self.path / "term", str(term))
        return term

    def last_number(self) -> int:
        """The highest number that an instance of a pod ever had."""
        return self._counted("last-instance")

    def remember_last_number(self, number: int) -> None:
        write_privately(self.path / "last-instance", str(number))

    def restarts(self) -> int:
        """How often a restart of all pods was asked for."""
        return self._counted("restarts")

    def remember_restarts(self, restarts: int) -> None:
        write_privately(self.path / "restarts", str(restarts))

    def remembered_shard_set(self) -> ShardSet | None:
        """The active shard set of the last operator, or None. A file that cannot be read is set aside."""
        return _read(self._shard_set, _SHARD_SET)

    def remember_shard_set(self, active: ShardSet) -> None:
        write_privately(self._shard_set, _SHARD_SET.dump_json(active).decode())

    def remembered_checkpoints(self) -> Checkpoints:
        """The sessions that the last operator knew. A file that cannot be read is set aside."""
        found = _read(self._checkpoints, _CHECKPOINTS) or ()
        return {(checkpoint.shard_id, checkpoint.shard_count): checkpoint for checkpoint in found}

    def remember_checkpoints(self, checkpoints: Checkpoints) -> None:
        write_privately(self._checkpoints, _CHECKPOINTS.dump_json(tuple(checkpoints.values())).decode())

    def remembered_reshard(self) -> ReshardRecord:
        """The reshard of the last operator. A file that cannot be read is set aside."""
        return _read(self._reshard, _RESHARD) or ReshardRecord()

    def remember_reshard(self, record: ReshardRecord) -> None:
        write_privately(self._reshard, _RESHARD.dump_json(record).decode())

    async def flush(self) -> None:
        """Everything is on disk as soon as it is to be remembered."""

    def forget(self) -> int:
        """Delete sessions, and events not delivered, so that the next start begins anew; how many files that were.

        The instances' numbers go on: none is ever given twice.
        """
        kept = (self._shard_set, self._checkpoints, self._reshard, *self.pods.glob("*.json"))
        doomed = [path for path in kept if path.exists()]
        doomed += [path for path in self.scratch.rglob("*") if path.is_file()]
        for path in doomed:
            path.unlink(missing_ok=True)
        for directory in self.scratch.iterdir():
            shutil.rmtree(directory, ignore_errors=True)
        return len(doomed)

    def _counted(self, name: str) -> int:
        """A counter's last value. One that cannot be read is set aside, and the time goes on in its place."""
        file = self.path / name
        try:
            return int(file.read_text())
        except FileNotFoundError:
            return 0
        except ValueError:
            set_aside(file)
            # Numbers must never come twice, and the time in seconds is above every count.
            write_privately(file, str(now := int(time.time())))
            return now

    def _check_socket_paths(self) -> None:
        longest = max(len(os.fsencode(path)) for path in (self.control_socket, self.status_socket))
        if longest > MAX_SOCKET_PATH_BYTES:
            raise StateDirectoryError(
                f"the state directory's path is too long: {self.path} makes a socket path of {longest} bytes, "
                f"Unix allows {MAX_SOCKET_PATH_BYTES}; name a shorter one with --state-dir"
            )

    def _check_privacy(self) -> None:
        status = self.path.stat()
        if status.st_uid != os.getuid():
            raise StateDirectoryError(
                f"the state directory {self.path} belongs to another user; name another one with --state-dir"
            )
        if status.st_mode & _OPEN_TO_OTHERS:
            raise StateDirectoryError(
                f"the state directory {self.path} is open to other users (mode {stat.S_IMODE(status.st_mode):o}): "
                f"run `chmod 700 {self.path}`, or name another one with --state-dir"
            )


def write_privately(file: Path, text: str) -> None:
    """Replace the file's content in one step, so that a crash leaves the old or the new; for the owner only."""
    draft = file.with_name(f".{file.name}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE_MODE)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)


def set_aside(file: Path) -> None:
    """Move a file that cannot be read out of the way, but keep it: it may tell what went wrong."""
    aside = file.with_name(f"{file.name}.unreadable")
    file.replace(aside)
    logger.warning(
        "a file of the state directory cannot be read; set aside and starting without it", moved_to=str(aside)
    )


def _read(file: Path, kind: TypeAdapter[T]) -> T | None:
    try:
        return kind.validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        set_aside(file)
        return None


def _int_or_none(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
