"""Keeps on disk what a crash must not take: checkpoints, and the events that have waited for some time.

Twice a second, in a thread of its own, so that a slow disk never holds up an event. When the disk is full, events wait
in memory alone and checkpoints stay behind them: nothing is lost unless the process dies as well, and then Discord
replays what it can.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import structlog

from shardpod.delivery import Outstanding
from shardpod.protocol import Event
from shardpod.spool import (
    DeadLetter,
    ShardStore,
    StoredEvent,
    StoredSession,
    StoreError,
    StoreReplacedError,
    store_path,
)

from .shard_file import SPOOL_AFTER, ShardFile, Writing

FLUSH_INTERVAL = 0.5
"""Seconds between two looks at what is to be written."""
_CHUNK = 2_000
"""Events read from a store at a time."""
_LOCK_TIMEOUT = 30.0
"""Seconds for another process of this instance to end and let go of its files: it has lost its supervisor."""
_FILE_BYTES = 4 * 1024 * 1024
"""What a shard's file may hold beside the spool: checkpoint and guilds. Pages add up to a quarter to payloads."""

logger = structlog.get_logger("spool")

_Result = TypeVar("_Result")

Sessions = Callable[[int], StoredSession]
"""What to store of a shard's session at this moment; its `seq` is filled in."""


class Spooler:
    """The files of a worker's shards. `max_bytes` bounds the payloads that are on disk, over all shards.

    `letters_dropped`: how many dead letters had to make room for newer ones, by event type, is counted there.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        session_of: Sessions,
        letters_dropped: MutableMapping[str, int],
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.problem: str | None = None
        self.files: dict[int, ShardFile] = {}
        self._directory = directory
        self._max_bytes = max_bytes
        self._session_of = session_of
        self._letters_dropped = letters_dropped
        self._now = now
        self._wall = wall
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._writing = asyncio.Lock()
        self._closing = asyncio.Event()
        self._closed = False
        self._flushing: set[asyncio.Task[bool]] = set()
        self._complained = False
        self._running: asyncio.Task[None] | None = None

    async def open(self, shard_id: int) -> tuple[StoredSession | None, list[Event]]:
        """Open the shard's file, or make it: its checkpoint, and what of its queue was spooled, in order."""
        session, stored, file = await self._in_thread(self._open, shard_id)
        self.files[shard_id] = file
        now, wall = self._now(), self._wall()
        events = []
        for one in stored:
            event = one.event
            event.spool_id = one.id
            event.received_at = now - max(0.0, wall - one.received_wall)
            if one.id:
                file.restored(event)
            events.append(event)
        return session, events

    def _open(self, shard_id: int) -> tuple[StoredSession | None, list[StoredEvent], ShardFile]:
        file_bytes = self._max_bytes + self._max_bytes // 4 + _FILE_BYTES
        store = ShardStore.open(
            store_path(self._directory, shard_id), shard_id=shard_id, max_bytes=file_bytes, busy_timeout=_LOCK_TIMEOUT
        )
        restored = store.load()
        events: list[StoredEvent] = []
        try:
            while part := store.events(events[-1].id if events else -1, _CHUNK):
                events += part
        except StoreReplacedError:
            # What could be read is kept, in memory for now; the store that took its place knows of nothing.
            restored = store.load()
            for one in events:
                one.id = 0
        return (
            restored.session,
            events,
            ShardFile(store, next_id=restored.next_id, dead_letters=restored.totals.dead_letters),
        )

    def settled(self, event: Event) -> None:
        """A spooled event has left the queue."""
        file = self.files.get(event.shard_id)
        if file is not None:
            file.settled(event)

    def bury(self, event: Event, problem: str, attempts: int) -> bool:
        """Keep an event as a dead letter; false if it cannot be, as its shard is another pod's by now."""
        file = self.files.get(event.shard_id)
        if file is None:
            return False
        wall = self._wall()
        received_wall = wall - (self._now() - event.received_at)
        file.bury(DeadLetter(0, event, received_wall, attempts, problem, wall))
        return True

    async def run(self, shards: Callable[[], Iterable[Outstanding]]) -> None:
        """Write what is due, until `stop`. Not to be cancelled, which might forget what was just written."""
        while not self._closing.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_INTERVAL):
                    await self._closing.wait()
            try:
                await self.flush(shards())
            except Exception:
                logger.exception("the spool could not be written, it is tried again")

    async def flush(self, shards: Iterable[Outstanding], *, everything: bool = False) -> bool:
        """Write what has waited long enough, or `everything`; false if some of it could not be written.

        A caller may be cancelled; the writing goes on, or nobody would know what of it is on disk.
        """
        flushing = asyncio.get_running_loop().create_task(self._flush(shards, everything=everything))
        self._flushing.add(flushing)
        flushing.add_done_callback(self._flushing.discard)
        return await asyncio.shield(flushing)

    async def _flush(self, shards: Iterable[Outstanding], *, everything: bool) -> bool:
        async with self._writing:
            now = self._now()
            before = now if everything else now - SPOOL_AFTER
            complete = True
            for shard in shards:
                file = self.files.get(shard.shard_id)
                if file is None:
                    continue
                if file.was_replaced:
                    file.lost(None, shard)
                complete &= await self._write(file, shard, before)
                complete &= not (self._max_bytes and shard.unspooled(before))
            self._tell(full=not complete)
            return complete

    async def _write(self, file: ShardFile, shard: Outstanding, before: float) -> bool:
        """One transaction. Where the disk is full a smaller one: a checkpoint, and what makes room, find place last."""
        room = self._max_bytes - sum(other.spooled_bytes for other in self.files.values())
        for received_before, letters in ((before, True), (-math.inf, True), (-math.inf, False)):
            writing = file.gather(
                shard,
                self._session_of(shard.shard_id),
                received_before=received_before,
                now=self._now(),
                wall=self._wall(),
                room=room,
                letters=letters,
            )
            if writing is None or await self._try_to_write(file, shard, writing):
                return received_before == before and letters
        return False

    async def _try_to_write(self, file: ShardFile, shard: Outstanding, writing: Writing) -> bool:
        try:
            written = await self._in_thread(file.store.write, writing.changes)
        except StoreReplacedError as error:
            self.problem = str(error)
            file.lost(writing, shard)
            return False
        except StoreError as error:
            self.problem = str(error)
            file.failed(writing)
            return False
        file.written(writing, shard, written.totals)
        if written.dead_letters_dropped:
            for event_type, number in written.dead_letters_dropped.items():
                self._letters_dropped[event_type] = self._letters_dropped.get(event_type, 0) + number
            logger.error(
                "the oldest dead letters made room", shard=shard.shard_id, dropped=written.dead_letters_dropped
            )
        return True

    def _tell(self, *, full: bool) -> None:
        if full and not self._complained:
            self.problem = self.problem or f"it holds all that spool.maxBytes allows ({self._max_bytes} bytes)"
            logger.error(
                "the spool takes no more: waiting events are in memory alone, and would be lost with the pod",
                problem=self.problem,
                directory=str(self._directory),
            )
        if not full and self._complained:
            logger.info("the spool takes events again")
        if not full:
            self.problem = None
        self._complained = full

    async def dead_letters(self) -> list[DeadLetter]:
        """All dead letters of these shards that are on disk."""
        async with self._writing:
            return await self._dead_letters()

    async def letter_keys(self) -> set[str]:
        """The keys of all dead letters that are kept, be they on disk yet or not."""
        async with self._writing:
            found = await self._dead_letters()
            # Under the lock no transaction is under way: what is not on disk is all here.
            found += [letter for file in self.files.values() for letter in file.unwritten_letters]
        return {letter.event.key for letter in found}

    def has_unwritten_letters(self, shard_id: int) -> bool:
        file = self.files.get(shard_id)
        return file is not None and bool(file.unwritten_letters)

    async def _dead_letters(self) -> list[DeadLetter]:
        found: list[DeadLetter] = []
        for file in tuple(self.files.values()):  # the next shard may open its own meanwhile
            try:
                found += await self._in_thread(file.store.dead_letters)
            except StoreReplacedError as error:
                self.problem = str(error)
                file.was_replaced = True
        return found

    async def delete(self, shard_id: int) -> None:
        """The shard is another pod's: nothing of it stays."""
        # Under the lock: others walk through all files, and wait for the disk at each.
        async with self._writing:
            file = None if self._closed else self.files.pop(shard_id, None)
            if file is not None:
                await self._in_thread(file.store.delete)

    def begin(self, shards: Callable[[], Iterable[Outstanding]]) -> None:
        """Write what is due from now on, until `end`."""
        self._running = asyncio.get_running_loop().create_task(self.run(shards))

    async def end(self, shards: Iterable[Outstanding]) -> bool:
        """Write all that is left, and close; whether all of it is on disk."""
        self.stop()
        if self._running is not None:
            await self._running
        saved = await self.flush(shards, everything=True)
        await self.close()
        return saved

    def stop(self) -> None:
        """End `run`, after one last look."""
        self._closing.set()

    async def close(self) -> None:
        async with self._writing:
            if self._closed:
                return
            self._closed = True
            for file in tuple(self.files.values()):
                await self._in_thread(file.store.close)
        self._thread.shutdown(wait=False)

    @property
    def spooled(self) -> int:
        return sum(file.spooled for file in self.files.values())

    @property
    def spooled_bytes(self) -> int:
        return sum(file.spooled_bytes for file in self.files.values())

    @property
    def letters(self) -> int:
        return sum(file.dead_letters for file in self.files.values())

    async def _in_thread(self, call: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)
