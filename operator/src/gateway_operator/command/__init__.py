"""The command `discord-gateway`: what users type. It reads options, hands over, and words what went wrong."""

from importlib.metadata import version

import click

from .dead_letters import dead_letters
from .reshard import reshard
from .restart import restart
from .status import status
from .up import up
from .validate import validate

_HELP = """Hold a Discord bot's gateway shards apart from the bot.

One file, a DiscordGateway, says what should run: the bot's intents, its shards and where events go. Shard pods
hold the sessions and forward every event; your bot restarts in seconds and loses nothing.

\b
Example: try a file without a bot or a token, then look at it from a second terminal
  discord-gateway validate gateway.yaml
  discord-gateway up gateway.yaml --simulator
  discord-gateway status gateway.yaml

\b
After a change of the file, or an update of this program
  discord-gateway restart gateway.yaml

\b
Another number of shards, while events flow
  discord-gateway reshard gateway.yaml --plan --to 32
  discord-gateway reshard gateway.yaml --to 32

\b
Exit codes
  0  done
  1  not done in time, or failed in a way that is not foreseen
  2  a file, an option or the token cannot be used
  3  the gateway that was asked for does not run
"""


@click.group(help=_HELP, context_settings={"max_content_width": 110})
@click.version_option(version("discord-gateway-operator"), prog_name="discord-gateway")
def main() -> None:
    """Entry point of the package."""


main.add_command(up)
main.add_command(status)
main.add_command(restart)
main.add_command(reshard)
main.add_command(dead_letters)
main.add_command(validate)
