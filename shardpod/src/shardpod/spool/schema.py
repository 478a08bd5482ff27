"""The layout of a store's file, how SQLite is set up for it, and how one of ours is recognised."""

import sqlite3

from .errors import UnreadableError, is_missing_schema
from .space import PAGE_BYTES, PageLimits

SCHEMA_VERSION = 1
AUTO_VACUUM_INCREMENTAL = 2

# `raw` stands last in a row: whatever stands behind a long blob is found only by reading all of it.
_SCHEMA = (
    """CREATE TABLE session (
        key INTEGER PRIMARY KEY CHECK (key = 0),
        session_id TEXT, resume_gateway_url TEXT NOT NULL, seq INTEGER NOT NULL, shard_count INTEGER NOT NULL,
        identity TEXT NOT NULL, released_to TEXT, confirmed INTEGER NOT NULL
    ) STRICT""",
    "CREATE TABLE guilds (key INTEGER PRIMARY KEY CHECK (key = 0), snapshot BLOB NOT NULL) STRICT",
    """CREATE TABLE totals (
        key INTEGER PRIMARY KEY CHECK (key = 0),
        events INTEGER NOT NULL, bytes INTEGER NOT NULL, dead_letters INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL, guild_id TEXT,
        received_wall REAL NOT NULL, attempts INTEGER NOT NULL, raw BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE dead_letters (
        id INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL, guild_id TEXT,
        received_wall REAL NOT NULL, attempts INTEGER NOT NULL, problem TEXT NOT NULL, died_wall REAL NOT NULL,
        raw BLOB NOT NULL
    ) STRICT""",
    "INSERT INTO guilds VALUES (0, x'')",
    "INSERT INTO totals VALUES (0, 0, 0, 0)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
# Reads a page or two of each table. A full integrity check would read all of the file; what is broken further
# inside is found when it is read.
_LOOKS_RIGHT = (
    "SELECT session_id, resume_gateway_url, seq, shard_count, identity, released_to, confirmed FROM session",
    "SELECT length(snapshot) FROM guilds",
    "SELECT id, session_id, seq, type, guild_id, received_wall, attempts, length(raw) FROM events ORDER BY id LIMIT 1",
    "SELECT max(id) FROM events",
    """SELECT id, session_id, seq, type, guild_id, received_wall, attempts, problem, died_wall, length(raw)
        FROM dead_letters ORDER BY id LIMIT 1""",
)


def prepare(db: sqlite3.Connection, limits: PageLimits) -> None:
    # Before anything is read: then the log's index lives in memory, and the lock is held until the file is closed.
    db.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
    # Of no effect on a file that has pages already.
    db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    version = pragma(db, "user_version")
    is_new = version == 0 and pragma(db, "schema_version") == 0
    if is_new:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    elif version != SCHEMA_VERSION:
        raise UnreadableError(f"its schema has version {version}, known is {SCHEMA_VERSION}")
    db.execute("PRAGMA journal_mode = WAL").fetchall()
    # A crash of the process loses nothing of a committed transaction; one of the machine may lose the last few.
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA cache_size = -256")
    # The only place that is writable for certain is the one of the file itself.
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute(f"PRAGMA wal_autocheckpoint = {limits.log}").fetchall()
    db.execute(f"PRAGMA journal_size_limit = {limits.log * PAGE_BYTES}").fetchall()
    if is_new:
        _create_tables(db)
    else:
        _check(db)


def pragma(db: sqlite3.Connection, name: str) -> int:
    (value,) = db.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _create_tables(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        db.execute(statement)
    db.execute("COMMIT")


def _check(db: sqlite3.Connection) -> None:
    try:
        for query in _LOOKS_RIGHT:
            db.execute(query).fetchall()
        if len(db.execute("SELECT events, bytes, dead_letters FROM totals").fetchall()) != 1:
            raise UnreadableError("it has no totals")
        # Left at FULL by a process that died while it shrank the file.
        if pragma(db, "auto_vacuum") != AUTO_VACUUM_INCREMENTAL:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    except sqlite3.Error as error:
        if is_missing_schema(error):
            raise UnreadableError(str(error)) from error
        raise
