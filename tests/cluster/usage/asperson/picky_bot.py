"""A bot with a bug: of the messages it does not take the first three, however often they come, until it is mended.

It runs in a pod, from the project's image: `POST /` takes an event, `GET /mend` mends it, and `GET /told` answers which
keys it took and which it refused, in order.
"""

import json

from aiohttp import web

REFUSED = 3


def make_app() -> web.Application:
    taken: list[str] = []
    refused: list[str] = []
    mended = False

    async def take(request: web.Request) -> web.Response:
        key, kind = request.headers["Idempotency-Key"], json.loads(await request.read())["data"]["t"]
        if kind == "MESSAGE_CREATE" and key not in refused and len(refused) < REFUSED:
            refused.append(key)
        if key in refused and not mended:
            return web.Response(status=422, text="a message without a sense")
        taken.append(key)
        return web.Response(status=204)

    async def mend(_request: web.Request) -> web.Response:
        nonlocal mended
        mended = True
        return web.json_response({})

    async def tell(_request: web.Request) -> web.Response:
        return web.json_response({"taken": taken, "refused": refused})

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/", take)
    app.router.add_get("/mend", mend)
    app.router.add_get("/told", tell)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), port=8080, access_log=None)
