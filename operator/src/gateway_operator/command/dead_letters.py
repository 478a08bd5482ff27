"""`discord-gateway dead-letters`: the events that the bot refused too often, to be looked at and decided upon."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.table import Table
from rich.text import Text

from .cluster.choice import WHICH_SIDE, cluster_chosen, cluster_options
from .cluster.letters import with_pods_on_cluster
from .console import print_view
from .errors import UserError
from .letters import DeadLetter, Pods, decided, listed, replayed
from .pod_http import PodHttp
from .running import FILE_OR_NAME, find_running, state_dir_option, understood

_CONTEXT = {"max_content_width": 110}

_HELP = f"""Look at the events that the bot refused again and again, and deliver or discard them.

An event that keeps failing while others pass is set aside after spec.delivery.maxAttempts, so that its guild's other
events go on. The newest 1,000 of each shard stay on disk until somebody decides. Usually the bot has a bug: mend it,
then `replay`.

{FILE_OR_NAME}

{WHICH_SIDE} There the pods are asked by a
command in their containers, for which you need the permissions that `kubectl exec` needs.

\b
Examples
  discord-gateway dead-letters list
  discord-gateway dead-letters replay --all
  discord-gateway dead-letters replay mybot --key 4b2f...:1093 --key 4b2f...:1101
  discord-gateway dead-letters discard mybot --key 4b2f...:1093
  discord-gateway dead-letters list mybot -o json | jq -r '.deadLetters[] | select(.type == "TYPING_START") | .key'
  kubectl dgw dead-letters list mybot -n bots

Exit code 3 if the gateway does not run.
"""

_NOT_NOW = "cannot be delivered now: until the reshard is over their guilds are the other shard set's, or on their way"

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Result = TypeVar("_Result")


@click.group("dead-letters", help=_HELP, short_help="Look at events that the bot refused.", context_settings=_CONTEXT)
@cluster_options
def dead_letters() -> None:
    """Group of the three commands."""


def _where(command: _Command) -> _Command:
    """The parameters that say which gateway is meant."""
    return click.argument("file_or_name", required=False)(state_dir_option(cluster_options(command)))


def _which(command: _Command) -> _Command:
    """The parameters that say which letters are meant."""
    command = click.option("--all", "every", is_flag=True, help="All of them.")(command)
    return click.option("--key", "keys", multiple=True, help="One of them, by the key that `list` shows; repeatable.")(
        command
    )


@dead_letters.command("list", help="List them.", context_settings=_CONTEXT)
@_where
@click.option("-o", "output", type=click.Choice(["json"]), help="json: for programs.")
def list_them(*, file_or_name: str | None, state_dir: Path | None, output: str | None) -> None:
    found = _with_pods(file_or_name, state_dir, listed)
    if output == "json":
        click.echo(json.dumps({"deadLetters": [letter.model_dump(by_alias=True) for letter in found]}))
    elif found:
        print_view(_table(found))
    else:
        click.echo("no dead letters: the bot took every event")


@dead_letters.command(
    help="Deliver them again, with their keys, from the first attempt on. They come after newer events of their guild.",
    short_help="Deliver them again.",
    context_settings=_CONTEXT,
)
@_where
@_which
def replay(*, file_or_name: str | None, state_dir: Path | None, keys: tuple[str, ...], every: bool) -> None:
    chosen = _chosen(keys, every=every)
    done, left = _with_pods(file_or_name, state_dir, lambda pods: replayed(pods, chosen))
    click.echo(f"{_count(done)} queued for delivery")
    if left:
        raise UserError(f"{_count(left)} {_NOT_NOW}")
    _complain_of(keys, done, f"not among the dead letters, or {_NOT_NOW}")


@dead_letters.command(
    help="Delete them for good; it cannot be undone.", short_help="Delete them.", context_settings=_CONTEXT
)
@_where
@_which
def discard(*, file_or_name: str | None, state_dir: Path | None, keys: tuple[str, ...], every: bool) -> None:
    chosen = _chosen(keys, every=every)
    done = _with_pods(file_or_name, state_dir, lambda pods: decided(pods, "discard", chosen))
    click.echo(f"{_count(done)} deleted")
    _complain_of(keys, done, "not among the dead letters")


def _with_pods(
    file_or_name: str | None, state_dir: Path | None, work: Callable[[Pods], Coroutine[Any, Any, _Result]]
) -> _Result:
    if (chosen := cluster_chosen(state_dir)) is not None:
        return with_pods_on_cluster(chosen, file_or_name, work)
    directory, text = find_running(file_or_name, state_dir)
    addresses = {pod.instance: pod.http_address for pod in understood(text).pods}
    return asyncio.run(work(PodHttp(addresses, directory.control_secret())))


def _chosen(keys: tuple[str, ...], *, every: bool) -> tuple[str, ...] | None:
    """The keys; None: all letters."""
    if every == bool(keys):
        raise UserError("say which: either --all, or --key KEY for each, as `dead-letters list` shows")
    return None if every else keys


def _complain_of(keys: tuple[str, ...], done: int, why: str) -> None:
    if (missing := len(set(keys)) - done) > 0:
        raise UserError(f"{missing} of the keys given are {why}")


def _count(letters: int) -> str:
    return "1 dead letter" if letters == 1 else f"{letters} dead letters"


def _table(found: list[DeadLetter]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("KEY", "TYPE", "SHARD", "GUILD", "ATTEMPTS", "BYTES", "DIED (UTC)"):
        table.add_column(title, no_wrap=True, justify="right" if title in ("SHARD", "ATTEMPTS", "BYTES") else "left")
    table.add_column("PROBLEM", overflow="fold")
    for letter in found:
        texts = (letter.key, letter.type, str(letter.shard_id), letter.guild_id or "", str(letter.attempts))
        last = (f"{letter.bytes:,}", _date(letter.died_at), letter.problem or "")
        # Text, as everything a pod says: brackets in it are no markup.
        table.add_row(*map(Text, (*texts, *last)))
    return table


def _date(unix_seconds: float | None) -> str:
    return "" if unix_seconds is None else f"{datetime.fromtimestamp(unix_seconds, UTC):%Y-%m-%d %H:%M:%S}"
