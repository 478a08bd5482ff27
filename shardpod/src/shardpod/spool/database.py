"""One open SQLite file: opened and closed with the space that was claimed for it, and written in whole transactions."""

import sqlite3
from contextlib import ExitStack, suppress
from pathlib import Path

from .errors import (
    SpoolFullError,
    StoreError,
    StoreLockedError,
    UnreadableError,
    is_corruption,
    is_locked,
    is_unwritable,
)
from .files import create_private
from .records import Changes, Totals, Written
from .schema import AUTO_VACUUM_INCREMENTAL, pragma, prepare
from .space import PAGE_BYTES, ClaimedSpace, PageLimits
from .transaction import apply_changes

_SHRINK_ABOVE_BYTES = 1024 * 1024
"""A smaller file is left as it is when it is empty: it will be used again in a moment."""


class Database:
    """Made by `open`. Its errors are SQLite's own, but for SpoolFullError."""

    def __init__(self, connection: sqlite3.Connection, space: ClaimedSpace, limits: PageLimits) -> None:
        self.connection = connection
        self._space = space
        self._limits = limits

    @classmethod
    def open(cls, path: Path, limits: PageLimits, *, busy_timeout: float) -> "Database":
        """Open or create the file. UnreadableError: it is there, and cannot be read by this version."""
        with ExitStack() as undo:
            try:
                create_private(path)
                connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
                undo.callback(connection.close)
                prepare(connection, limits)
                space = ClaimedSpace(path, log_bytes=limits.log * PAGE_BYTES)
            except sqlite3.Error as error:
                raise _named(error, path) from error
            except OSError as error:
                raise StoreError(f"{path} cannot be opened: {error}") from error
            undo.pop_all()
        return cls(connection, space, limits)

    def write(self, changes: Changes) -> Written:
        """All of it in one transaction, or nothing."""
        try:
            return self._transact(changes)
        except (sqlite3.Error, OSError) as error:
            if not _is_full(error):
                raise
            if changes.add:
                raise SpoolFullError(str(error)) from error
        # All else is small: it fits into the log, once that has been written over to the database and starts again.
        self._checkpoint()
        try:
            return self._transact(changes, may_shrink=False)
        except (sqlite3.Error, OSError) as error:
            if _is_full(error):
                raise SpoolFullError(str(error)) from error
            raise

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self.connection.close()
        self._space.close()

    def _transact(self, changes: Changes, *, may_shrink: bool = True) -> Written:
        db = self.connection
        shrinking = False
        try:
            db.execute("BEGIN IMMEDIATE")
            written = apply_changes(db, changes, self._limits)
            size = pragma(db, "page_count") * PAGE_BYTES
            shrinking = may_shrink and _worth_shrinking(size, written.totals)
            if shrinking:
                # The commit then cuts the free pages off; `incremental_vacuum` would look for them one by one.
                db.execute("PRAGMA auto_vacuum = FULL")
            else:
                self._space.claim(size)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        finally:
            if shrinking:
                self._end_shrinking()
        return written

    def _end_shrinking(self) -> None:
        """Back to reusing free pages. What fails here costs only time or space, and is tried again the next time."""
        with suppress(sqlite3.Error):
            self.connection.execute(f"PRAGMA auto_vacuum = {AUTO_VACUUM_INCREMENTAL}")
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._space.shrunk()

    def _checkpoint(self) -> None:
        with suppress(sqlite3.Error):
            self.connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()


def _worth_shrinking(size: int, totals: Totals) -> bool:
    return not totals.events and size > _SHRINK_ABOVE_BYTES


def _is_full(error: Exception) -> bool:
    """An OSError comes only from claiming space, and only where there is no room."""
    return is_unwritable(error) if isinstance(error, sqlite3.Error) else isinstance(error, OSError)


def _named(error: sqlite3.Error, path: Path) -> Exception:
    if is_corruption(error):
        return UnreadableError(str(error))
    if is_locked(error):
        return StoreLockedError(f"{path} is in use by another process")
    if is_unwritable(error):
        return SpoolFullError(f"{path} cannot be written: {error}")
    return StoreError(f"{path} cannot be opened: {error}")
