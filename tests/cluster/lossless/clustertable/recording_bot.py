"""The bot in the cluster: takes every event, and tells what it took, in order of arrival.

It runs in a pod, from the project's image, and knows nothing of the tests but their two paths: `POST /` takes an event,
`GET /arrivals?since=N` answers all from the N-th on as a JSON array of [key, guild id or null, fingerprint or ""].
"""

import asyncio
import signal

import msgspec
from aiohttp import web

PORT = 8080
GUILD_ITSELF = frozenset({"GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE"})


class D(msgspec.Struct):
    guild_id: str | None = None
    id: object = None


class Data(msgspec.Struct):
    t: str
    d: D


class Body(msgspec.Struct):
    data: Data


decode = msgspec.json.Decoder(Body).decode
encode = msgspec.json.Encoder().encode


def guild_of(data: Data) -> str | None:
    return str(data.d.id) if data.t in GUILD_ITSELF else data.d.guild_id


def make_app() -> web.Application:
    arrivals: list[tuple[str, str | None, str]] = []

    async def take(request: web.Request) -> web.Response:
        data = decode(await request.read()).data
        arrivals.append(
            (request.headers["Idempotency-Key"], guild_of(data), request.headers.get("X-Gateway-Event", ""))
        )
        return web.Response(status=204)

    async def tell(request: web.Request) -> web.Response:
        since = int(request.query.get("since", "0"))
        return web.Response(body=encode(arrivals[since:]), content_type="application/json")

    async def count(_request: web.Request) -> web.Response:
        return web.json_response({"arrivals": len(arrivals), "keys": len({key for key, _, _ in arrivals})})

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/", take)
    app.router.add_get("/arrivals", tell)
    app.router.add_get("/summary", count)
    return app


async def main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(make_app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=PORT).start()
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
