"""A command that is run in a container, as by `kubectl exec`: what it is, and what came of it.

The API server sends over a WebSocket what it printed, and at the end how it ended (Kubernetes docs, API reference:
PodExecOptions; the channels are remotecommand's v4).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from .api import Answer, ClusterError, Request, Trouble, refusal

_STDOUT, _STDERR, _HOW_IT_ENDED = 1, 2, 3

PATIENCE = 60.0
"""Seconds until it has ended."""


@dataclass(frozen=True, slots=True)
class Execution:
    """`command` in `container` of `pod`."""

    namespace: str
    pod: str
    container: str
    command: Sequence[str]

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}/exec"

    @property
    def query(self) -> list[tuple[str, object]]:
        return [("container", self.container), ("command", list(self.command)), ("stdout", "true"), ("stderr", "true")]

    def refused(self, status: int) -> ClusterError:
        """What it means that the API server does not begin it: it says so by the status alone."""
        if status == HTTPStatus.NOT_FOUND:
            text = f"{self.pod} is not there any more: it has just been replaced, so try again"
            return ClusterError(Trouble.NOT_FOUND, text)
        request = Request("create", "pods/exec", self.namespace, "")
        return refusal(request, Answer(status, b"the API server does not say why"))


@dataclass(frozen=True, slots=True)
class Executed:
    """`problem`: None if it ended with exit status 0."""

    output: str
    errors: str
    problem: str | None


class Runner(Protocol):
    """Runs commands in containers. Raises ClusterError when one cannot be begun, or does not end."""

    async def execute(self, execution: Execution) -> Executed: ...


def executed(messages: Sequence[bytes]) -> Executed:
    """What the messages tell, whose first byte is their channel."""
    told = {channel: bytearray() for channel in (_STDOUT, _STDERR, _HOW_IT_ENDED)}
    for message in messages:
        if message and message[0] in told:
            told[message[0]] += message[1:]
    return Executed(
        told[_STDOUT].decode(errors="replace"), told[_STDERR].decode(errors="replace"), _problem(told[_HOW_IT_ENDED])
    )


def _problem(status: bytearray) -> str | None:
    """Of the Status object in which it ended."""
    if not status:
        return "the connection broke before it had ended"
    ended = json.loads(status)
    return None if ended.get("status") == "Success" else str(ended.get("message"))
