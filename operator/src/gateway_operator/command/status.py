"""`discord-gateway status`: asks the running `up` how its gateway is doing."""

from datetime import UTC, datetime
from pathlib import Path

import click

from .cluster.choice import WHICH_SIDE, all_namespaces_option, cluster_chosen, cluster_options
from .cluster.status import show_on_cluster
from .console import print_view
from .running import FILE_OR_NAME, find_running, state_dir_option, understood
from .status_table import status_view

_HELP = f"""Show how a gateway is doing.

{FILE_OR_NAME}

{WHICH_SIDE} On a cluster, without a
name all gateways of the namespace are shown, without their shards.

\b
Examples
  discord-gateway status
  discord-gateway status mybot -o wide
  discord-gateway status gateway.yaml -o json | jq .phase
  kubectl dgw status -A
  kubectl dgw status mybot -n bots

Exit code 3 if it does not run.
"""


@click.command(help=_HELP, short_help="Show how a gateway is doing.", context_settings={"max_content_width": 110})
@click.argument("file_or_name", required=False)
@state_dir_option
@cluster_options
@all_namespaces_option
@click.option(
    "-o", "output", type=click.Choice(["json", "wide"]), help="json: for programs; wide: also what is wrong with each."
)
def status(*, file_or_name: str | None, state_dir: Path | None, output: str | None) -> None:
    if (chosen := cluster_chosen(state_dir)) is not None:
        show_on_cluster(chosen, file_or_name, output=output)
        return
    _directory, text = find_running(file_or_name, state_dir)
    if output == "json":
        click.echo(text)
        return
    print_view(status_view(understood(text), wide=output == "wide", now=datetime.now(UTC)))
