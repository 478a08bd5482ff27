"""`discord-gateway restart`: has the running `up` read its file again and replace its pods without losing a session."""

import asyncio
from pathlib import Path

import click

from gateway_operator.core.standstill import PAUSED_BY_SPEC_REASON, SUSPENDED_REASON, SUSPENDING_REASON
from gateway_operator.core.status_model import ConditionStatus, GatewayStatus
from gateway_operator.local.state_directory import StateDirectory
from gateway_operator.local.status_socket import (
    NotRunningError,
    RestartAnswer,
    RestartRequest,
    ask_restart,
)

from .cluster.choice import WHICH_SIDE, cluster_chosen, cluster_options
from .cluster.restart import Beginning, restart_on_cluster
from .errors import GatewayNotRunningError, UserError
from .following import Step, follow
from .running import FILE_OR_NAME, find_running, state_dir_option

WITHIN = 600.0
"""Seconds until waiting is given up by default; a pod takes some seconds, a hundred of them some minutes."""

WAITING = Step("waiting for the operator")

AFTERWARDS = "pods not yet replaced hold their shards as before"

_HELP = f"""Replace all pods of a running gateway, one after the other, by their like with the settings of now.

The running `up` reads its file and its secrets again; if something is wrong with them, that is said here and nothing
changes. Then each pod hands its sessions over to a new process: Discord notices a Resume, no shard identifies anew, no
event is lost. A changed spec.sharding.shardsPerPod is applied in the same way; another spec.shards begins a reshard,
which goes on after the restart: see `discord-gateway reshard --help`.

{FILE_OR_NAME}

{WHICH_SIDE} On a cluster changed settings are applied without it, and a restart also takes up the
image for shard pods that the operator has now.

\b
Examples
  discord-gateway restart                        after an update of this program
  discord-gateway restart gateway.yaml           after a change of the file or of a secret
  discord-gateway restart mybot --if-changed     leaves pods alone that the change does not concern
  discord-gateway restart mybot --no-wait        then look at `discord-gateway status`
  kubectl dgw restart mybot -n bots              after an update of the operator's chart

\b
Exit codes
  0  done (with --no-wait: under way; while spec.paused or spec.suspend is true: it waits for its end)
  1  not done in time; it goes on
  2  the file or a secret cannot be used
  3  the gateway does not run
"""


@click.command(
    help=_HELP, short_help="Replace the pods without losing a session.", context_settings={"max_content_width": 110}
)
@click.argument("file_or_name", required=False)
@state_dir_option
@cluster_options
@click.option("--wait/--no-wait", default=True, help="Wait until all pods are replaced.  [default: wait]")
@click.option("--timeout", type=click.FloatRange(1), default=WITHIN, show_default=True, help="Seconds to wait.")
@click.option("--if-changed", is_flag=True, help="Replace only pods whose settings have changed. Not on a cluster.")
def restart(*, file_or_name: str | None, state_dir: Path | None, wait: bool, timeout: float, if_changed: bool) -> None:
    if (chosen := cluster_chosen(state_dir)) is not None:
        if if_changed:
            raise UserError("--if-changed is for this machine: on a cluster the operator applies changes by itself")
        step = Beginning(_replacement) if wait else None
        restart_on_cluster(chosen, file_or_name, step, timeout, afterwards=AFTERWARDS)
        return
    directory, _text = find_running(file_or_name, state_dir)
    answer = _ask(directory, RestartRequest(replace_all=not if_changed))
    if answer.problems:
        raise UserError(*answer.problems, "nothing was changed: the pods run on as they are")
    if not wait:
        click.echo("the pods are being replaced, one after the other: see `discord-gateway status`")
        return
    follow(
        directory,
        lambda status: _step(status, answer.restarts),
        within=timeout,
        afterwards=AFTERWARDS,
    )


def _ask(directory: StateDirectory, request: RestartRequest) -> RestartAnswer:
    try:
        return asyncio.run(ask_restart(directory.status_socket, request))
    except NotRunningError as error:
        raise GatewayNotRunningError(f"the running `up` did not take the request: {error}") from None


def _step(status: GatewayStatus, restarts: int) -> Step:
    rollout = status.rollout
    if rollout is None or rollout.restarts < restarts:
        return WAITING
    held = _held(status)
    return _replacement(status) if held is None else Step(f"nothing is replaced yet: {held}", done=True)


def _held(status: GatewayStatus) -> str | None:
    """What a person has to take back before any pod is replaced."""
    for one in status.conditions:
        paused = one.status is ConditionStatus.TRUE and one.reason == PAUSED_BY_SPEC_REASON
        if paused or one.reason in (SUSPENDED_REASON, SUSPENDING_REASON):
            return one.message
    return None


def _replacement(status: GatewayStatus) -> Step:
    rollout = status.rollout
    if rollout is None:
        return WAITING
    if rollout.complete:
        every = "the only pod is" if rollout.pods == 1 else f"all {rollout.pods} pods are"
        return Step(f"done: {every} replaced, {status.ready_shards} shards connected", done=True)
    leaving = f", {rollout.leaving} old still there" if rollout.leaving else ""
    return Step(f"{rollout.replaced} of {rollout.pods} pods are replaced{leaving}")
