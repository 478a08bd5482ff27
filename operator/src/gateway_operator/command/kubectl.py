"""The command `kubectl-dgw`, which kubectl finds as `kubectl dgw`: the same commands, always about a cluster."""

from importlib.metadata import version

import click

from .cluster.choice import Chosen, cluster_options
from .cluster.switches import pause, resume, suspend
from .dead_letters import dead_letters
from .reshard import reshard
from .restart import restart
from .status import status
from .validate import validate

_HELP = """Look at Discord gateways on a Kubernetes cluster, and change them while events flow.

Orders are changes of the DiscordGateway: whoever may patch it may give them. What is read comes from its status, and
each shard's row from the operator, by the API server's proxy (for which the verb get on pods/proxy is needed). Dead
letters are asked for in the pods themselves (which needs create and get on pods/exec).

\b
Examples
  kubectl dgw status                       each gateway of the namespace, in a line; -A: of all namespaces
  kubectl dgw status mybot -n bots         one of them, with a row for each shard
  kubectl dgw reshard mybot --plan --to 32
  kubectl dgw reshard mybot --to 32
  kubectl dgw restart mybot
  kubectl dgw pause mybot
  kubectl dgw resume mybot
  kubectl dgw dead-letters list mybot      the events that the bot refused again and again

\b
Exit codes
  0  done
  1  not done in time, or the API server cannot be reached
  2  refused, not permitted, or an option cannot be used
  3  the gateway that was asked for is not there, or nothing is known of it
"""


@click.group(help=_HELP, context_settings={"max_content_width": 110})
@click.version_option(version("discord-gateway-operator"), prog_name="kubectl-dgw")
@cluster_options
@click.pass_context
def main(context: click.Context) -> None:
    """Entry point of the package."""
    context.ensure_object(Chosen).cluster = True


for _command in (status, reshard, restart, pause, resume, suspend, dead_letters, validate):
    main.add_command(_command)
