"""The seam between the queue and whatever takes the events."""

from collections.abc import Callable
from typing import Protocol

from .lane import Batch


class SinkError(Exception):
    """Not all of a batch was acknowledged; the rest will be delivered again with the same keys.

    `unreachable`: the sink itself is away, rather than this batch unwelcome. `retry_after`: seconds that the sink
    asked to be left alone, if it did. `acknowledged`: so many of the batch's first events were taken, never all.
    `rejected`: the sink wants the first event after these never, rather than being in trouble itself. `called_off`:
    the batch was not to be sent any more, so that nothing failed.
    """

    def __init__(
        self,
        message: str,
        *,
        unreachable: bool = False,
        retry_after: float | None = None,
        acknowledged: int = 0,
        rejected: bool = False,
        called_off: bool = False,
    ) -> None:
        super().__init__(message)
        self.unreachable = unreachable
        self.retry_after = retry_after
        self.acknowledged = acknowledged
        self.rejected = rejected
        self.called_off = called_off


Done = Callable[[Batch, SinkError | None], None]
"""Called exactly once for a batch: with None when all its events are acknowledged."""


class Sink(Protocol):
    """Takes events. Callbacks, not coroutines: an event must not cost a task's wake-up or two."""

    def submit(self, batch: Batch, done: Done) -> None:
        """Deliver `batch`, several at a time but never two of one lane; call `done` now or later.

        What cannot be sent at once is sent only if the batch is not `called_off` by then.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; batches under way fail."""
        ...
