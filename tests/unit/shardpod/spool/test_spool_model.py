"""Any sequence of changes leaves a store with what two dictionaries would hold."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from shardpod.protocol import Event
from shardpod.spool import Changes, DeadLetter, ShardStore, StoredEvent, StoredSession, Totals

IDS = st.integers(0, 30)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=5)
# Now and then larger than a page, so that pages chain, free up and are used again.
PAYLOADS = st.builds(
    lambda size, byte: bytes([byte]) * size, st.sampled_from([0, 1, 700, 9000, 40_000]), st.integers(0, 255)
)
WALL = st.floats(allow_nan=False, allow_infinity=False)
EVENTS = st.builds(Event, TEXTS, st.integers(0, 2**53), st.none() | TEXTS, st.just(3), TEXTS, st.just(0.0), PAYLOADS)
STORED = st.builds(StoredEvent, IDS, EVENTS, WALL, st.integers(0, 20))
LETTERS = st.builds(DeadLetter, IDS, EVENTS, WALL, st.integers(0, 20), TEXTS, WALL)
SESSIONS = st.builds(
    StoredSession,
    st.none() | TEXTS,
    TEXTS,
    st.integers(0, 2**53),
    st.integers(1, 2**15),
    TEXTS,
    PAYLOADS,
    st.none() | TEXTS,
    st.booleans(),
)
CHANGES = st.builds(
    Changes,
    add=st.lists(STORED, max_size=12),
    remove=st.sets(IDS, max_size=12),
    clear=st.booleans(),
    session=st.none() | SESSIONS,
    add_dead=st.lists(LETTERS, max_size=4),
    remove_dead=st.lists(IDS, max_size=4),
)


class Model:
    def __init__(self):
        self.session = None
        self.events = {}
        self.dead = {}

    def write(self, changes):
        gone = set(self.events) if changes.clear else changes.remove
        self.events = {id_: one for id_, one in self.events.items() if id_ not in gone}
        self.dead = {id_: one for id_, one in self.dead.items() if id_ not in changes.remove_dead}
        self.session = changes.session or self.session
        self.dead |= {one.id: one for one in changes.add_dead}
        self.events |= {one.id: one for one in changes.add}

    @property
    def totals(self):
        size = sum(len(one.event.raw) for one in self.events.values())
        return Totals(len(self.events), size, len(self.dead))


def check(store, model, written):
    assert written == model.totals
    restored = store.load()
    assert (restored.session, restored.totals) == (model.session, model.totals)
    assert restored.next_id == max([0, *model.events, *model.dead]) + 1
    assert store.events(-1, 100) == [model.events[id_] for id_ in sorted(model.events)]
    assert store.dead_letters() == sorted(model.dead.values(), key=lambda one: (one.died_wall, one.id))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CHANGES, st.booleans()), min_size=1, max_size=12))
def test_a_store_is_what_plain_dictionaries_would_be(steps):
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shard-3.db"
        store = ShardStore.open(path, shard_id=3, max_bytes=64 * 2**20)
        for changes, reopen in steps:
            model.write(changes)
            written = store.write(changes).totals
            if reopen:
                store.close()
                store = ShardStore.open(path, shard_id=3, max_bytes=64 * 2**20)
            check(store, model, written)
        store.delete()
        assert not list(Path(folder).iterdir())
