"""A file that cannot be read is moved aside, with a warning, and never a reason to end."""

import sqlite3
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from shardpod.spool import Changes, StoreReplacedError, Totals
from shardpod.spool.files import set_aside

PAGE = 8192


@pytest.fixture
def fill(open_store, stored, session, letter):
    """A closed store of some hundred pages."""

    def do():
        store = open_store()
        events = [stored(id_, size=2000) for id_ in range(1, 401)]
        store.write(Changes(add=events, session=session(400), add_dead=[letter(1000)]))
        store.close()

    return do


def garbage(path):
    path.write_bytes(b"this is no database" * 1000)


def short_garbage(path):
    path.write_bytes(b"no")


def truncated(path):
    path.write_bytes(path.read_bytes()[: 20 * PAGE + 17])


def first_page_zeroed(path):
    path.write_bytes(bytes(PAGE) + path.read_bytes()[PAGE:])


def schema_destroyed(path):
    content = bytearray(path.read_bytes())
    content[100:PAGE] = b"\xff" * (PAGE - 100)
    path.write_bytes(content)


def sql(statement):
    def do(path):
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute(statement)

    return do


DAMAGES = {
    "garbage": garbage,
    "short_garbage": short_garbage,
    "truncated": truncated,
    "first_page_zeroed": first_page_zeroed,
    "schema_destroyed": schema_destroyed,
    "later_version": sql("PRAGMA user_version = 99"),
    "no_version": sql("PRAGMA user_version = 0"),
    "table_missing": sql("DROP TABLE dead_letters"),
    "column_missing": sql("ALTER TABLE session DROP COLUMN confirmed"),
    "totals_missing": sql("DELETE FROM totals"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_file_that_cannot_be_read_is_set_aside_with_a_warning(path, fill, open_store, stored, damage, read_all):
    fill()
    damage(path)
    content = path.read_bytes()
    with capture_logs() as logs:
        store = open_store()
    aside = path.with_name(f"{path.name}.unreadable")
    assert [(log["log_level"], log["moved_to"], log["shard_id"]) for log in logs] == [("warning", str(aside), 3)]
    assert aside.read_bytes() == content
    restored = store.load()
    assert (restored.session, restored.totals, restored.set_aside) == (None, Totals(), aside)
    store.write(Changes(add=[stored(1)]))
    store.close()
    again = open_store()
    assert (read_all(again), again.load().set_aside) == ([stored(1)], None)


def test_what_is_set_aside_later_gets_a_number(path, open_store):
    for _ in range(3):
        garbage(path)
        with capture_logs():
            open_store().close()
    names = {file.name for file in path.parent.glob("*.unreadable*")}
    assert names == {f"{path.name}.unreadable", f"{path.name}.unreadable.2", f"{path.name}.unreadable.3"}


def test_all_files_of_a_store_are_set_aside_together_and_over_no_others(path):
    path.with_name(f"{path.name}.unreadable-wal").write_bytes(b"of another time")
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).write_text(f"file{suffix}")
    target = set_aside(path)
    assert target.name == f"{path.name}.unreadable.2"
    contents = {file.name.removeprefix(path.name): file.read_text() for file in path.parent.iterdir()}
    assert contents == {
        ".unreadable-wal": "of another time",
        ".unreadable.2": "file",
        ".unreadable.2-wal": "file-wal",
        ".unreadable.2-shm": "file-shm",
    }


def test_an_empty_file_is_a_new_store_even_beside_the_log_of_a_former_one(path, open_store, stored):
    store = open_store()
    store.write(Changes(add=[stored(1)]))
    log = path.with_name(f"{path.name}-wal").read_bytes()
    store.delete()
    path.write_bytes(b"")
    path.with_name(f"{path.name}-wal").write_bytes(log)
    with capture_logs() as logs:
        store = open_store()
    assert (store.load().totals, logs) == (Totals(), [])


@pytest.fixture
def broken_inside(path, fill, open_store):
    """An open store whose head is sound, and whose events break off in the middle."""
    fill()
    content = bytearray(path.read_bytes())
    # The pages of the events in the middle, none of which is read when it is opened.
    for page in range(50, 90):
        content[page * PAGE : (page + 1) * PAGE] = b"\xa5" * PAGE
    path.write_bytes(content)
    store = open_store()
    assert (store.load().session.seq, store.load().totals.events) == (400, 400)
    return store


def use_events(store, stored, read_all):
    read_all(store)


def use_removal(store, stored, read_all):
    store.write(Changes(remove=range(1, 401)))


def use_clear(store, stored, read_all):
    store.write(Changes(clear=True))


@pytest.mark.parametrize("use", [use_events, use_removal, use_clear])
def test_damage_that_is_found_later_replaces_the_store_and_says_so(path, broken_inside, stored, read_all, use, session):
    store = broken_inside
    aside = path.with_name(f"{path.name}.unreadable")
    with capture_logs() as logs, pytest.raises(StoreReplacedError) as caught:
        use(store, stored, read_all)
    assert caught.value.set_aside == aside
    assert [log["moved_to"] for log in logs] == [str(aside)]
    assert aside.exists()
    assert store.load().totals == Totals()
    store.write(Changes(add=[stored(1)], session=session(1)))
    assert (read_all(store), store.load().session) == ([stored(1)], session(1))


def test_a_store_that_breaks_when_it_is_loaded_loads_as_an_empty_one(path, open_store, session):
    store = open_store()
    store.write(Changes(session=session(1, guilds=b"g" * 100_000)))
    store.close()
    content = bytearray(path.read_bytes())
    # A page in the middle of the snapshot; only the snapshot's head is read when the file is opened. It begins with
    # the number of the page that comes next.
    page = content.index(b"g" * 8000) // PAGE
    content[page * PAGE : page * PAGE + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    store = open_store()
    with capture_logs() as logs:
        restored = store.load()
    assert (restored.session, restored.set_aside) == (None, path.with_name(f"{path.name}.unreadable"))
    assert len(logs) == 1
    store.write(Changes(session=session(2)))
    assert store.load().session == session(2)


def test_text_that_is_no_text_any_more_counts_as_damage(path, open_store, stored):
    store = open_store()
    store.write(Changes(add=[stored(id_, type_="MARKER") for id_ in (1, 2, 3)]))
    store.close()
    content = path.read_bytes()
    at = content.index(b"MARKER", content.index(b"MARKER") + 1)
    path.write_bytes(content[:at] + b"\xff" + content[at + 1 :])
    store = open_store()
    with capture_logs(), pytest.raises(StoreReplacedError):
        store.events()
    assert store.load().totals == Totals()
