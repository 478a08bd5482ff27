"""The command `discord-simulator-fault`: words to one fault, sent to a simulator that runs already.

It reads faults with the code that the simulator itself uses, and knows none of them by name.
"""

import http.client
import json
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from discord_simulator.fault_requests import catalogue, read_words
from discord_simulator.wrong_input import WrongInputError

_NAME = "discord-simulator-fault"
_WRONG_INPUT = 2
_NO_SIMULATOR = 3
_TIMEOUT_S = 10.0  # the simulator answers at once; a machine under load may need a moment
_NAMES_SHOWN = 5
_OK, _BAD_REQUEST, _NOT_FOUND = 200, 400, 404

_HELP = """Send a fault to a running discord-simulator, and say whom it met.

Fields are written field=value; a list as a,b,c. `--list` shows all faults and their fields. A target is all (the
default), a shard such as 0/4, or a session id.

\b
Example: a simulator that writes down its addresses, and what can happen to its clients
  discord-simulator --ready-file sim.json &
  discord-simulator-fault --ready-file sim.json tcp-reset target=0/4
  discord-simulator-fault --ready-file sim.json drop target=0/4 events=MESSAGE_CREATE share=0.5 seconds=10
  discord-simulator-fault --ready-file sim.json guild-outage count=20 seconds=3
  discord-simulator-fault --ready-file sim.json heal

\b
Example: the address once for all commands
  export DISCORD_SIMULATOR_CONTROL=http://127.0.0.1:8082
  discord-simulator-fault gateway-bot status=429 answer=html retry_after=5 times=2

\b
Exit codes
  0  done, even if there was no session to meet
  2  a wrong fault, field or target: the message says what is allowed
  3  no simulator there
"""


class NoSimulatorError(Exception):
    """Nothing that answers as a simulator's control API does."""


class RefusedError(Exception):
    """The simulator's own words on what it cannot do."""


def _read_control(_context: click.Context, _parameter: click.Parameter, control: str | None) -> str | None:
    if control is None:
        return None
    try:
        parts = urlsplit(control)
        usable = parts.scheme == "http" and parts.hostname is not None and parts.port != 0
    except ValueError:  # a port that is none
        usable = False
    if not usable:
        raise click.BadParameter(f"{control!r} is no address such as http://127.0.0.1:8082")
    return control


@click.command(help=_HELP, context_settings={"max_content_width": 110})
@click.option(
    "--control",
    metavar="URL",
    envvar="DISCORD_SIMULATOR_CONTROL",
    show_envvar=True,
    callback=_read_control,
    help="The simulator's control API.",
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Take the address from the file that `discord-simulator --ready-file FILE` wrote.",
)
@click.option("--list", "list_faults", is_flag=True, help="Show all faults with their fields; needs no simulator.")
@click.option(
    "-o", "output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to answer."
)
@click.version_option(version("discord-gateway-simulator"), prog_name=_NAME)
@click.argument("fault", required=False)
@click.argument("fields", metavar="[FIELD=VALUE]...", nargs=-1)
@click.pass_context
def main(
    context: click.Context,
    /,
    *,
    control: str | None,
    ready_file: Path | None,
    list_faults: bool,
    output: str,
    fault: str | None,
    fields: tuple[str, ...],
) -> None:
    if list_faults:
        click.echo(json.dumps(catalogue(), indent=2) if output == "json" else _listing(catalogue()))
        return
    if fault is None:
        raise click.UsageError("which FAULT? `--list` shows all of them")
    try:
        body = _read_body(fault, fields)
        met = send(_address(context, control, ready_file), body)
    except (WrongInputError, RefusedError) as error:
        _end(error, _WRONG_INPUT)
    except NoSimulatorError as error:
        _end(error, _NO_SIMULATOR)
    else:
        click.echo(json.dumps(met) if output == "json" else describe(fault, met))


def send(control: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the simulator at `control` for a fault; give what it met.

    Raises `NoSimulatorError`, or `RefusedError`.
    """
    status, answer = _post(control, json.dumps(body))
    if status == _OK:
        return answer
    if status == _BAD_REQUEST and {"field", "error", "allowed"} <= answer.keys():
        raise RefusedError(WrongInputError(answer["field"], answer["error"], answer["allowed"]))
    if status == _NOT_FOUND and "error" in answer:
        raise RefusedError(f"target: {answer['error']}")
    raise NoSimulatorError(f"{control} is no simulator's control API: it answers {status}")


def describe(fault: str, met: Mapping[str, Any]) -> str:
    """Say in a line what a fault met: sessions, guilds, or nothing yet."""
    if not met:
        return f"{fault} is set for what comes next"
    parts = [_in_words(name, value) for name, value in met.items()]
    return f"{fault} met {', '.join(parts)}" if _is_about_lists(met) else f"{fault} are now: {', '.join(parts)}"


def _is_about_lists(met: Mapping[str, Any]) -> bool:
    return all(isinstance(value, list) for value in met.values())


def _in_words(name: str, value: Any) -> str:
    if not isinstance(value, list):
        return f"{name} {value}"
    if not value:
        return f"no {name}"
    shown = ", ".join(str(each) for each in value[:_NAMES_SHOWN])
    more = f" and {len(value) - _NAMES_SHOWN} more" if len(value) > _NAMES_SHOWN else ""
    return f"{len(value)} {name if len(value) > 1 else name.removesuffix('s')}: {shown}{more}"


def _read_body(fault: str, fields: tuple[str, ...]) -> dict[str, Any]:
    words: dict[str, str] = {}
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals:
            raise click.UsageError(f"{field!r} is no field=value, such as target=0/4")
        if name in words:
            raise click.UsageError(f"{name} is there twice; a list is written {name}=a,b")
        words[name] = value
    asked = msgspec.to_builtins(read_words(fault, words))
    return {"fault": fault} | {name: asked[name] for name in words}


def _address(context: click.Context, control: str | None, ready_file: Path | None) -> str:
    if ready_file is not None:
        if context.get_parameter_source("control") is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("--control or --ready-file, not both")
        return _address_in(ready_file)
    if control is None:
        raise click.UsageError("where is the simulator? --control URL, --ready-file FILE or DISCORD_SIMULATOR_CONTROL")
    return control


def _address_in(ready_file: Path) -> str:
    try:
        return str(json.loads(ready_file.read_text(encoding="utf-8"))["control_url"])
    except OSError as error:
        raise NoSimulatorError(
            f"no simulator: {ready_file}: {error.strerror}; `discord-simulator --ready-file {ready_file}` writes it"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise NoSimulatorError(
            f"no simulator: {ready_file} is not what discord-simulator --ready-file writes"
        ) from error


def _post(control: str, body: str) -> tuple[int, dict[str, Any]]:
    """`http.client`, as it asks no proxy for loopback addresses. What is no JSON object is read as an empty one."""
    address = urlsplit(control)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_TIMEOUT_S)
    try:
        connection.request("POST", f"{address.path.rstrip('/')}/faults", body)
        response = connection.getresponse()
        status, text = response.status, response.read()
    except (OSError, http.client.HTTPException, UnicodeError) as error:  # UnicodeError: a host that cannot be one
        raise NoSimulatorError(
            f"no simulator at {control} ({error}); start `discord-simulator`, or name another by --control"
        ) from error
    finally:
        connection.close()
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    return status, answer if isinstance(answer, dict) else {}


def _listing(faults: Mapping[str, Mapping[str, str]]) -> str:
    width = max(len(field) for fields in faults.values() for field in fields)
    lines: list[str] = []
    for fault, fields in faults.items():
        lines += [fault, *(f"  {field:{width}}  {allowed}" for field, allowed in fields.items())]
    return "\n".join(lines)


def _end(error: Exception, code: int) -> None:
    click.echo(f"{_NAME}: {error}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
