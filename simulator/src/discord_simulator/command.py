"""The command `discord-simulator`: options to settings, signals to a clean end."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import structlog
import uvloop

from discord_simulator.conditions import LiveResume
from discord_simulator.intents import ALL_INTENTS
from discord_simulator.listeners import PortUnavailableError
from discord_simulator.logs import configure_logs
from discord_simulator.settings import DEFAULT_TOKEN, FullShards, LoadSettings, SimulatorSettings
from discord_simulator.simulator import Simulator
from discord_simulator.timeline import Timeline, load_timeline
from discord_simulator.wrong_input import WrongInputError

_USAGE_ERROR = 2
_log = structlog.get_logger("discord_simulator")

_HELP = """A Discord for tests: REST GET /api/v10/gateway/bot and the v10 gateway, with Discord's rules enforced.

Every event has a number in `d.event_number`; GET /ledger on the control port says which session was sent what.

\b
Example: 4 shards, 2,000 guilds, 500 events/s for a minute once all shards are ready
  discord-simulator --rest-port 8080 --gateway-port 8081 --control-port 8082 \\
      --guilds 2000 --shards 4 --max-concurrency 4 \\
      --rate 500 --duration 60 --start-load-after 4
  curl -H 'Authorization: Bot simulator-token' localhost:8080/api/v10/gateway/bot
  curl -X POST localhost:8082/sessions/0/4/kill -d '{"how": "tcp-reset"}'
  curl localhost:8082/ledger/summary

\b
Example: faults. GET /faults lists all of them with their fields; a timeline is a list of them with times
  curl -X POST localhost:8082/faults -d '{"fault": "drop", "target": "0/4", "events": ["INTERACTION_CREATE"]}'
  discord-simulator --timeline faults.yaml --start-timeline-after 4, with lines in faults.yaml such as
      - {at: 5, fault: guild-outage, count: 20, seconds: 3}
"""


@click.command(help=_HELP, context_settings={"show_default": True, "max_content_width": 110})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--rest-port", type=click.IntRange(0, 65535), default=0, help="Plain REST; 0 takes a free port.")
@click.option("--rest-tls-port", type=click.IntRange(0, 65535), default=0, help="REST with TLS.")
@click.option("--gateway-port", type=click.IntRange(0, 65535), default=0, help="Plain WebSocket gateway.")
@click.option("--gateway-tls-port", type=click.IntRange(0, 65535), default=0, help="WebSocket gateway with TLS.")
@click.option("--control-port", type=click.IntRange(0, 65535), default=0, help="Control API.")
@click.option("--tls-name", "tls_names", multiple=True, help="Further host name of the certificate; repeatable.")
@click.option("--token", default=DEFAULT_TOKEN, help="The one bot token that is accepted.")
@click.option("--any-token", is_flag=True, help="Accept every token.")
@click.option("--granted-intents", type=int, default=ALL_INTENTS, help="Bits of the privileged intents granted.")
@click.option("--guilds", type=click.IntRange(0), default=100, help="Guilds the bot is in.")
@click.option("--guild-members", type=click.IntRange(1), help="Members of each guild; without, a few.")
@click.option("--shards", type=click.IntRange(1), help="Recommended shards; without, one for 1,000 guilds.")
@click.option("--max-concurrency", type=click.IntRange(1), default=1, help="Identify buckets.")
@click.option(
    "--identify-interval", type=click.FloatRange(0), default=5.0, help="Seconds between a bucket's identifies."
)
@click.option("--identify-total", type=click.IntRange(1), default=1000, help="Identifies in 24 hours.")
@click.option("--identify-remaining", type=click.IntRange(0), help="Identifies left now; without, all.")
@click.option("--shard-multiple", type=click.IntRange(1), default=1, help="Of a large bot: others are 4010.")
@click.option(
    "--full-shards",
    type=click.Choice([each.value for each in FullShards]),
    default=FullShards.ALLOW.value,
    help="What becomes of new guilds of a shard with 2,500.",
)
@click.option(
    "--live-resume",
    type=click.Choice([each.value for each in LiveResume]),
    default=LiveResume.CLOSE_OLDER.value,
    help="What a Resume does to a live connection of its session.",
)
@click.option("--heartbeat-interval", type=click.IntRange(100), default=41_250, help="Milliseconds.")
@click.option(
    "--replay-size", type=click.IntRange(1), help="Events kept for a Resume; without, by guilds of the shard."
)
@click.option("--replay-ttl", type=click.FloatRange(0), default=90.0, help="Seconds a lost session can be resumed.")
@click.option("--guild-create-rate", type=click.FloatRange(1), default=1000.0, help="GUILD_CREATE/s after READY.")
@click.option(
    "--event-numbers/--no-event-numbers",
    default=True,
    help="Show each event's number in `d`, or keep it to the ledger.",
)
@click.option("--seed", type=int, default=0, help="The same seed gives the same guilds and events.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Start load by itself: events/s.")
@click.option("--duration", type=click.FloatRange(0, min_open=True), help="Seconds of that load; without, endless.")
@click.option("--start-load-after", type=click.IntRange(0), default=0, help="Begin it when so many sessions are ready.")
@click.option(
    "--timeline", "timeline_file", type=click.Path(dir_okay=False), help="Faults by a script (YAML or JSON), see below."
)
@click.option(
    "--start-timeline-after", type=click.IntRange(0), default=0, help="Begin it when so many sessions are ready."
)
@click.option("--ca-out", type=click.Path(dir_okay=False), help="Write the test CA's certificate here (PEM).")
@click.option("--ready-file", type=click.Path(dir_okay=False), help="Write all addresses here when listening (JSON).")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info")
@click.version_option(version("discord-gateway-simulator"), prog_name="discord-simulator")
def main(*, ready_file: str | None, log_level: str, **options: Any) -> None:
    configure_logs(log_level)
    try:
        simulator = Simulator(_settings(**options))
        uvloop.run(_run(simulator, ready_file))
    except (PortUnavailableError, OSError) as error:  # OSError: a file cannot be read or written
        click.echo(f"discord-simulator: {error}", err=True)
        sys.exit(_USAGE_ERROR)


def _settings(
    *,
    shards: int | None,
    heartbeat_interval: int,
    rate: float | None,
    duration: float | None,
    tls_names: tuple[str, ...],
    timeline_file: str | None,
    full_shards: str,
    live_resume: str,
    **same: Any,
) -> SimulatorSettings:
    if rate is None and duration is not None:
        raise click.UsageError("--duration needs --rate")
    return SimulatorSettings(
        recommended_shards=shards,
        heartbeat_interval_ms=heartbeat_interval,
        load=None if rate is None else LoadSettings(rate=rate, duration=duration),
        timeline=None if timeline_file is None else _timeline(timeline_file),
        full_shards=FullShards(full_shards),
        live_resume=LiveResume(live_resume),
        tls_names=SimulatorSettings().tls_names + tls_names,
        **same,
    )


def _timeline(path: str) -> Timeline:
    try:
        return load_timeline(Path(path))
    except WrongInputError as error:
        raise click.BadParameter(str(error), param_hint="--timeline") from error


async def _run(simulator: Simulator, ready_file: str | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with simulator:
        addresses = asdict(simulator.addresses) | {"ca_file": simulator.ca_file}
        _log.info("listening", **addresses)
        if ready_file is not None:
            _write_atomically(Path(ready_file), json.dumps(addresses | {"pid": os.getpid()}, indent=2) + "\n")
        await stop.wait()
        summary = simulator.ledger.summary()
        _log.info("stopping", **{name: summary[name] for name in ("sent", "unrouted", "identifies", "resumes")})


def _write_atomically(path: Path, text: str) -> None:
    """Whoever waits for the file finds it whole."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
