"""A worker of a few lines for its supervisor's tests. Arguments: where it writes what it hears, how it behaves, its fd.

It answers as a worker does, and holds no connections. Files in its directory change what it does while it runs: `begin`
lets a slow one begin, `give` (how many events remain) releases its shards as soon as others may take them.
"""

import asyncio
import os
import socket
import sys
from pathlib import Path

from shardpod.protocol import ShardState
from shardpod.worker import ShardReport, WorkerReport
from shardpod.worker.link import Link
from shardpod.worker.messages import (
    AskPeer,
    AskPermit,
    Begin,
    DeadLetters,
    DeadLetterView,
    Failed,
    ListDeadLetters,
    Neighbours,
    PermitUsed,
    Release,
    Released,
    Report,
    Settled,
    SettleDeadLetters,
    Stop,
    Stopped,
)

AT_THE_END = 1000


class StandIn:
    def __init__(self, directory, behaviour):
        self.directory = directory
        self.behaviour = behaviour
        self.shard_ids = ()
        self.neighbours = Neighbours()
        self.count = 0
        self.stopped = asyncio.Event()

    def note(self, text):
        with (self.directory / "heard").open("a") as file:
            file.write(f"{os.getpid()} {text}\n")

    async def run(self, end):
        self.link = await Link.over(end, self.handle)
        tasks = [asyncio.create_task(one()) for one in (self.link.run, self.report_forever, self.stopped.wait)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await self.link.end()
        for task in tasks:
            task.cancel()

    async def handle(self, message):
        answer = Failed(f"a stand-in does not take {type(message).__name__}")
        first = self.shard_ids[0] if self.shard_ids else None
        match message:
            case Begin():
                answer = await self.begin(message)
            case Neighbours():
                if not self.shard_ids:
                    return Failed("the worker has not begun yet")
                self.take(message)
                return None
            case Stop(drain_for):
                answer = await self.stop(drain_for)
            case Release(shard_id, to):
                answer = Released("s", f"wss://of-{first}/{shard_id}/{to}")
            case ListDeadLetters() if self.behaviour != "broken":
                answer = DeadLetters((DeadLetterView(f"key-{first}", first, "T", "1", "no", 3, 5.0, 10),))
            case SettleDeadLetters(keys, discard):
                self.note(f"settle {keys} {discard}")
                answer = Settled(2)
        return answer

    async def begin(self, message):
        settings = message.settings
        self.note(f"begin {settings.shard_ids} stored_only={settings.stored_only}")
        if self.behaviour == "crash":
            os._exit(3)
        if self.behaviour == "fail":
            return Failed("StoreError")
        while self.behaviour == "slow" and not (self.directory / "begin").exists():  # noqa: ASYNC110 -- files have no events
            await asyncio.sleep(0.01)
        self.shard_ids = settings.shard_ids
        self.take(message.neighbours)
        if self.behaviour == "asks":
            asyncio.get_running_loop().create_task(self.ask())
        return Report(self.report())

    def take(self, neighbours):
        self.neighbours = neighbours
        if neighbours.cut_off:
            self.note("cut off")
        peers = ",".join(one.instance for one in neighbours.takes_from)
        self.note(f"neighbours may_release={neighbours.may_release} takes_from={peers}")

    async def ask(self):
        self.note(repr(await self.link.call(AskPermit(self.shard_ids[0], True), timeout=5)))
        self.link.tell(PermitUsed(self.shard_ids[0], 7))
        self.note(repr(await self.link.call(AskPeer("127.0.0.1:1", Release(5, "me")), timeout=5)))
        self.note(repr(await self.link.call(Stop(0), timeout=5)))

    async def stop(self, drain_for):
        self.note(f"stop {drain_for}")
        if self.behaviour == "deaf":
            await asyncio.Event().wait()
        self.stopped.set()
        self.count = AT_THE_END
        return Stopped(self.report())

    async def report_forever(self):
        while True:
            if self.shard_ids and self.behaviour != "silent":
                self.link.tell(Report(self.report()))
            await asyncio.sleep(0.02)

    def report(self):
        self.count += 1
        give = self.directory / "give"
        given = self.neighbours.may_release and give.exists()
        state, backlog = (ShardState.RELEASED, int(give.read_text() or 0)) if given else (ShardState.CONNECTED, 0)
        shards = tuple(
            ShardReport(one, state, 0, 0, True, None, "s", "wss://r", 5, 4, None, None, backlog=backlog)
            for one in self.shard_ids
        )
        return WorkerReport(shards=shards, identifies=self.count, received={"T": self.count}, queued_events=1)


async def main():
    await StandIn(Path(sys.argv[1]), sys.argv[2]).run(socket.socket(fileno=int(sys.argv[3])))


asyncio.run(main())
