"""The seam to whoever grants permits: no shard identifies without one (invariant I4)."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Granted:
    """Leave to identify, good for `expires_in` seconds from the asking."""

    permit: int
    expires_in: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: ask again in `retry_in` seconds."""

    retry_in: float
    reason: str


class Permits(Protocol):
    """Answers at once; never raises."""

    async def ask(self, shard_id: int, *, ready: bool) -> Granted | Wait:
        """Ask for one shard. With `ready` false only the waiting time is wanted."""
        ...

    def identify_sent(self, shard_id: int, permit: int) -> None:
        """Report that the permit was used."""
        ...
