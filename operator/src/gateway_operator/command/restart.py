"""`discord-gateway restart`: has the running `up` read its file again and replace its pods without losing a session."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import click

from gateway_operator.core.status_model import GatewayStatus
from gateway_operator.local.state_directory import StateDirectory
from gateway_operator.local.status_socket import (
    NotRunningError,
    RestartAnswer,
    RestartRequest,
    ask_restart,
    fetch_status,
)

from .errors import EXIT_NOT_DONE, GatewayNotRunningError, UserError
from .running import FILE_OR_NAME, find_running, understood

POLL = 0.5
"""Seconds between two looks at how far it is."""

WITHIN = 600.0
"""Seconds until waiting is given up by default; a pod takes some seconds, a hundred of them some minutes."""

_HELP = f"""Replace all pods of a running gateway, one after the other, by their like with the settings of now.

The running `up` reads its file and its secrets again; if something is wrong with them, that is said here and nothing
changes. Then each pod hands its sessions over to a new process: Discord notices a Resume, no shard identifies anew, no
event is lost. A changed spec.sharding.shardsPerPod is applied in the same way; another spec.shards is not.

{FILE_OR_NAME}

\b
Examples
  discord-gateway restart                        after an update of this program
  discord-gateway restart gateway.yaml           after a change of the file or of a secret
  discord-gateway restart mybot --if-changed     leaves pods alone that the change does not concern
  discord-gateway restart mybot --no-wait        then look at `discord-gateway status`

\b
Exit codes
  0  done (with --no-wait: under way)
  1  not done in time; it goes on
  2  the file or a secret cannot be used
  3  the gateway does not run
"""


@click.command(
    help=_HELP, short_help="Replace the pods without losing a session.", context_settings={"max_content_width": 110}
)
@click.argument("file_or_name", required=False)
@click.option(
    "--state-dir", type=click.Path(path_type=Path, file_okay=False), help="As given to `up`, if it was given there."
)
@click.option("--wait/--no-wait", default=True, help="Wait until all pods are replaced.  [default: wait]")
@click.option("--timeout", type=click.FloatRange(1), default=WITHIN, show_default=True, help="Seconds to wait.")
@click.option("--if-changed", is_flag=True, help="Replace only pods whose settings have changed.")
def restart(*, file_or_name: str | None, state_dir: Path | None, wait: bool, timeout: float, if_changed: bool) -> None:
    directory, _text = find_running(file_or_name, state_dir)
    answer = _ask(directory, RestartRequest(replace_all=not if_changed))
    if answer.problems:
        raise UserError(*answer.problems, "nothing was changed: the pods run on as they are")
    if not wait:
        click.echo("the pods are being replaced, one after the other: see `discord-gateway status`")
        return
    asyncio.run(_watch(directory, lambda status: _step(status, answer.restarts), timeout))


def _ask(directory: StateDirectory, request: RestartRequest) -> RestartAnswer:
    try:
        return asyncio.run(ask_restart(directory.status_socket, request))
    except NotRunningError as error:
        raise GatewayNotRunningError(f"the running `up` did not take the request: {error}") from None


async def _watch(directory: StateDirectory, step: Callable[[GatewayStatus], tuple[str, bool]], within: float) -> None:
    """Say each step until the last; raises UserError at the deadline."""
    said, deadline, status = "", time.monotonic() + within, None
    while time.monotonic() < deadline:
        # First the pause: the status of the moment may still be that of before.
        await asyncio.sleep(POLL)
        try:
            text = await fetch_status(directory.status_socket)
        except NotRunningError:
            raise GatewayNotRunningError("`up` has ended before all pods were replaced") from None
        if text is None:
            continue
        status = understood(text)
        words, done = step(status)
        if words != said:
            click.echo(said := words)
        if done:
            return
    why = status.condition("Degraded").message if status is not None else "it says nothing"
    raise NotDoneError(
        f"not done after {within:g} s ({said or 'nothing seen'}): {why}",
        "it goes on: see `discord-gateway status -o wide`; pods not yet replaced hold their shards as before",
    )


class NotDoneError(UserError):
    exit_code = EXIT_NOT_DONE


def _step(status: GatewayStatus, restarts: int) -> tuple[str, bool]:
    rollout = status.rollout
    if rollout is None or rollout.restarts < restarts:
        return "waiting for the operator", False
    if rollout.complete:
        return f"done: all {rollout.pods} pods are replaced, {status.ready_shards} shards connected", True
    leaving = f", {rollout.leaving} old still there" if rollout.leaving else ""
    return f"{rollout.replaced} of {rollout.pods} pods are replaced{leaving}", False
