"""The seams to where a shard's session comes from: a permit to identify (invariant I4), or the pod that held it."""

from dataclasses import dataclass
from typing import Protocol

from shardpod.protocol import Session


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


class Predecessors(Protocol):
    """The seam to whoever holds the session of a shard that is to be held here."""

    async def take(self, shard_id: int) -> Session | None:
        """The session that its holder has just given up; None when there is none to be had. Never raises."""
        ...


class Permits(Protocol):
    """Answers at once; never raises."""

    async def ask(self, shard_id: int, *, ready: bool) -> Granted | Wait:
        """Ask for one shard. With `ready` false only the waiting time is wanted."""
        ...

    def identify_sent(self, shard_id: int, permit: int) -> None:
        """Report that the permit was used."""
        ...
