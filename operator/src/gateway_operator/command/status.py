"""`discord-gateway status`: asks the running `up` how its gateway is doing."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from .running import FILE_OR_NAME, find_running, understood
from .status_table import status_view

WIDE_ENOUGH = 1000
"""Columns where no terminal sets a limit: a program that reads the output wants no broken lines."""

_HELP = f"""Show how a gateway that `discord-gateway up` runs here is doing.

{FILE_OR_NAME}

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
    _directory, text = find_running(file_or_name, state_dir)
    if output == "json":
        click.echo(text)
        return
    console = Console(width=None if sys.stdout.isatty() else WIDE_ENOUGH, highlight=False)
    console.print(status_view(understood(text), wide=output == "wide", now=datetime.now(UTC)))
