"""The room of a store: how far its file may grow, and disk space taken before SQLite needs it.

Both are for one purpose: a store that is full can still be emptied.

What is committed stands in the write-ahead log first, and needs its place in the database as well before the log can
start over. Were the disk full by then, the log could neither be written over nor grow: not even a removal would find
room, for ever. So the database's file is made as long as its pages need before they are committed, and the log's file
never gets shorter than what a removal takes.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

import msgspec

PAGE_BYTES = 8192
"""Ten ordinary events a page: fewer pages to write than with SQLite's 4096, and still small for a lone checkpoint."""
MIN_BYTES = 1024 * 1024
"""A smaller bound is taken for this one: below it the tables' own pages and the reserve leave no room for events."""
_LOG_PAGES = (32, 512)
_RESERVE_PAGES = (16, 256)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


class PageLimits(msgspec.Struct, frozen=True):
    """How many pages the file may have for which kind of write, so that a full store can still be emptied.

    Events stop growing the file first, dead letters next; what is left is for checkpoints and for the few pages that
    a removal may need.
    """

    events: int
    dead_letters: int
    all: int
    log: int

    @classmethod
    def within(cls, max_bytes: int) -> "PageLimits":
        """Leaves room for the write-ahead log as well; only while a large transaction is written it may be longer."""
        pages = max(max_bytes, MIN_BYTES) // PAGE_BYTES
        log = _between(_LOG_PAGES, pages // 8)
        reserve = _between(_RESERVE_PAGES, pages // 16)
        return cls(events=pages - log - 2 * reserve, dead_letters=pages - log - reserve, all=pages - log, log=log)


class ClaimedSpace:
    """Made once SQLite holds its lock, closed after SQLite: closing the descriptor would end the lock."""

    def __init__(self, path: Path, *, log_bytes: int) -> None:
        self._log = path.with_name(path.name + "-wal")
        self._log_bytes = log_bytes
        self._descriptor = os.open(path, os.O_RDWR)
        self._claimed = 0
        self.claim_log()

    def claim(self, size: int) -> None:
        """Make sure of so many bytes for the database; OSError if the disk has no room for them."""
        if size > self._claimed:
            _allocate(self._descriptor, size)
            self._claimed = size

    def shrunk(self) -> None:
        """The database may have got shorter, and the log with it."""
        self._claimed = 0
        self.claim_log()

    def claim_log(self) -> None:
        """As far as there is room: the store works without, until the disk is full."""
        with suppress(OSError):
            descriptor = os.open(self._log, os.O_RDWR)
            try:
                _allocate(descriptor, self._log_bytes)
            finally:
                os.close(descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def _between(bounds: tuple[int, int], value: int) -> int:
    return max(bounds[0], min(value, bounds[1]))


def _allocate(descriptor: int, size: int) -> None:
    """Where the system or the file system cannot do it, nothing is claimed, and all else works."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise
