"""What the next operator has to know of resharding: stored as one, so that no part of it is newer than another."""

from dataclasses import dataclass, field

from .world import Aborted, Reshard, ReshardRequest


@dataclass(frozen=True, slots=True)
class ReshardRecord:
    """The reshard under way, what a person asked for, and the counters that only go up.

    `aborted`: the last reshard that was given up.
    """

    reshard: Reshard | None = None
    request: ReshardRequest = field(default_factory=ReshardRequest)
    last_epoch: int = 0
    last_handover: int = 0
    aborted: Aborted | None = None
