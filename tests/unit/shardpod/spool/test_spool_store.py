"""What is written to a store comes back from it."""

import os
import stat

import pytest

from shardpod.spool import MAX_DEAD_LETTERS, Changes, ShardStore, StoreError, Totals, store_path


def test_a_new_store_is_empty(store, read_all):
    restored = store.load()
    assert (restored.session, restored.totals, restored.next_id, restored.set_aside) == (None, Totals(), 1, None)
    assert read_all(store) == []
    assert store.dead_letters() == []


def test_a_session_comes_back_as_it_was(open_store, session):
    store = open_store()
    store.write(Changes(session=session(7, released_to="pod-b", confirmed=True)))
    store.close()
    assert open_store().load().session == session(7, released_to="pod-b", confirmed=True)


def test_a_later_session_takes_the_earlier_ones_place_and_a_write_without_one_leaves_it(store, session, stored):
    store.write(Changes(session=session(7)))
    store.write(Changes(session=session(9, guilds=b"others")))
    store.write(Changes(add=[stored(1)]))
    assert store.load().session == session(9, guilds=b"others")


def test_a_store_can_say_released_with_no_session(store, session):
    nothing = session(0, session_id=None, resume_gateway_url="", guilds=b"", released_to="pod-b")
    store.write(Changes(session=session(7)))
    store.write(Changes(session=nothing))
    assert store.load().session == nothing


def test_events_come_back_in_the_order_of_their_ids_with_all_their_fields(open_store, stored, read_all):
    events = [stored(id_, size=id_ * 50, attempts=id_ % 3, type_=f"T{id_ % 5}") for id_ in range(1, 200)]
    events[3].event.guild_id = None
    store = open_store()
    store.write(Changes(add=events[100:]))
    store.write(Changes(add=events[:100][::-1]))
    store.close()
    assert read_all(open_store()) == events


def test_events_can_be_read_from_an_id_on_and_up_to_a_number_of_bytes(store, stored):
    store.write(Changes(add=[stored(id_, size=100) for id_ in range(1, 11)]))
    assert [event.id for event in store.events(4, 3)] == [5, 6, 7]
    assert [event.id for event in store.events(4, 100, max_bytes=201)] == [5, 6, 7]
    assert [event.id for event in store.events(4, 100, max_bytes=1)] == [5]
    assert store.events(10, 3) == []


def test_an_event_written_again_replaces_the_first(store, stored, read_all):
    store.write(Changes(add=[stored(1), stored(2)]))
    written = store.write(Changes(add=[stored(2, size=500, attempts=4), stored(3), stored(3, size=50)]))
    assert read_all(store) == [stored(1), stored(2, size=500, attempts=4), stored(3, size=50)]
    assert written.totals == store.load().totals == Totals(events=3, bytes=650)


def test_removed_events_are_gone_and_unknown_ids_do_no_harm(store, stored, read_all):
    store.write(Changes(add=[stored(id_) for id_ in range(1, 6)]))
    written = store.write(Changes(remove=[2, 4, 99]))
    assert [event.id for event in read_all(store)] == [1, 3, 5]
    assert written.totals == store.load().totals == Totals(events=3, bytes=300)


def test_clearing_removes_all_events_before_the_new_ones_come(store, stored, session, letter, read_all):
    store.write(Changes(add=[stored(id_) for id_ in range(1, 6)], add_dead=[letter(9)], session=session(5)))
    store.write(Changes(clear=True, add=[stored(6)]))
    assert read_all(store) == [stored(6)]
    assert store.load().totals == Totals(events=1, bytes=100, dead_letters=1)
    assert store.load().session == session(5)


def test_the_next_id_is_higher_than_every_events_and_dead_letters(store, stored, letter):
    store.write(Changes(add=[stored(5)], add_dead=[letter(8)]))
    assert store.load().next_id == 9
    store.write(Changes(add=[stored(20)]))
    assert store.load().next_id == 21


def test_dead_letters_are_listed_as_they_died_and_removed_one_by_one(open_store, letter):
    store = open_store()
    store.write(Changes(add_dead=[letter(1, died=30.0), letter(2, died=10.0, problem="400"), letter(3, died=20.0)]))
    store.write(Changes(remove_dead=[3]))
    store.close()
    reopened = open_store()
    assert reopened.dead_letters() == [letter(2, died=10.0, problem="400"), letter(1, died=30.0)]
    assert reopened.load().totals == Totals(dead_letters=2)


def test_an_event_becomes_a_dead_letter_in_one_write(store, stored, letter, read_all):
    store.write(Changes(add=[stored(1), stored(2)]))
    store.write(Changes(remove=[1], add_dead=[letter(1)]))
    assert (read_all(store), store.dead_letters()) == ([stored(2)], [letter(1)])


def test_the_dead_letters_that_died_first_make_room_and_are_counted(store, letter):
    first = [letter(id_, died=float(id_)) for id_ in range(1, MAX_DEAD_LETTERS + 1)]
    assert store.write(Changes(add_dead=first)).dead_letters_dropped == {}
    written = store.write(Changes(add_dead=[letter(id_, died=2000.0 + id_) for id_ in range(2001, 2004)]))
    assert (written.dead_letters_dropped, written.totals.dead_letters) == ({"MESSAGE_CREATE": 3}, MAX_DEAD_LETTERS)
    kept = [one.id for one in store.dead_letters()]
    assert (kept[0], kept[-3:], len(kept)) == (4, [2001, 2002, 2003], MAX_DEAD_LETTERS)


def test_the_files_are_for_their_owner_alone_whatever_the_umask(path, open_store, stored):
    before = os.umask(0)
    try:
        store = open_store()
        store.write(Changes(add=[stored(1)]))
    finally:
        os.umask(before)
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {path.name, f"{path.name}-wal"}
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]


def test_deleting_leaves_nothing_behind(path, store, stored):
    store.write(Changes(add=[stored(1)]))
    store.delete()
    assert list(path.parent.iterdir()) == []


def test_a_closed_store_says_so_and_may_be_closed_again(store, stored):
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.write(Changes(add=[stored(1)]))


def test_a_mistake_of_the_caller_changes_nothing_and_the_store_goes_on(path, store, stored, session, read_all):
    wrong = stored(2)
    wrong.received_wall = None
    with pytest.raises(StoreError, match="received_wall"):
        store.write(Changes(add=[stored(1), wrong], session=session()))
    store.write(Changes(add=[stored(3)]))
    assert read_all(store) == [stored(3)]
    assert store.load().session is None
    assert not list(path.parent.glob("*.unreadable*"))


def test_a_directory_that_is_not_there_is_an_error_and_no_crash_of_another_kind(tmp_path):
    with pytest.raises(StoreError, match="cannot be opened"):
        ShardStore.open(store_path(tmp_path / "missing", 1), shard_id=1, max_bytes=2**20)
