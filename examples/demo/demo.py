"""`make demo`: the whole way on this machine, with a fault or two, and at the end the account of every event.

A simulated Discord numbers its events, two shard pods hold four shards, and a small bot writes down what it gets. The
bot is killed in the middle of a request and comes back five seconds later; a shard loses its connection; a pod is
killed; then all pods are replaced, one after the other. At the end what was sent is held against what arrived. Exit
status 1 if anything was lost or doubled, or if a shard had to identify again.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from programs import GUILDS, HERE, Bot, DemoError, Gateway, wait_until
from rich.table import Table
from screen import Screen

from discord_simulator import Account, settle

SHARDS = 4
RATE, EVENTS = 400, 15_000
"""Events a second, and in all: more than half a minute of a busy bot."""
KILL_BOT_AT, DROP_SHARD_AT, KILL_POD_AT, RESTART_AT = 6.0, 14.0, 16.0, 21.0
"""Seconds after the first event."""
BOT_AWAY_FOR = 5.0
DROPPED_SHARD = f"1/{SHARDS}"
POLL = 0.25


def manifest_for(bot: Bot, directory: Path) -> Path:
    """The manifest beside this file, with the bot's port of today."""
    text = (HERE / "gateway.yaml").read_text()
    path = directory / "gateway.yaml"
    path.write_text(text.replace("http://127.0.0.1:8080/", f"http://127.0.0.1:{bot.port}/"))
    return path


class Demo:
    def __init__(self, gateway: Gateway, bot: Bot, screen: Screen) -> None:
        self.gateway = gateway
        self.bot = bot
        self.screen = screen

    def run(self) -> Account:
        self.screen.step(f"starting a simulated Discord with {GUILDS} guilds, the operator, two pods and a bot")
        self.bot.start()
        self.gateway.start()
        self.watch_until(self.all_shards_ready, f"{SHARDS} shards", within=40)
        self.screen.step(f"all {SHARDS} shards are connected; events flow at {RATE} a second")
        self.gateway.simulator("/load", {"rate": RATE, "events": EVENTS})
        started = time.monotonic()

        def at(seconds: float) -> Callable[[], bool]:
            return lambda: time.monotonic() - started >= seconds

        self.watch_until(at(KILL_BOT_AT), "the time", within=60)
        self.bot.kill_in_mid_request(self.something_queued)
        self.screen.step("the bot is killed by -9 in the middle of a request: the pods hold its events")
        killed = time.monotonic()
        self.watch_until(lambda: time.monotonic() - killed >= BOT_AWAY_FOR, "the time", within=60)
        self.bot.start()
        self.screen.step("the bot is started again: the queue drains, in order")
        self.watch_until(at(DROP_SHARD_AT), "the time", within=60)
        self.gateway.simulator(f"/sessions/{DROPPED_SHARD}/kill", {"how": "tcp-reset"})
        self.screen.step("shard 1 loses its connection: it resumes, and Discord replays what it missed")
        self.watch_until(at(KILL_POD_AT), "the time", within=60)
        pod = self.gateway.kill_a_pod()
        self.screen.step(f"pod {pod} is killed by -9: it starts again, and resumes from its checkpoints")
        self.watch_until(at(RESTART_AT), "the time", within=60)
        self.watch_until(self.all_shards_ready, f"{SHARDS} shards", within=40)
        self.screen.step("discord-gateway restart: each pod hands its sessions to a new one, then the next")
        restart = self.gateway.restart()
        self.watch_until(lambda: restart.poll() is not None, "new pods", within=60)
        self.screen.step("both pods are new")
        self.watch_until(self.load_is_done, "the last event", within=60)
        self.screen.step("the last event is sent")
        self.watch_until(lambda: not self.account().lost, "all events at the bot", within=15, or_go_on=True)
        return self.account()

    def watch_until(self, condition: Callable[[], bool], what: str, *, within: float, or_go_on: bool = False) -> None:
        """Show what happens until the condition holds."""

        def shown_and_true() -> bool:
            self.look()
            return condition()

        try:
            wait_until(shown_and_true, what, within=within)
        except DemoError:
            if not or_go_on:
                raise

    def look(self) -> None:
        view = self.screen.view
        status = self.gateway.status()
        if status is not None:
            view.status = status
            view.note_longest_queue()
            view.sent = self.gateway.simulator("/ledger/summary")["sent"]
        view.noted = self.bot.journal.read_bytes().count(b"\n")
        view.bot_up = self.bot.up
        self.screen.refresh()
        time.sleep(POLL)

    def all_shards_ready(self) -> bool:
        return bool(self.screen.view.status.get("readyShards") == SHARDS)

    def load_is_done(self) -> bool:
        return bool(self.gateway.simulator("/load")["done"])

    def something_queued(self) -> bool:
        self.look()
        return self.screen.view.queued > 0

    def account(self) -> Account:
        return settle(self.gateway.simulator("/ledger")["events"], self.bot.deliveries())


def account_table(account: Account, screen: Screen, identifies: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(), table.add_column(justify="right"), table.add_column()
    for name, value, note in (
        ("sent", account.sent, "events that Discord sent to the shards"),
        ("delivered", account.delivered, "of them, acknowledged by the bot"),
        ("lost", len(account.lost), ""),
        ("doubled", len(account.doubled), "delivered again under another key"),
        ("out of order", len(account.order_violations), "inside a guild"),
        ("repeated", len(account.repeated), "delivered again under the same key, after a kill -9"),
        ("identifies", identifies, "one a shard, at the start; everything since was resumed"),
        ("longest queue", screen.view.longest_queue, "events in one pod, while the bot was away"),
    ):
        table.add_row(f"  {name}", f"{value:,}", note)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, help="write what was shown at the end as an SVG")
    arguments = parser.parse_args()
    screen = Screen()
    with tempfile.TemporaryDirectory(prefix="dgw-demo-") as name:
        directory = Path(name)
        bot = Bot(directory)
        gateway = Gateway(directory, manifest_for(bot, directory))
        try:
            with screen.shown():
                account = Demo(gateway, bot, screen).run()
            identifies = gateway.simulator("/ledger/summary")["identifies"]
        except DemoError as error:
            print(f"demo: {error}\n\n{gateway.log.read_text()}", file=sys.stderr)
            return 1
        finally:
            gateway.end()
            bot.end()
    table = account_table(account, screen, identifies)
    screen.console.print("", table, "")
    if arguments.picture is not None:
        screen.save(arguments.picture, table)
    faults = account.lost or account.doubled or account.order_violations or account.unknown
    return 1 if faults or account.sent < EVENTS or identifies != SHARDS else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
