"""`discord-gateway reshard`: has the running `up` change the number of shards while events flow."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import click
from click.exceptions import Exit

from gateway_operator.core.reshard_order import ReshardAnswer, ReshardOrder, ReshardPreview
from gateway_operator.core.status_model import GatewayStatus
from gateway_operator.core.world import ReshardPhase
from gateway_operator.local.state_directory import StateDirectory
from gateway_operator.local.status_socket import NotRunningError, ask_reshard, fetch_preview
from gateway_operator.model import MAX_SHARDS

from .cluster.choice import WHICH_SIDE, cluster_chosen, cluster_options, status_command
from .cluster.reshard import plan_on_cluster, reshard_on_cluster
from .errors import EXIT_UNUSABLE, GatewayNotRunningError, UserError
from .following import Step, follow
from .reshard_words import preview_lines
from .running import FILE_OR_NAME, find_running, state_dir_option

WITHIN = 7200.0
"""Seconds until waiting is given up by default: a thousand shards take an hour and a half to identify one by one."""

LOOKS_UNTIL_BEGUN = 20
"""Looks at the status in which a reshard that was asked for has to show up; a pass takes a second at most."""

_HELP = f"""Change the number of shards of a running gateway, without a loss and without a restart of the bot.

A new set of shards comes up beside the one that runs. When both have received the same for long enough, it takes the
guilds over, one range of shards after the other, and the old set ends. Until the last range is handed over, --abort
gives everything back. It costs an identify for each new shard.

{FILE_OR_NAME} The same happens by itself when spec.shards is changed (and `discord-gateway restart` has read the file),
or when the guilds need it (spec.reshard.auto).

{WHICH_SIDE} On a cluster --to changes spec.shards, --abort puts it
back, and each may set an annotation.

What is asked for here holds until spec.shards is changed. It is refused, with the numbers, if the shards are too few
for the guilds, if Discord would not take their number, or if the identifies that are left do not suffice; with --wait,
what is only a matter of time is waited for.

\b
Examples
  discord-gateway reshard --plan                what it would do now by itself, and what that costs
  discord-gateway reshard mybot --plan --to 32  what 32 shards would cost: identifies, time, ranges
  discord-gateway reshard mybot --to 32         do it, and tell how far it is
  discord-gateway reshard mybot --to 32 --wait  as soon as there are identifies enough
  discord-gateway reshard mybot --pause         begin nothing more; --resume goes on
  discord-gateway reshard mybot --abort         give back what was handed over
  kubectl dgw reshard mybot -n bots --to 32     the same on a cluster

\b
Exit codes
  0  done (with --no-follow: under way)
  1  not done in time, where it goes on; or given up
  2  refused, or the options do not go together
  3  the gateway does not run
"""


@click.command(
    help=_HELP, short_help="Change the number of shards while events flow.", context_settings={"max_content_width": 110}
)
@click.argument("file_or_name", required=False)
@cluster_options
@click.option("--to", type=click.IntRange(1, MAX_SHARDS), help="The number of shards.")
@click.option("--abort", is_flag=True, help="Give back what was handed over, and end without a change.")
@click.option("--pause", is_flag=True, help="Finish the range that is being handed over, and begin nothing more.")
@click.option("--resume", is_flag=True, help="Go on after --pause.")
@click.option("--plan", is_flag=True, help="Only tell what would be done, and what it costs.")
@click.option("--wait", is_flag=True, help="With --to: wait for identifies, or for another reshard's end, if needed.")
@click.option("--follow/--no-follow", "following", default=True, help="Tell how far it is.  [default: follow]")
@click.option("--timeout", type=click.FloatRange(1), default=WITHIN, show_default=True, help="Seconds to follow it.")
@state_dir_option
def reshard(
    *,
    file_or_name: str | None,
    to: int | None,
    abort: bool,
    pause: bool,
    resume: bool,
    plan: bool,
    wait: bool,
    following: bool,
    timeout: float,
    state_dir: Path | None,
) -> None:
    _check_options(to=to, wait=wait, others={"--abort": abort, "--pause": pause, "--resume": resume, "--plan": plan})
    order = ReshardOrder(to=to, wait=wait, abort=abort, pause=pause if pause or resume else None)
    step = None if not following or pause or resume else _Ending() if to is None else _Reaching(to)
    chosen = cluster_chosen(state_dir)
    if chosen is not None and plan:
        plan_on_cluster(chosen, file_or_name, to)
    elif chosen is not None:
        reshard_on_cluster(chosen, file_or_name, order, step, timeout)
    else:
        _reshard_here(find_running(file_or_name, state_dir)[0], order, step, timeout, plan=plan)


def _reshard_here(
    directory: StateDirectory,
    order: ReshardOrder,
    step: Callable[[GatewayStatus], Step] | None,
    within: float,
    *,
    plan: bool,
) -> None:
    if plan:
        shown = _plan(directory, order.to)
        click.echo("\n".join(preview_lines(shown)))
        if shown.refused:
            raise Exit(EXIT_UNUSABLE)
        return
    answer = _ask(directory, order)
    if answer.problems:
        raise UserError(*answer.problems)
    click.echo(answer.message)
    if step is not None:
        follow(directory, step, within=within, afterwards="no event is lost meanwhile")


def _check_options(*, to: int | None, wait: bool, others: dict[str, bool]) -> None:
    given = [name for name, is_given in others.items() if is_given]
    if to is None and not given:
        raise UserError("say what to do: --to N, --abort, --pause, --resume or --plan; see --help")
    if len(given) > 1 or (to is not None and given not in ([], ["--plan"])):
        wanted = [*(["--to"] if to is not None else []), *given]
        raise UserError(f"{' and '.join(wanted)} do not go together: give one of them")
    if wait and (to is None or given):
        raise UserError("--wait goes with --to alone")


def _ask(directory: StateDirectory, order: ReshardOrder) -> ReshardAnswer:
    try:
        return asyncio.run(ask_reshard(directory.status_socket, order))
    except NotRunningError as error:
        raise GatewayNotRunningError(f"the running `up` did not take the request: {error}") from None


def _plan(directory: StateDirectory, to: int | None) -> ReshardPreview:
    try:
        return asyncio.run(fetch_preview(directory.status_socket, to))
    except NotRunningError as error:
        raise GatewayNotRunningError(f"the running `up` did not answer: {error}") from None


class _Reaching:
    """Follows a reshard to `to` shards: it is done when the set that is active has as many."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._seen = False
        self._looks = 0

    def __call__(self, status: GatewayStatus) -> Step:
        active, reshard = status.active, status.reshard
        if reshard is not None:
            # One that is being given back is another's: this one begins when that has ended.
            ours = reshard.to == self._to and reshard.phase != ReshardPhase.ABORTING
            self._seen = self._seen or ours
            return _under_way(status)
        if active is not None and active.shard_count == self._to:
            return Step(
                f"done: {active.shard_count:,} shards deliver everything, {active.ready:,} connected", done=True
            )
        self._looks += 1
        if self._seen or self._looks >= LOOKS_UNTIL_BEGUN:
            how = "it was given up" if self._seen else "it was not begun"
            why = next((one.message for one in status.conditions if one.type == "Resharding"), "")
            then = f"{status.shards:,} shards deliver everything: see `{status_command()}`"
            return Step(f"{how}, {then} ({why})" if why else f"{how}, {then}", failed=True)
        return Step("waiting for the operator")


class _Ending:
    """Follows a reshard that is given up, not the next one, which something else may ask for."""

    def __init__(self) -> None:
        self._to: int | None = None
        self._looks = 0

    def __call__(self, status: GatewayStatus) -> Step:
        reshard = status.reshard
        given_up = f"given up: {status.shards:,} shards deliver everything, as before"
        if reshard is None:
            return Step(given_up, done=True)
        self._to = self._to or reshard.to
        self._looks += 1
        # What is given up before it has begun is gone at once, so one that still prepares is the next.
        late = reshard.phase == ReshardPhase.PREPARING and self._looks >= LOOKS_UNTIL_BEGUN
        if late or reshard.to != self._to:
            return Step(f"{given_up}; one to {reshard.to:,} shards comes next: {reshard.reason}", done=True)
        return _under_way(status)


def _under_way(status: GatewayStatus) -> Step:
    reshard = status.reshard
    assert reshard is not None, "asked for only then"
    return Step(f"{reshard.phase}: {reshard.progress}", waiting=reshard.waiting_for)
