"""A small bot for the quick start: takes events by HTTP, counts them, and prints the counts every few seconds.

It runs from the project's image, so that nothing else has to be built. It also notes when a key comes a second time:
with a bot and shard pods that are never killed, none does.
"""

import asyncio
import signal
import time
from collections import Counter, OrderedDict

from aiohttp import web

PORT = 8080
PRINT_EVERY = 5.0
"""Seconds."""
KEYS_REMEMBERED = 100_000
"""A repetition comes soon after its first; a bot that has to be sure keeps its keys where a restart leaves them."""


class Counts:
    """What has come, by type; and how many of it for the second time."""

    def __init__(self) -> None:
        self.by_type: Counter[str] = Counter()
        self.shards: set[int] = set()
        self.repeated = 0
        self._keys: OrderedDict[str, None] = OrderedDict()

    def note(self, shard: int, event_type: str, key: str) -> None:
        if key in self._keys:
            self.repeated += 1
            return
        self._keys[key] = None
        if len(self._keys) > KEYS_REMEMBERED:
            self._keys.popitem(last=False)
        self.shards.add(shard)
        self.by_type[event_type] += 1

    def line(self) -> str:
        often = ", ".join(f"{count:,} {name}" for name, count in self.by_type.most_common(3))
        total = f"{self.by_type.total():,} events of {len(self.shards)} shards, {self.repeated} of them twice"
        return f"{total}: {often or 'none yet'}"


def make_app(counts: Counts) -> web.Application:
    async def take(request: web.Request) -> web.Response:
        body = await request.json()
        counts.note(body["shardId"], body["data"]["t"], request.headers["Idempotency-Key"])
        return web.Response(status=204)

    async def healthy(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    app = web.Application(client_max_size=64 * 1024 * 1024)  # a large guild's GUILD_CREATE has megabytes
    app.router.add_post("/", take)
    app.router.add_get("/healthz", healthy)
    return app


async def main() -> None:
    counts, stop = Counts(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(make_app(counts), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=PORT).start()
    while not stop.is_set():
        print(time.strftime("%H:%M:%S"), counts.line(), flush=True)
        try:
            await asyncio.wait_for(stop.wait(), PRINT_EVERY)
        except TimeoutError:
            continue
    await runner.cleanup()  # requests that are here are answered first


if __name__ == "__main__":
    asyncio.run(main())
