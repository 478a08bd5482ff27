"""Finds the one running gateway that a command is about, and asks it how it is doing."""

import asyncio
from pathlib import Path

import click
from pydantic import ValidationError

from gateway_operator.core.status_model import GatewayStatus
from gateway_operator.local.state_directory import StateDirectory
from gateway_operator.local.status_socket import NotRunningError, fetch_status

from .errors import GatewayNotRunningError, UserError
from .places import asked_places, gateway_name, left_alone

FILE_OR_NAME = "FILE_OR_NAME is the file given to `up`, or the gateway's name; it can be left out while only one runs."

state_dir_option = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="As given to `up`, if it was given there. Not on a cluster.",
)


def find_running(file_or_name: str | None, state_dir: Path | None) -> tuple[StateDirectory, str]:
    """Where it runs, and its status as JSON; raises UserError."""
    name = gateway_name(file_or_name) if file_or_name else None
    answers = [
        (found, directory, text)
        for found, directory in asked_places(name, state_dir)
        if (text := _answer(found, directory)) is not None
    ]
    if not answers:
        raise GatewayNotRunningError(_not_running(name, state_dir))
    if name is None and len(answers) > 1:
        names = ", ".join(found for found, _directory, _text in answers)
        raise UserError(f"several gateways run here, name one of them: {names}")
    return answers[0][1:]


def understood(text: str) -> GatewayStatus:
    """The status that a running `up` told; raises UserError."""
    try:
        return GatewayStatus.model_validate_json(text)
    except ValidationError:
        raise UserError("the running `up` is of another version: restart it, or use -o json") from None


def _answer(name: str, directory: StateDirectory) -> str | None:
    try:
        text = asyncio.run(fetch_status(directory.status_socket))
    except NotRunningError:
        return None
    if text is None:
        raise GatewayNotRunningError(f"{name} has only just started and knows nothing yet: ask again")
    return text


def _not_running(name: str | None, state_dir: Path | None) -> str:
    if (left := left_alone(name, state_dir)) is not None:
        found, pods = left
        which = "1 of its pods still runs and delivers" if pods == 1 else f"{pods} of its pods still run and deliver"
        return f"{found} is not running, but {which} events: `discord-gateway up FILE` takes over what is there"
    who = f"{name} is not running" if name else "no gateway is running"
    if state_dir is not None:
        return f"{who} with the state directory {state_dir}: start it with `discord-gateway up FILE`"
    return f"{who} here: start it with `discord-gateway up FILE`, or name its --state-dir if it was given one"
