"""A pod's scratch directory: shards' stores that outlive its processes."""

import asyncio
from pathlib import Path

import msgspec

from shardpod.protocol import Event
from shardpod.spool import Changes, DeadLetter, StoredEvent, StoredSession
from shardpod.spool.records import Restored, Totals, Written
from shardpod.worker.shard_file import ShardFile
from shardpod.worker.spooler import Spooler

WRITING = 0.003


class Store:
    """As `shardpod.spool.ShardStore`."""

    def __init__(self, disk: dict[int, "Store"], shard_id: int) -> None:
        self._disk = disk
        self._shard_id = shard_id
        self._events: dict[int, StoredEvent] = {}
        self._dead: dict[int, DeadLetter] = {}
        self.session: StoredSession | None = None
        self._last_id = 0

    @property
    def holds_something(self) -> bool:
        return bool(self._events or self._dead or (self.session is not None and self.session.session_id))

    def load(self) -> Restored:
        return Restored(self.session, self._totals(), self._last_id + 1)

    def events(self, after_id: int = -1, limit: int = 1000) -> list[StoredEvent]:
        ids = sorted(one for one in self._events if one > after_id)[:limit]
        return [StoredEvent(one, _read_back(self._events[one].event), self._events[one].received_wall) for one in ids]

    def write(self, changes: Changes) -> Written:
        if changes.clear:
            self._events.clear()
        for one in changes.remove:
            self._events.pop(one, None)
        for one in changes.remove_dead:
            self._dead.pop(one, None)
        if changes.session is not None:
            self.session = changes.session
        self._dead.update({one.id: one for one in changes.add_dead})
        self._events.update(
            {one.id: StoredEvent(one.id, msgspec.structs.replace(one.event), one.received_wall) for one in changes.add}
        )
        self._last_id = max([self._last_id, *self._events, *self._dead])
        return Written(self._totals())

    def dead_letters(self) -> list[DeadLetter]:
        return list(self._dead.values())

    def close(self) -> None:
        pass

    def delete(self) -> None:
        self._disk.pop(self._shard_id, None)

    def _totals(self) -> Totals:
        return Totals(len(self._events), sum(len(one.event.raw) for one in self._events.values()), len(self._dead))


def _read_back(event: Event) -> Event:
    """What the database has columns for."""
    return Event(event.type, event.seq, event.guild_id, event.shard_id, event.session_id, 0.0, event.raw)


class DiskSpooler(Spooler):
    """The spooler of production on such a disk. `disks` by the path of the scratch directory."""

    disks: dict[str, dict[int, Store]] = {}  # noqa: RUF012 -- one world at a time in a process

    def __init__(self, directory: Path, **arguments) -> None:
        super().__init__(directory, **arguments)
        self._thread.shutdown(wait=False)
        self._disk = self.disks.setdefault(str(directory), {})

    def _open(self, shard_id: int) -> tuple[StoredSession | None, list[StoredEvent], ShardFile]:
        store = self._disk.setdefault(shard_id, Store(self._disk, shard_id))
        restored = store.load()
        return restored.session, store.events(limit=10**6), ShardFile(store, next_id=restored.next_id, dead_letters=0)

    async def _in_thread(self, call, *arguments):
        """As in a thread of its own: the event loop goes on meanwhile."""
        await asyncio.sleep(WRITING)
        return call(*arguments)
