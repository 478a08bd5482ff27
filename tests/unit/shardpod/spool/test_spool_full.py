"""A store that is full takes nothing more, loses nothing, and can be emptied."""

import resource
import sqlite3
from collections import deque
from contextlib import closing, contextmanager

import pytest

from shardpod.spool import Changes, SpoolFullError, Totals

SMALL = 2 * 1024 * 1024


@contextmanager
def no_file_longer_than(size):
    """A disk without room, as far as these files are concerned: they cannot get any longer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def fill_up(stored, session):
    """Write batches until no more fits; returns the seq of the last that did."""

    def do(store, batch=20, first=1, **sizes):
        while True:
            last = first + batch - 1
            try:
                store.write(Changes(add=[stored(i, **sizes) for i in range(first, last + 1)], session=session(last)))
            except SpoolFullError:
                return first - 1
            first = last + 1

    return do


def occupied(path):
    return sum(file.stat().st_size for file in path.parent.iterdir())


@pytest.mark.parametrize(("batch", "size"), [(1, 700), (20, 700), (200, 700), (3, 60_000)])
def test_a_store_is_full_at_its_bound_and_keeps_what_it_has(path, open_store, fill_up, session, read_all, batch, size):
    store = open_store(max_bytes=SMALL)
    last = fill_up(store, batch, size=size)
    assert 0.4 * SMALL < last * size < SMALL
    assert path.stat().st_size < SMALL
    for _ in range(2):
        assert (store.load().session, store.load().totals) == (session(last), Totals(last, last * size))
        assert [one.id for one in read_all(store)] == list(range(1, last + 1))
        store.close()
        store = open_store(max_bytes=SMALL)


def test_a_full_store_takes_checkpoints_dead_letters_and_removals(open_store, fill_up, stored, session, letter):
    store = open_store(max_bytes=SMALL)
    last = fill_up(store, size=700)
    store.write(Changes(session=session(last + 1, guilds=b"g" * 50_000)))
    for id_ in range(last + 1, last + 20):
        store.write(Changes(add_dead=[letter(id_, size=700)]))
    with pytest.raises(SpoolFullError):
        store.write(Changes(add=[stored(id_, size=700) for id_ in range(5000, 5040)]))
    store.write(Changes(remove=range(1, last + 1, 2), session=session(last + 2)))
    store.write(Changes(remove=range(1, last + 1)))
    assert store.load().totals == Totals(0, 0, 19)
    assert store.load().session == session(last + 2)


def test_dead_letters_leave_room_for_checkpoints(open_store, session, letter):
    store = open_store(max_bytes=SMALL)
    letters = (Changes(add_dead=[letter(id_, size=30_000)]) for id_ in range(1, 1000))
    with pytest.raises(SpoolFullError):
        deque(map(store.write, letters), maxlen=0)
    store.write(Changes(session=session(5, guilds=b"g" * 50_000)))
    assert store.load().session.seq == 5


def test_a_full_store_takes_events_again_once_some_were_removed_and_does_not_grow(path, open_store, fill_up):
    store = open_store(max_bytes=SMALL)
    last = fill_up(store, size=700)
    size = path.stat().st_size
    for _ in range(10):
        store.write(Changes(remove=range(last - 299, last + 1)))
        again = fill_up(store, first=last + 1, size=700)
        assert again - last >= 200
        last = again
    assert path.stat().st_size == size


def test_a_store_gives_its_space_back_when_it_is_emptied(path, open_store, stored, letter, read_all):
    store = open_store()
    for way in ("clear", "remove"):
        for first in range(0, 10_000, 2000):
            store.write(Changes(add=[stored(id_, size=700) for id_ in range(first, first + 2000)]))
            # It lies behind the events, and has to move when the file is cut.
            store.write(Changes(add_dead=[letter(first)]))
        assert occupied(path) > 7_000_000
        store.write(Changes(clear=True) if way == "clear" else Changes(remove=range(10_000)))
        assert path.stat().st_size < 200_000
        assert path.with_name(f"{path.name}-wal").stat().st_size <= 4 * 1024 * 1024
        assert [one.id for one in store.dead_letters()] == [0, 2000, 4000, 6000, 8000]
        store.write(Changes(add=[stored(1)]))
        assert read_all(store) == [stored(1)]


def test_the_log_has_its_room_from_the_start_and_again_when_the_store_was_emptied(path, open_store, stored):
    def room():
        return path.with_name(f"{path.name}-wal").stat().st_blocks * 512

    store = open_store(max_bytes=SMALL)
    assert room() >= SMALL // 8
    store.write(Changes(add=[stored(id_, size=700) for id_ in range(1000)]))
    store.write(Changes(add=[stored(id_, size=700) for id_ in range(1000, 1500)]))
    store.write(Changes(clear=True))
    assert SMALL // 4 > room() >= SMALL // 8
    store.close()
    open_store(max_bytes=SMALL)
    assert room() >= SMALL // 8


def test_a_process_that_died_while_it_shrank_the_file_leaves_it_reusing_pages_all_the_same(path, open_store, stored):
    def auto_vacuum(setting=""):
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            return database.execute(f"PRAGMA auto_vacuum {setting}").fetchall()

    store = open_store()
    store.write(Changes(add=[stored(1)]))
    store.close()
    auto_vacuum("= FULL")
    assert auto_vacuum() == [(1,)]
    open_store().close()
    assert auto_vacuum() == [(2,)]


def test_a_bound_that_became_smaller_stops_additions_alone(open_store, stored):
    store = open_store()
    store.write(Changes(add=[stored(id_, size=700) for id_ in range(1, 10_001)]))
    store.close()
    store = open_store(max_bytes=SMALL)
    with pytest.raises(SpoolFullError):
        store.write(Changes(add=[stored(id_, size=700) for id_ in range(20_000, 20_100)]))
    assert store.write(Changes(remove=range(1, 10_001))).totals == Totals()
    assert store.write(Changes(add=[stored(id_, size=700) for id_ in range(20_000, 20_100)])).totals.events == 100


@pytest.mark.parametrize("batch", [5, 20, 300])
def test_a_full_disk_can_be_emptied_and_used_again(path, open_store, fill_up, stored, session, read_all, batch):
    store = open_store()
    with no_file_longer_than(5 * 1024 * 1024):
        last = fill_up(store, batch, size=700)
        assert last * 700 > 1024 * 1024
        assert store.load().totals == Totals(last, last * 700)
        store.write(Changes(session=session(last + 1)))
        for first in range(1, last // 2, 500):
            store.write(Changes(remove=range(first, first + 500)))
        store.write(Changes(clear=True, session=session(last + 2)))
        assert store.load().session == session(last + 2)
        again = fill_up(store, batch, first=last + 1, size=700)
        assert again - last >= 0.9 * last
    assert [one.id for one in read_all(store)] == list(range(last + 1, again + 1))
    assert not list(path.parent.glob("*.unreadable*"))


def test_a_disk_that_is_filled_by_others_takes_checkpoints_and_removals(path, open_store, stored, session, read_all):
    store = open_store()
    store.write(Changes(add=[stored(id_, size=700) for id_ in range(1, 3001)], session=session(3000)))
    with no_file_longer_than(path.stat().st_size):
        with pytest.raises(SpoolFullError):
            store.write(Changes(add=[stored(id_, size=700) for id_ in range(4000, 6000)]))
        for seq in range(3001, 3301):
            store.write(Changes(remove=range(seq * 10 - 30_009, seq * 10 - 29_999), session=session(seq)))
    assert read_all(store) == []
    assert store.load().session == session(3300)
    store.write(Changes(add=[stored(1)]))
    assert read_all(store) == [stored(1)]


def test_a_new_store_on_a_full_disk_says_that_it_is_full_and_can_be_opened_later(path, open_store):
    with no_file_longer_than(0), pytest.raises(SpoolFullError, match="cannot be written"):
        open_store()
    assert open_store().load().totals == Totals()
    assert not list(path.parent.glob("*.unreadable*"))


def test_a_store_with_events_opens_on_a_full_disk(path, open_store, stored, read_all):
    store = open_store()
    store.write(Changes(add=[stored(1)]))
    store.close()
    with no_file_longer_than(0):
        store = open_store()
        assert read_all(store) == [stored(1)]
    assert not list(path.parent.glob("*.unreadable*"))
