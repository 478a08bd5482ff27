"""Applies `Changes` within a transaction that its caller opens and ends, and keeps the totals true."""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from .records import MAX_DEAD_LETTERS, Changes, DeadLetter, StoredEvent, StoredSession, Totals, Written
from .space import PageLimits


def apply_changes(db: sqlite3.Connection, changes: Changes, limits: PageLimits) -> Written:
    """Removals come first, so that what is added can have their pages."""
    before = read_totals(db)
    _limit(db, limits.all)
    totals = _clear(db, before) if changes.clear else _remove(db, before, "events", changes.remove)
    totals = _remove(db, totals, "dead_letters", changes.remove_dead)
    if changes.session is not None:
        _put_session(db, changes.session)
    dropped: dict[str, int] = {}
    if changes.add_dead:
        _limit(db, limits.dead_letters)
        totals, dropped = _add_dead(db, totals, changes.add_dead)
    if changes.add:
        _limit(db, limits.events)
        totals = _add(db, totals, changes.add)
    if totals != before:
        db.execute(
            "UPDATE totals SET events = ?, bytes = ?, dead_letters = ?",
            (totals.events, totals.bytes, totals.dead_letters),
        )
    return Written(totals, dropped)


def read_totals(db: sqlite3.Connection) -> Totals:
    return Totals(*db.execute("SELECT events, bytes, dead_letters FROM totals").fetchone())


def _limit(db: sqlite3.Connection, pages: int) -> None:
    """Let the file grow up to so many pages; where it is larger already, just no further."""
    db.execute(f"PRAGMA max_page_count = {pages}").fetchall()


def _clear(db: sqlite3.Connection, totals: Totals) -> Totals:
    # Without a condition SQLite frees whole pages instead of single rows.
    db.execute("DELETE FROM events")
    return Totals(dead_letters=totals.dead_letters)


def _remove(
    db: sqlite3.Connection, totals: Totals, table: Literal["events", "dead_letters"], ids: Collection[int]
) -> Totals:
    if not ids:
        return totals
    listed = (msgspec.json.encode(sorted(ids)).decode(),)
    if table == "dead_letters":
        removed = db.execute("DELETE FROM dead_letters WHERE id IN (SELECT value FROM json_each(?))", listed).rowcount
        return msgspec.structs.replace(totals, dead_letters=totals.dead_letters - removed)
    count, size = db.execute(
        "SELECT count(*), total(length(raw)) FROM events WHERE id IN (SELECT value FROM json_each(?))", listed
    ).fetchone()
    db.execute("DELETE FROM events WHERE id IN (SELECT value FROM json_each(?))", listed)
    return msgspec.structs.replace(totals, events=totals.events - count, bytes=totals.bytes - int(size))


def _put_session(db: sqlite3.Connection, session: StoredSession) -> None:
    db.execute(
        "INSERT OR REPLACE INTO session VALUES (0, ?, ?, ?, ?, ?, ?, ?)",
        (
            session.session_id,
            session.resume_gateway_url,
            session.seq,
            session.shard_count,
            session.identity,
            session.released_to,
            session.confirmed,
        ),
    )
    # The snapshot is large and seldom changes; the seq beside it changes with every checkpoint.
    db.execute("UPDATE guilds SET snapshot = ?1 WHERE snapshot IS NOT ?1", (session.guilds,))


def _add(db: sqlite3.Connection, totals: Totals, events: Sequence[StoredEvent]) -> Totals:
    """Ids ascend, so it is seldom that one may be there already; then it goes first, and the totals stay true."""
    by_id = {stored.id: stored for stored in events}
    (last,) = db.execute("SELECT max(id) FROM events").fetchone()
    if last is not None and min(by_id) <= last:
        totals = _remove(db, totals, "events", by_id.keys())
    rows = (
        (
            stored.id,
            (event := stored.event).session_id,
            event.seq,
            event.type,
            event.guild_id,
            stored.received_wall,
            stored.attempts,
            event.raw,
        )
        for stored in by_id.values()
    )
    db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    size = sum(len(stored.event.raw) for stored in by_id.values())
    return msgspec.structs.replace(totals, events=totals.events + len(by_id), bytes=totals.bytes + size)


def _add_dead(db: sqlite3.Connection, totals: Totals, letters: Sequence[DeadLetter]) -> tuple[Totals, dict[str, int]]:
    rows = (
        (
            letter.id,
            (event := letter.event).session_id,
            event.seq,
            event.type,
            event.guild_id,
            letter.received_wall,
            letter.attempts,
            letter.problem,
            letter.died_wall,
            event.raw,
        )
        for letter in letters
    )
    db.executemany("INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    (kept,) = db.execute("SELECT count(*) FROM dead_letters").fetchone()
    too_many = max(0, kept - MAX_DEAD_LETTERS)
    if not too_many:
        return msgspec.structs.replace(totals, dead_letters=kept), {}
    oldest = "SELECT id FROM dead_letters ORDER BY died_wall, id LIMIT ?"
    by_type = f"SELECT type, count(*) FROM dead_letters WHERE id IN ({oldest}) GROUP BY type"  # noqa: S608 -- constants
    dropped = dict(db.execute(by_type, (too_many,)).fetchall())
    db.execute(f"DELETE FROM dead_letters WHERE id IN ({oldest})", (too_many,))  # noqa: S608 -- constants
    return msgspec.structs.replace(totals, dead_letters=MAX_DEAD_LETTERS), dropped
