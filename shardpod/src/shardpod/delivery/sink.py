"""The seam between the queue and whatever takes the events."""

from collections.abc import Sequence
from typing import Protocol

from shardpod.protocol import Event


class SinkError(Exception):
    """A batch was not acknowledged; it will be delivered again with the same keys.

    `unreachable`: the sink itself is away, rather than this batch unwelcome. `retry_after`: seconds that the sink
    asked to be left alone, if it did.
    """

    def __init__(self, message: str, *, unreachable: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.unreachable = unreachable
        self.retry_after = retry_after


class Sink(Protocol):
    """Takes events. Called by several senders at once, but never twice at a time for the same lane."""

    async def deliver(self, events: Sequence[Event], attempt: int) -> None:
        """Return once all `events` are acknowledged; raise SinkError if they are not. `attempt` counts from 1."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
