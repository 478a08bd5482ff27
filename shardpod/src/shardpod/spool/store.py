"""One shard's durable store: its checkpoint, the events that wait on disk, and its dead letters.

All calls block, and are made from one thread at a time. Nothing here ends in a crash loop: a file that cannot be read
is moved aside with a warning, and an empty one takes its place.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from sys import intern

import structlog

from shardpod.protocol import Event

from .database import Database
from .errors import StoreError, StoreReplacedError, UnreadableError, is_corruption
from .files import remove, set_aside
from .records import Changes, DeadLetter, Restored, StoredEvent, StoredSession, Written
from .space import PageLimits
from .transaction import read_totals

BUSY_TIMEOUT_S = 5.0

logger = structlog.get_logger("spool")


class ShardStore:
    """Made by `open`. Each call may raise a StoreError, after which the store can still be used."""

    def __init__(self, path: Path, *, shard_id: int, max_bytes: int, busy_timeout: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        self.shard_id = shard_id
        self._limits = PageLimits.within(max_bytes)
        self._busy_timeout = busy_timeout
        self._open_database: Database | None = None
        self._set_aside: Path | None = None
        self._closed = False

    @classmethod
    def open(cls, path: Path, *, shard_id: int, max_bytes: int, busy_timeout: float = BUSY_TIMEOUT_S) -> "ShardStore":
        """StoreLockedError: another process still has it open after `busy_timeout` seconds."""
        store = cls(path, shard_id=shard_id, max_bytes=max_bytes, busy_timeout=busy_timeout)
        store._database()
        return store

    def load(self) -> Restored:
        """What the store holds, without the events. A store that turns out corrupt here is empty."""
        try:
            with self._using() as database:
                return self._load(database.connection)
        except StoreReplacedError:
            with self._using() as database:
                return self._load(database.connection)

    def events(self, after_id: int = -1, limit: int = 1000, *, max_bytes: int | None = None) -> list[StoredEvent]:
        """The next events in the order of their ids; none is left when the list is empty.

        It ends early once the payloads are `max_bytes` or more together, so that it may hold fewer than `limit`.
        """
        with self._using() as database, closing(database.connection.cursor()) as rows:
            rows.execute("SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?", (after_id, limit))
            events, size = [], 0
            for row in rows:
                events.append(self._event(row))
                size += len(row[-1])
                if max_bytes is not None and size >= max_bytes:
                    break
            return events

    def dead_letters(self) -> list[DeadLetter]:
        """All of them, the first to have died first."""
        with self._using() as database:
            rows = database.connection.execute("SELECT * FROM dead_letters ORDER BY died_wall, id").fetchall()
            return [self._dead_letter(row) for row in rows]

    def write(self, changes: Changes) -> Written:
        """All of it in one transaction, or nothing. SpoolFullError: nothing, for want of space."""
        with self._using() as database:
            return database.write(changes)

    def close(self) -> None:
        self._closed = True
        self._disconnect()

    def delete(self) -> None:
        """Close it and remove its files; those that were set aside stay."""
        self.close()
        remove(self.path)

    def _database(self) -> Database:
        if self._closed:
            raise StoreError(f"{self.path} has been closed")
        if self._open_database is None:
            try:
                self._open_database = self._connect()
            except UnreadableError as error:
                self._move_aside(str(error))
                self._open_database = self._connect_fresh()
        return self._open_database

    def _connect(self) -> Database:
        return Database.open(self.path, self._limits, busy_timeout=self._busy_timeout)

    def _connect_fresh(self) -> Database:
        try:
            return self._connect()
        except UnreadableError as error:
            raise StoreError(f"{self.path} is unreadable although it is new: {error}") from error

    def _move_aside(self, problem: str) -> Path:
        self._disconnect()
        try:
            target = set_aside(self.path)
        except OSError as error:
            raise StoreError(f"{self.path} is unreadable ({problem}) and cannot be moved: {error}") from error
        self._set_aside = target
        logger.warning(
            "a store could not be read, it was moved aside and an empty one made",
            shard_id=self.shard_id,
            moved_to=str(target),
            problem=problem,
        )
        return target

    def _disconnect(self) -> None:
        if self._open_database is not None:
            self._open_database.close()
            self._open_database = None

    @contextmanager
    def _using(self) -> Iterator[Database]:
        """The database; should it turn out corrupt, it is replaced, and StoreReplacedError says so."""
        database = self._database()
        try:
            yield database
        except sqlite3.Error as error:
            if is_corruption(error):
                raise self._replace(str(error)) from error
            if database.connection.in_transaction:
                self._disconnect()  # it could not even roll back; the next call opens the file again
            raise StoreError(f"{self.path}: {error}") from error

    def _replace(self, problem: str) -> StoreReplacedError:
        target = self._move_aside(problem)
        with suppress(StoreError):  # then the next call tries again, and reports it
            self._open_database = self._connect_fresh()
        return StoreReplacedError(problem, target)

    def _load(self, db: sqlite3.Connection) -> Restored:
        row = db.execute(
            """SELECT session_id, resume_gateway_url, seq, shard_count, identity, snapshot, released_to, confirmed
            FROM session JOIN guilds USING (key)"""
        ).fetchone()
        session = None
        if row is not None:
            session_id, url, seq, shard_count, identity, snapshot, released_to, confirmed = row
            session = StoredSession(session_id, url, seq, shard_count, identity, snapshot, released_to, bool(confirmed))
        (last,) = db.execute(
            "SELECT max(ifnull((SELECT max(id) FROM events), 0), ifnull((SELECT max(id) FROM dead_letters), 0))"
        ).fetchone()
        return Restored(session, read_totals(db), last + 1, self._set_aside)

    def _event(self, row: tuple[int, str, int, str, str | None, float, int, bytes]) -> StoredEvent:
        id_, session_id, seq, type_, guild_id, received_wall, attempts, raw = row
        return StoredEvent(id_, self._payload(session_id, seq, type_, guild_id, raw), received_wall, attempts)

    def _dead_letter(self, row: tuple[int, str, int, str, str | None, float, int, str, float, bytes]) -> DeadLetter:
        id_, session_id, seq, type_, guild_id, received_wall, attempts, problem, died_wall, raw = row
        event = self._payload(session_id, seq, type_, guild_id, raw)
        return DeadLetter(id_, event, received_wall, attempts, problem, died_wall)

    def _payload(self, session_id: str, seq: int, type_: str, guild_id: str | None, raw: bytes) -> Event:
        # Thousands of events share these two texts, which SQLite hands out anew with each row.
        return Event(intern(type_), seq, guild_id, self.shard_id, intern(session_id), 0.0, raw)
