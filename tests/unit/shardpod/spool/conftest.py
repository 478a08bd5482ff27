"""Stores in a directory of their own, and what goes into them."""

import pytest

from shardpod.protocol import Event
from shardpod.spool import DeadLetter, ShardStore, StoredEvent, StoredSession, store_path

SHARD_ID = 3
PLENTY = 64 * 1024 * 1024


@pytest.fixture
def path(tmp_path):
    return store_path(tmp_path, SHARD_ID)


@pytest.fixture
def open_store(path):
    """Opens the store of `path`; what is open at the end is closed."""
    stores = []

    def open_it(**settings):
        store = ShardStore.open(path, shard_id=SHARD_ID, **{"max_bytes": PLENTY, **settings})
        stores.append(store)
        return store

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store):
    return open_store()


@pytest.fixture(scope="session")
def stored():
    def make(id_, *, size=100, attempts=0, guild="100", session="s", type_="MESSAGE_CREATE"):
        raw = (b"%d " % id_).ljust(size, b"x")
        return StoredEvent(id_, Event(type_, id_, guild, SHARD_ID, session, 0.0, raw), 1000.5 + id_, attempts)

    return make


@pytest.fixture(scope="session")
def letter(stored):
    def make(id_, *, died=0.0, problem="it answers 500", size=100):
        event = stored(id_, size=size)
        return DeadLetter(id_, event.event, event.received_wall, 10, problem, died)

    return make


@pytest.fixture(scope="session")
def session():
    def make(seq=7, **changes):
        fields = {
            "session_id": "a" * 32,
            "resume_gateway_url": "wss://resume.example",
            "seq": seq,
            "shard_count": 16,
            "identity": "token and intents",
            "guilds": b"\x00guilds\xff",
        }
        return StoredSession(**{**fields, **changes})

    return make


@pytest.fixture(scope="session")
def read_all():
    """Every event, read in parts."""

    def read(store, limit=7):
        events = []
        while part := store.events(events[-1].id if events else -1, limit):
            events += part
        return events

    return read
