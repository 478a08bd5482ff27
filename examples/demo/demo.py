"""`make demo`: the whole way on this machine, with a fault or two, and at the end the account of every event.

A simulated Discord numbers its events, two shard pods hold four shards, and a small bot writes down what it gets. The
bot is killed in the middle of a request and comes back five seconds later; a shard loses its connection; a pod is
killed; all pods are replaced, one after the other; then four shards become eight, while events flow. At the end what
was sent is held against what arrived. Exit status 1 if anything was lost or doubled, or if a session was opened that
was not to be.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from programs import GUILDS, HERE, Bot, DemoError, Gateway, Order, wait_until
from resharding import Progress, owed
from rich.table import Table
from screen import Screen

from discord_simulator import Account, settle

SHARDS, NEW_SHARDS = 4, 8
RATE = 300
"""Events a second, as of a busy bot."""
AT_LEAST = 10_000
"""Events in all, or the demo has shown nothing."""
BOT_AWAY_FOR = 5.0
BETWEEN = 2.0
"""Seconds in which nothing new happens: long enough to see what came of the last thing."""
DROPPED_SHARD = f"1/{SHARDS}"
POLL = 0.1
STATUS_EVERY = 0.8
"""Seconds between two looks by `discord-gateway status`: it is a process of its own, and takes its part of a small
machine."""


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
        self._status_due = 0.0

    def run(self) -> Account:
        self.screen.step(f"starting a simulated Discord with {GUILDS} guilds, the operator, two pods and a bot")
        self.bot.start()
        self.gateway.start()
        self.watch_until(self.all_shards_ready, f"{SHARDS} shards", within=40)
        self.screen.step(f"all {SHARDS} shards are connected; events flow at {RATE} a second")
        self.gateway.simulator("/load", {"rate": RATE})
        self.watch_for(2 * BETWEEN)
        self.go_through_faults()
        self.watch_until(self.all_shards_ready, f"{SHARDS} shards", within=40)
        self.screen.step("discord-gateway restart: each pod hands its sessions to a new one, then the next")
        self.follow(self.gateway.restart(), "new pods")
        self.screen.step("both pods are new")
        self.reshard()
        self.watch_for(BETWEEN)
        self.gateway.simulator("/load", method="DELETE")
        self.screen.step("the last event is sent")
        self.watch_until(lambda: not self.account().lost, "all events at the bot", within=15, or_go_on=True)
        account = self.account()
        self.screen.view.sent = account.sent  # until now, with what the new set was told of its guilds at its start
        return account

    def go_through_faults(self) -> None:
        """The bot dies and comes back; so do a connection and a pod."""
        self.bot.kill_in_mid_request(self.something_queued)
        self.screen.step("the bot is killed by -9 in the middle of a request: the pods hold its events")
        self.watch_for(BOT_AWAY_FOR)
        self.bot.start()
        self.screen.step("the bot is started again: the queue drains, in order")
        self.watch_for(2 * BETWEEN)
        self.gateway.simulator(f"/sessions/{DROPPED_SHARD}/kill", {"how": "tcp-reset"})
        self.screen.step("shard 1 loses its connection: it resumes, and Discord replays what it missed")
        self.watch_for(BETWEEN)
        pod = self.gateway.kill_a_pod()
        self.screen.step(f"pod {pod} is killed by -9: it starts again, and resumes from its checkpoints")
        self.watch_for(2 * BETWEEN)

    def reshard(self) -> None:
        self.screen.step(f"discord-gateway reshard --to {NEW_SHARDS}: a second set of sessions opens beside the first")
        progress = Progress(NEW_SHARDS)

        def told_and_over() -> bool:
            for line in progress.lines(self.screen.view.status):
                self.screen.step(line)
            return progress.is_over

        self.follow(self.gateway.reshard(NEW_SHARDS), f"{NEW_SHARDS} shards", told_and_over)

    def follow(self, order: Order, what: str, shown: Callable[[], bool] = lambda: True) -> None:
        """Show what a command does, until it has ended and all was `shown`."""
        try:
            self.watch_until(lambda: shown() and order.is_done(), what, within=120)
        except DemoError as error:
            reshard = self.screen.view.status.get("reshard") or {}
            raise DemoError(f"{error}: {reshard.get('message', 'no reshard is under way')}") from None
        finally:
            order.end()

    def watch_for(self, seconds: float) -> None:
        """Show what happens for so long."""
        until = time.monotonic() + seconds
        self.watch_until(lambda: time.monotonic() >= until, "the time", within=seconds + 60)

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
        if time.monotonic() >= self._status_due:
            status = self.gateway.status()
            self._status_due = time.monotonic() + STATUS_EVERY
            if status is not None:
                view.status = status
                view.note_longest_queue()
        if view.status:
            view.sent = self.gateway.simulator("/ledger/summary")["sent"]
        view.noted = self.bot.journal.read_bytes().count(b"\n")
        view.bot_up = self.bot.up
        self.screen.refresh()
        time.sleep(POLL)

    def all_shards_ready(self) -> bool:
        return bool(self.screen.view.status.get("readyShards") == SHARDS)

    def something_queued(self) -> bool:
        self.look()
        return self.screen.view.queued > 0

    def account(self) -> Account:
        return settle(owed(self.gateway.simulator("/ledger"), NEW_SHARDS), self.bot.deliveries())


def account_table(account: Account, screen: Screen, identifies: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(), table.add_column(justify="right"), table.add_column()
    for name, value, note in (
        ("sent", account.sent, "events for the bot; one that both sets get is one"),
        ("delivered", account.delivered, "of them, acknowledged by the bot"),
        ("lost", len(account.lost), ""),
        ("doubled", len(account.doubled), "delivered again under another key"),
        ("out of order", len(account.order_violations), "inside a guild"),
        ("repeated", len(account.repeated), "delivered again under the same key, after a kill -9"),
        ("identifies", identifies, f"{SHARDS} at the start, {NEW_SHARDS} for the new set; all else was resumed"),
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
    enough = account.sent >= AT_LEAST and identifies == SHARDS + NEW_SHARDS
    return 0 if enough and not faults else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
