"""`discord-gateway-shardpod dead-letters`: asks the pod that runs in this container, and prints its answer as JSON.

`kubectl dgw dead-letters` runs it by `exec`, so whoever may do that needs no other secret than the pod's own, and no
port is opened. It imports little: its memory is the container's.
"""

import argparse
import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from .config import ConfigError, PodConfig, read_config

DEAD_LETTERS_PATH = "/v1/dead-letters"

ANSWER_TIMEOUT = 30.0
"""Seconds that the pod has to answer."""

_FAILED, _USAGE_ERROR = 1, 2


def main(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """The exit status: 0 with JSON on standard output, else with a line on standard error."""
    asked = parser().parse_args(arguments)
    try:
        status, text = _ask(read_config(environ), asked)
    except ConfigError as error:
        return _fail(_USAGE_ERROR, f"{error} Run this inside of one.")
    except (OSError, http.client.HTTPException) as error:
        return _fail(_FAILED, f"the pod does not answer: {error}")
    if status != HTTPStatus.OK:
        return _fail(_FAILED, f"the pod answered {status}: {text.strip()}")
    print(text)  # noqa: T201 -- what was asked for
    return 0


def parser() -> argparse.ArgumentParser:
    """Of the arguments, as `kubectl dgw` gives them."""
    made = argparse.ArgumentParser(
        prog="discord-gateway-shardpod",
        description="Without arguments: run a shard pod. Inside of one: ask it about its dead letters.",
    )
    letters = made.add_subparsers(required=True).add_parser("dead-letters", help="events that the bot refused")
    what = letters.add_subparsers(dest="what", required=True)
    what.add_parser("list", help="print them as JSON")
    for name, description in (("replay", "deliver them again"), ("discard", "delete them for good")):
        which = what.add_parser(name, help=description).add_mutually_exclusive_group(required=True)
        which.add_argument("--all", action="store_true", help="all of them")
        which.add_argument("--key", dest="keys", action="append", help="one of them; repeatable")
    return made


def _ask(config: PodConfig, asked: argparse.Namespace) -> tuple[int, str]:
    connection = http.client.HTTPConnection(config.http_host, config.http_port, timeout=ANSWER_TIMEOUT)
    headers = {"Authorization": f"Bearer {config.control_secret}"}
    if asked.what == "list":
        connection.request("GET", DEAD_LETTERS_PATH, headers=headers)
    else:
        body = json.dumps({"all": True} if asked.all else {"keys": asked.keys})
        connection.request("POST", f"{DEAD_LETTERS_PATH}/{asked.what}", body, headers)
    response = connection.getresponse()
    return response.status, response.read().decode(errors="replace")


def _fail(status: int, message: str) -> int:
    print(message, file=sys.stderr)  # noqa: T201 -- whoever asked reads it
    return status
