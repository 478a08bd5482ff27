"""Which of the two a command is about: this machine, or a cluster and which one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway_operator.command.errors import UserError

WHICH_SIDE = (
    "With -n, --context or --kubeconfig, and always as `kubectl dgw`, this is about a gateway on a Kubernetes cluster; "
    "otherwise about one that `discord-gateway up` runs on this machine."
)

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(slots=True)
class Chosen:
    """What was given of the options below; `cluster`: any of them, or the program is the plugin."""

    cluster: bool = False
    namespace: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None
    operator_namespace: str | None = None
    all_namespaces: bool = False


def _note(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Kept beside the command's own parameters, so that they may also stand before it: `kubectl dgw -n x status`."""
    if value:
        chosen = context.ensure_object(Chosen)
        assert parameter.name is not None, "options have names"
        setattr(chosen, parameter.name, value)
        chosen.cluster = True


def cluster_options(command: _Command) -> _Command:
    """The options that name a cluster and a namespace; any of them means a cluster."""
    command = click.option(
        "--operator-namespace",
        callback=_note,
        expose_value=False,
        help="Where the operator runs, for those who may not look for it in all namespaces.",
    )(command)
    command = click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path, dir_okay=False),
        callback=_note,
        expose_value=False,
        help="As for kubectl.  [default: KUBECONFIG, else ~/.kube/config]",
    )(command)
    command = click.option(
        "--context", callback=_note, expose_value=False, help="Of the kubeconfig.  [default: the current one]"
    )(command)
    return click.option(
        "-n",
        "--namespace",
        callback=_note,
        expose_value=False,
        help="Of the gateway on a cluster.  [default: the context's]",
    )(command)


def all_namespaces_option(command: _Command) -> _Command:
    """The option of commands that list."""
    return click.option(
        "-A",
        "--all-namespaces",
        is_flag=True,
        callback=_note,
        expose_value=False,
        help="On a cluster: the gateways of all namespaces.",
    )(command)


def cluster_chosen(state_dir: Path | None = None) -> Chosen | None:
    """What was chosen of a cluster; None if this machine is meant. Raises UserError if both are."""
    chosen = click.get_current_context().ensure_object(Chosen)
    if not chosen.cluster:
        return None
    if state_dir is not None:
        raise UserError("--state-dir is about this machine, and the other options about a cluster: give one of them")
    return chosen


def status_command() -> str:
    """What shows how a gateway of the chosen side is doing."""
    return "kubectl dgw status" if cluster_chosen() is not None else "discord-gateway status"
