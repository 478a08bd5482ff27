"""Stores and the processes that hold them: killed in the middle of writes, and two at once."""

import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from shardpod.spool import Changes, StoreLockedError

PLENTY = 64 * 1024 * 1024
KEPT = 400
WRITER = f"""
import sys
from pathlib import Path
from shardpod.protocol import Event
from shardpod.spool import Changes, DeadLetter, ShardStore, StoredEvent, StoredSession

store = ShardStore.open(Path(sys.argv[1]), shard_id=3, max_bytes={PLENTY})
restored = store.load()
seq = restored.session.seq if restored.session else 0
while True:
    # Sizes change from write to write, so that a kill falls into short and into long transactions.
    new = range(seq + 1, seq + 2 + seq * 7919 % 150)
    events = [StoredEvent(i, Event("T", i, "1", 3, "s", 0.0, b"x" * (i * 31 % 3000)), 1.0) for i in new]
    seq = new[-1]
    store.write(Changes(
        add=events,
        remove=range(max(1, new[0] - 1 - {KEPT}), seq - {KEPT} + 1),
        session=StoredSession("s", "wss://r", seq, 16, "i", b"g" * (seq % 20_000)),
        add_dead=[DeadLetter(seq, events[-1].event, 1.0, 1, "p", float(seq))],
        remove_dead=[seq - len(new)],
    ))
    print(seq, flush=True)
"""
HOLDER = f"""
import sys
from pathlib import Path
from shardpod.spool import ShardStore
store = ShardStore.open(Path(sys.argv[1]), shard_id=3, max_bytes={PLENTY})
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def child(script, path):
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_whatever_moment_a_process_is_killed_at_every_transaction_is_whole(path, open_store, read_all):
    told = 0
    for killed_after in (1, 2, 5, 23, 60):
        with child(WRITER, path) as writer:
            for _ in range(killed_after):
                told = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            told = max([told, *(int(line) for line in writer.stdout if line.endswith("\n"))])
            assert writer.wait() == -signal.SIGKILL
        store = open_store()
        restored = store.load()
        seq = restored.session.seq
        events = read_all(store, 100)
        assert seq >= told, "a write that had returned was lost"
        assert restored.set_aside is None
        assert [one.id for one in events] == list(range(max(1, seq - KEPT + 1), seq + 1))
        assert len(restored.session.guilds) == seq % 20_000
        assert [one.id for one in store.dead_letters()] == [seq]
        assert restored.totals.bytes == sum(len(one.event.raw) for one in events)
        assert (restored.totals.events, restored.totals.dead_letters) == (len(events), 1)
        store.close()
        with sqlite3.connect(path) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        database.close()


def test_a_second_process_does_not_get_in(path, store, stored):
    store.write(Changes(add=[stored(1)]))
    script = HOLDER.replace("max_bytes", "busy_timeout=0.05, max_bytes")
    refused = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert "StoreLockedError" in refused.stderr
    assert "in use by another process" in refused.stderr
    assert store.write(Changes(add=[stored(2)])).totals.events == 2


def is_locked_out(path):
    look = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM events')"
    looked = subprocess.run([sys.executable, "-c", look, str(path)], capture_output=True, text=True, check=False)
    return "database is locked" in looked.stderr


def test_nobody_gets_in_who_only_looks(path, open_store, stored):
    store = open_store()
    assert is_locked_out(path)
    store.write(Changes(add=[stored(id_, size=3000) for id_ in range(1000)]))
    store.write(Changes(clear=True))
    assert is_locked_out(path)
    store.close()
    store = open_store()
    assert is_locked_out(path)
    store.close()
    assert not is_locked_out(path)


def test_a_second_store_of_the_same_process_is_kept_out_and_does_not_end_the_first_ones_lock(path, open_store, stored):
    first = open_store()
    # A process loses its locks on a file when it closes any descriptor of it.
    for _ in range(2):
        with pytest.raises(StoreLockedError):
            open_store(busy_timeout=0.01)
    assert is_locked_out(path)
    assert first.write(Changes(add=[stored(1)])).totals.events == 1


def test_a_file_that_another_process_holds_is_refused_after_the_timeout_and_left_alone(path, open_store):
    with child(HOLDER, path) as holder:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreLockedError, match="in use by another process"):
            open_store(busy_timeout=0.05)
    assert not list(path.parent.glob("*.unreadable*"))


@pytest.mark.parametrize("ending", ["killed", "closed"])
def test_an_opening_waits_for_the_other_process_to_end(path, open_store, stored, ending):
    with child(HOLDER, path) as holder:
        assert holder.stdout.readline() == "open\n"
        leave = holder.kill if ending == "killed" else holder.stdin.close
        timer = threading.Timer(0.2, leave)
        timer.start()
        store = open_store(busy_timeout=60.0)
        timer.join()
        assert store.write(Changes(add=[stored(1)])).totals.events == 1
