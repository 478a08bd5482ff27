"""`discord-gateway up`: runs the operator and the pods of one gateway on this machine until it is told to stop."""

import os
import ssl
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import click
import structlog
import uvloop

from gateway_operator import logs
from gateway_operator.discord_api import TokenRefusedError
from gateway_operator.embedded import Credentials, UnusableError, run_embedded
from gateway_operator.local.simulator import TOKEN as SIMULATOR_TOKEN
from gateway_operator.local.simulator import SimulatedDiscord, SimulatorError, SimulatorOptions, running_simulator
from gateway_operator.local.state_directory import (
    AlreadyRunningError,
    StateDirectory,
    StateDirectoryError,
)
from gateway_operator.logs import LogFormat, LogLevel
from gateway_operator.model import DiscordGateway
from gateway_operator.model.pod_overlay import without_kubernetes
from gateway_operator.stop_signals import StopSignals
from shardpod.contract import environment

from .errors import UserError
from .manifest_file import read_manifest
from .places import state_directory
from .secret_files import SecretFiles

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_HELP = """Run the gateway that FILE describes, on this machine, until Ctrl-C.

The bot's token is taken from --token-file, else from the environment variable DISCORD_TOKEN, else from the file
SECRETS/<secret>/<key> that tokenSecretRef names; other secrets of FILE from SECRETS likewise.

\b
Examples
  DISCORD_TOKEN=... discord-gateway up gateway.yaml
  discord-gateway up gateway.yaml --token-file token.txt
  discord-gateway up gateway.yaml --simulator --simulator-guilds 5000 --simulator-rate 200

When it ends, it keeps the sessions, and the events that the bot has not taken, in its state directory: started
again soon enough (Discord keeps a session for a minute or so), it goes on as if nothing had been. If it is killed, the
shards even stay connected; run the same command again and it takes them over. With --simulator all begins anew.

After a change of FILE: `discord-gateway restart FILE`.
"""


@dataclass(frozen=True, slots=True)
class _Options:
    file: Path
    token_file: Path | None
    secrets: Path | None
    state_dir: Path | None
    fresh: bool
    log_format: LogFormat
    log_level: LogLevel
    simulator: SimulatorOptions | None


_FILE = click.Path(path_type=Path, dir_okay=False)
_DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.command(help=_HELP, short_help="Run a gateway on this machine.", context_settings={"max_content_width": 110})
@click.argument("file", type=_FILE)
@click.option(
    "--simulator", is_flag=True, help="Use a simulated Discord beside it: no bot account, no token, no network."
)
@click.option(
    "--simulator-guilds", type=click.IntRange(1), default=2000, show_default=True, help="Guilds of the simulated bot."
)
@click.option(
    "--simulator-max-concurrency",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Shards that may identify at once in the simulated Discord.",
)
@click.option(
    "--simulator-rate", type=click.FloatRange(0, min_open=True), help="Simulated events a second; without, none."
)
@click.option("--token-file", type=_FILE, help="File that holds the bot's token.")
@click.option("--secrets", type=_DIRECTORY, help="Directory of the secrets.  [default: secrets/ beside FILE]")
@click.option(
    "--state-dir",
    type=_DIRECTORY,
    help="Where to keep what outlives a restart.  [default: ~/.local/state/discord-gateway/NAME]",
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Begin anew: forget the sessions and all events not yet delivered.",
)
@click.option(
    "--log-format",
    type=click.Choice([choice.value for choice in LogFormat]),
    help="[default: console on a terminal, else json]",
)
@click.option(
    "--log-level",
    type=click.Choice([choice.value for choice in LogLevel]),
    default=LogLevel.INFO.value,
    show_default=True,
)
def up(
    *,
    file: Path,
    simulator: bool,
    simulator_guilds: int,
    simulator_max_concurrency: int,
    simulator_rate: float | None,
    token_file: Path | None,
    secrets: Path | None,
    state_dir: Path | None,
    fresh: bool,
    log_format: str | None,
    log_level: str,
) -> None:
    _run(
        _Options(
            file=file,
            token_file=token_file,
            secrets=secrets,
            state_dir=state_dir,
            fresh=fresh,
            log_format=LogFormat(log_format) if log_format else logs.default_format(sys.stderr),
            log_level=LogLevel(log_level),
            simulator=SimulatorOptions(simulator_guilds, simulator_max_concurrency, simulator_rate)
            if simulator
            else None,
        )
    )


def _run(options: _Options) -> None:
    logs.configure(log_format=options.log_format, level=options.log_level, secrets=())
    if not hasattr(os, "pidfd_open"):
        raise UserError("`up` needs Linux, to follow its pods safely: elsewhere run it in a container")
    gateway, credentials = _read(options)
    directory = _state_directory(gateway, options)
    if (ignored := without_kubernetes(given=gateway.spec.template is not None)) is not None:
        logger.info(ignored)
    try:
        directory.prepare()
        with directory.locked():
            uvloop.run(_main(gateway, credentials, directory, options))
    except AlreadyRunningError as running:
        raise UserError(_already_running(gateway.metadata.name, running.pid)) from None
    except TokenRefusedError as refused:
        raise UserError(str(refused)) from None
    except (StateDirectoryError, SimulatorError) as problem:
        raise UserError(str(problem)) from None
    except ssl.SSLError as error:
        raise UserError(f"the CA certificate for Discord's address cannot be used: {error.reason}") from None
    except OSError as error:
        raise UserError(f"cannot run {gateway.metadata.name}: {error}") from None


async def _main(
    gateway: DiscordGateway, credentials: Credentials, directory: StateDirectory, options: _Options
) -> None:
    stop = StopSignals()
    with stop.heeded():
        async with AsyncExitStack() as stack:
            simulated: SimulatedDiscord | None = None
            if options.simulator is not None:
                simulated = await stack.enter_async_context(running_simulator(directory.simulator, options.simulator))
                gateway, credentials = _on_simulator(gateway, credentials, simulated)
            _keep_out_of_logs(credentials, directory, options)
            pod_logging = {environment.LOG_FORMAT: options.log_format, environment.LOG_LEVEL: options.log_level}
            try:
                await run_embedded(
                    gateway,
                    credentials,
                    directory,
                    reread=lambda: _reread(gateway.metadata.name, directory, options, simulated),
                    # What runs on the simulator ends with it: its sessions are no use to the next.
                    fresh=options.fresh or simulated is not None,
                    pod_logging=pod_logging,
                    stop=stop,
                )
            except (TokenRefusedError, OSError):
                raise
            except Exception as error:
                # By the log, not by Python's own traceback: only the log keeps secrets out.
                logger.exception("the operator failed; its pods go on, run the same command again to take them over")
                raise click.exceptions.Exit(1) from error


def _reread(
    name: str, directory: StateDirectory, options: _Options, simulated: SimulatedDiscord | None
) -> tuple[DiscordGateway, Credentials]:
    """Manifest and secrets as the files are now, for a restart of the pods; raises UnusableError."""
    try:
        gateway, credentials = _read(options)
    except UserError as error:
        raise UnusableError(*error.message.splitlines()) from None
    if gateway.metadata.name != name:
        raise UnusableError(
            f"{options.file}: it is {gateway.metadata.name} now, and {name} is running: for another gateway, "
            "`discord-gateway up` another file"
        )
    if simulated is not None:
        gateway, credentials = _on_simulator(gateway, credentials, simulated)
    _keep_out_of_logs(credentials, directory, options)
    return gateway, credentials


def _read(options: _Options) -> tuple[DiscordGateway, Credentials]:
    gateway = read_manifest(options.file)
    secrets = SecretFiles(options.secrets or options.file.parent / "secrets")
    return gateway, _credentials(gateway, secrets, options)


def _keep_out_of_logs(credentials: Credentials, directory: StateDirectory, options: _Options) -> None:
    secrets = (*credentials.secrets(), directory.control_secret())
    logs.configure(log_format=options.log_format, level=options.log_level, secrets=secrets)


def _credentials(gateway: DiscordGateway, secrets: SecretFiles, options: _Options) -> Credentials:
    discord, sink = gateway.spec.discord, gateway.spec.delivery.sink.http
    sink_authorization = secrets.value(sink.authorization_secret_ref, purpose="authorization for the HTTP sink")
    if options.simulator is not None:
        return Credentials(token=SIMULATOR_TOKEN, sink_authorization=sink_authorization)
    token_ref = gateway.spec.token_secret_ref
    return Credentials(
        token=secrets.token(token_ref, token_file=options.token_file, environment=os.environ),
        sink_authorization=sink_authorization,
        rest_authorization=secrets.value(discord.authorization_secret_ref, purpose="authorization for the REST proxy"),
        ca_file=secrets.file(discord.ca_secret_ref, purpose="CA certificate for Discord's address"),
    )


def _on_simulator(
    gateway: DiscordGateway, credentials: Credentials, simulated: SimulatedDiscord
) -> tuple[DiscordGateway, Credentials]:
    discord = gateway.spec.discord.model_copy(
        update={
            "base_url": simulated.rest_url_tls,
            "gateway_url": None,
            "authorization_secret_ref": None,
            "ca_secret_ref": None,
        }
    )
    spec = gateway.spec.model_copy(update={"discord": discord})
    return gateway.model_copy(update={"spec": spec}), replace(credentials, ca_file=simulated.ca_file)


def _state_directory(gateway: DiscordGateway, options: _Options) -> StateDirectory:
    if options.state_dir is not None:
        return StateDirectory(options.state_dir)
    return state_directory(gateway.metadata.name, os.environ, simulated=options.simulator is not None)


def _already_running(gateway: str, pid: int | None) -> str:
    if pid is None:
        return f"{gateway} already runs here: stop the other `discord-gateway up` first"
    return f"{gateway} already runs here, as process {pid}: stop that one first (Ctrl-C there, or `kill {pid}`)"
