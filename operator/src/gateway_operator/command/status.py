"""`discord-gateway status`: asks the running `up` how its gateway is doing."""

import asyncio
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import ValidationError
from rich.console import Console

from gateway_operator.core.status_model import GatewayStatus
from gateway_operator.local.state_directory import StateDirectory
from gateway_operator.local.status_socket import NotRunningError, fetch_status

from .errors import GatewayNotRunningError, UserError
from .places import gateway_name, known_gateways, state_directory
from .status_table import status_view

WIDE_ENOUGH = 1000
"""Columns where no terminal sets a limit: a program that reads the output wants no broken lines."""

_HELP = """Show how a gateway that `discord-gateway up` runs here is doing.

FILE_OR_NAME is the file given to `up`, or the gateway's name; it can be left out while only one runs.

\b
Examples
  discord-gateway status
  discord-gateway status mybot -o wide
  discord-gateway status gateway.yaml -o json | jq .phase

Exit code 3 if it does not run.
"""


@click.command(help=_HELP, short_help="Show how a gateway is doing.", context_settings={"max_content_width": 110})
@click.argument("file_or_name", required=False)
@click.option(
    "--state-dir", type=click.Path(path_type=Path, file_okay=False), help="As given to `up`, if it was given there."
)
@click.option(
    "-o", "output", type=click.Choice(["json", "wide"]), help="json: for programs; wide: also what is wrong with each."
)
def status(*, file_or_name: str | None, state_dir: Path | None, output: str | None) -> None:
    text = _ask(file_or_name, state_dir)
    if output == "json":
        click.echo(text)
        return
    try:
        known = GatewayStatus.model_validate_json(text)
    except ValidationError:
        raise UserError("the running `up` is of another version: restart it, or use -o json") from None
    console = Console(width=None if sys.stdout.isatty() else WIDE_ENOUGH, highlight=False)
    console.print(status_view(known, wide=output == "wide", now=datetime.now(UTC)))


def _ask(file_or_name: str | None, state_dir: Path | None) -> str:
    """The status as JSON; raises UserError."""
    name = gateway_name(file_or_name) if file_or_name else None
    answers = [
        (found, text)
        for found, directory in _places(name, state_dir)
        if (text := _answer(found, directory)) is not None
    ]
    if not answers:
        raise GatewayNotRunningError(_not_running(name, state_dir))
    if name is None and len(answers) > 1:
        raise UserError(f"several gateways run here, name one of them: {', '.join(found for found, _text in answers)}")
    return answers[0][1]


def _places(name: str | None, state_dir: Path | None) -> Iterator[tuple[str, StateDirectory]]:
    """Where to ask, the real gateway before one on the simulator."""
    if state_dir is not None:
        yield name or state_dir.absolute().name, StateDirectory(state_dir)
        return
    for known in [name] if name else known_gateways(os.environ):
        for simulated in (False, True):
            yield known, state_directory(known, os.environ, simulated=simulated)


def _answer(name: str, directory: StateDirectory) -> str | None:
    try:
        text = asyncio.run(fetch_status(directory.status_socket))
    except NotRunningError:
        return None
    if text is None:
        raise GatewayNotRunningError(f"{name} has only just started and knows nothing yet: ask again")
    return text


def _not_running(name: str | None, state_dir: Path | None) -> str:
    who = f"{name} is not running" if name else "no gateway is running"
    if state_dir is not None:
        return f"{who} with the state directory {state_dir}: start it with `discord-gateway up FILE`"
    return f"{who} here: start it with `discord-gateway up FILE`, or name its --state-dir if it was given one"
