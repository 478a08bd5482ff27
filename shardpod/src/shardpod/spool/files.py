"""The files of a store: one database and what SQLite puts beside it."""

import os
from contextlib import suppress
from itertools import count
from pathlib import Path

_SIDE_FILES = ("-wal", "-shm", "-journal")


def store_path(folder: Path, shard_id: int) -> Path:
    return folder / f"shard-{shard_id}.db"


def create_private(path: Path) -> None:
    """Create the empty file, if there is none, for its owner only; SQLite gives the files beside it the same mode.

    An existing file is not even opened: closing it would drop the locks that SQLite holds on it in this process.
    """
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)


def set_aside(path: Path) -> Path:
    """Move a store's files out of the way, under names that SQLite still takes for one database; returns the new name.

    The database goes last: if this is interrupted, it is still found, still unreadable, and moved then.
    """
    target = _free_name(path)
    for suffix in (*_SIDE_FILES, ""):
        with suppress(FileNotFoundError):
            _beside(path, suffix).rename(_beside(target, suffix))
    return target


def remove(path: Path) -> None:
    """Remove a store's files. The database goes first: a log without its database is discarded by SQLite."""
    for suffix in ("", *_SIDE_FILES):
        _beside(path, suffix).unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _free_name(path: Path) -> Path:
    for number in count(1):
        name = _beside(path, ".unreadable" if number == 1 else f".unreadable.{number}")
        if not any(_beside(name, suffix).exists() for suffix in ("", *_SIDE_FILES)):
            return name
    raise AssertionError("unreachable")
