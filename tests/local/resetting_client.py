"""Not a test: a worker of two shards in a process of its own, which resumes at once whatever happens to it."""

import asyncio
import ssl
import sys
from random import Random

import uvloop

from shardpod.protocol import SessionSettings
from shardpod.transport import PicowsConnector
from shardpod.worker import Granted, Worker, WorkerSettings


class NoPatience(Random):
    """Always the shortest wait."""

    def uniform(self, a, b):
        return min(a, b)


class Permits:
    async def ask(self, shard_id, *, ready):
        return Granted(1, 60.0)

    def identify_sent(self, shard_id, permit): ...


class Sink:
    def submit(self, batch, done):
        done(batch, None)

    async def close(self): ...


async def main(url, token, ca_file):
    tls = ssl.create_default_context(cafile=ca_file)
    session = SessionSettings(token=token, gateway_url=url, compression="none", intents=53608447)
    worker = Worker(
        WorkerSettings(shard_ids=(0, 1), shard_count=2, session=session),
        connector=PicowsConnector(tls),
        permits=Permits(),
        sink=Sink(),
        random=NoPatience(),
    )
    await worker.start()
    await asyncio.Event().wait()


uvloop.run(main(*sys.argv[1:]))
