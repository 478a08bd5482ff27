"""A small bot: takes events by HTTP, does its "work" (writes them down), and acknowledges with 204.

It notes each event before it acknowledges, as a bot that must not lose anything would. Killed in between, it gets
the event again after its restart, with the same Idempotency-Key: that is how a bot tells a repetition from news. This
one only writes the key down; a real one would look it up first.
"""

import argparse
import os
from pathlib import Path

from aiohttp import web


def make_app(journal: int) -> web.Application:
    async def take(request: web.Request) -> web.Response:
        event = (await request.json())["data"]
        d = event["d"]
        guild_id = d["id"] if event["t"] in ("GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE") else d.get("guild_id")
        # Only the simulator numbers its events, so that they can be counted.
        number = d.get("event_number", 0)
        line = f"{number} {request.headers['Idempotency-Key']} {guild_id or '-'} {event['t']}\n"
        os.write(journal, line.encode())  # one write to an O_APPEND file survives kill -9 whole, or not at all
        return web.Response(status=204)

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/", take)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--journal", type=Path, default=Path("journal"), help="file that every event is appended to")
    arguments = parser.parse_args()
    journal = os.open(arguments.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    web.run_app(make_app(journal), host="127.0.0.1", port=arguments.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
