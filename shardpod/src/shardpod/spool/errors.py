"""How a store fails, and which of these kinds an error of SQLite is."""

import sqlite3
from pathlib import Path

_UNWRITABLE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNREADABLE_DISK = {
    # Of all I/O errors only these mean that what is on the disk is lost; the others leave it as it is.
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_CORRUPTFS,
}


class StoreError(Exception):
    """A store cannot do what was asked. Each call may be tried again later."""


class StoreLockedError(StoreError):
    """Another process has the store open."""


class SpoolFullError(StoreError):
    """Nothing more can be written, because of `max_bytes` or of the disk. What was stored before is untouched."""


class StoreReplacedError(StoreError):
    """The file turned out corrupt and was moved to `set_aside`. The store is empty now, and can be used.

    Nothing of the call has been done: whoever still has in memory what the store held should write it again.
    """

    def __init__(self, problem: str, set_aside: Path) -> None:
        super().__init__(f"{problem}; the file was moved to {set_aside}")
        self.set_aside = set_aside


class UnreadableError(Exception):
    """The file is not a store that this version can read; internal to opening one."""


def is_corruption(error: sqlite3.Error) -> bool:
    code = _code(error)
    if code is None:
        # The one error that the binding itself raises for a file's content; it has no code.
        return str(error).startswith("Could not decode to UTF-8")
    return code & 0xFF in _CORRUPT or code in _UNREADABLE_DISK


def is_unwritable(error: sqlite3.Error) -> bool:
    return _primary(error) in _UNWRITABLE


def is_locked(error: sqlite3.Error) -> bool:
    return _primary(error) in _LOCKED


def is_missing_schema(error: sqlite3.Error) -> bool:
    """Whether it says "no such table" or the like (SQLite has no code of their own for them)."""
    return _primary(error) == sqlite3.SQLITE_ERROR


def _code(error: sqlite3.Error) -> int | None:
    return getattr(error, "sqlite_errorcode", None)


def _primary(error: sqlite3.Error) -> int | None:
    code = _code(error)
    return None if code is None else code & 0xFF
