"""What becomes of a handover whose range is on its way: it is committed, given back, or waited for.

Given back is only what no taker may be delivering: one that was granted a lease is finished, unless it is lost; and
before anything is given back, no lease is granted any more and the last one has run out on the operator's clock.
"""

from dataclasses import dataclass

from shardpod.contract import Handover, HandoverState

from .reshard_concern import Concern, concern, told_of
from .spoken import spoken_duration
from .world import InstanceSeen, LeaseView, Reshard, ShardSet, World

FENCING_PATIENCE = 10.0
"""Seconds, past two fences, until a handover is given back in which not all givers have fenced."""

SILENCE = 30.0
"""Seconds after the last lease until a handover is given back whose takers have not asked for another."""

HALFWAY = 15.0
"""Seconds until a handover is given back in which some takers are live and others cannot become so."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done yet; `reason` says what is waited for."""

    reason: str


@dataclass(frozen=True, slots=True)
class Commit:
    """All takers have settled: the range is theirs."""


@dataclass(frozen=True, slots=True)
class Close:
    """It is to be given back, for this reason: no lease may be granted any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveBack:
    """No taker can be delivering any more: the range is the givers' again."""


def judge(
    world: World, active: ShardSet, reshard: Reshard, handover: Handover, now: float
) -> Wait | Commit | Close | GiveBack:
    """Decides about a handover in step go. `now` is on the operator's monotonic clock, as the leases are."""
    if reshard.giving_back is not None:
        if not world.lease.closed:
            return Wait(f"it is being given back: {reshard.giving_back}")
        return GiveBack() if _over(world.lease, now) else Wait("the last lease to deliver it has to run out first")
    concerned = concern(handover.range, active, reshard.pending)
    seen = sorted(world.instances.values(), key=lambda one: one.spec.number)
    givers = _States(concerned, seen, handover, handover.from_epoch)
    takers = _States(concerned, seen, handover, handover.to_epoch)
    wanted = concerned.of(reshard.pending if handover.to_epoch == reshard.pending.epoch else active)
    if takers.all_settled(wanted):
        return Commit()
    reason = _lost(givers, takers, world.lease, now) or _stuck(takers, world, reshard, now)
    return Close(reason) if reason is not None else Wait(_still_to_come(givers, takers))


class _States:
    """What the instances of one side say, by name; None: nothing, or not of this handover."""

    def __init__(self, concerned: Concern, seen: list[InstanceSeen], handover: Handover, epoch: int) -> None:
        self._concerned = concerned
        self._instances = list(concerned.instances(seen, epoch))
        self.said = {one.spec.name: told_of(one, handover) for one in self._instances}

    def names(self, *states: HandoverState) -> list[str]:
        """Who is in one of these states."""
        return [name for name, said in self.said.items() if said is not None and said.state in states]

    def why(self, name: str) -> str:
        said = self.said[name]
        return f" ({said.reason})" if said is not None and said.reason else ""

    def all_settled(self, shards: frozenset[int]) -> bool:
        """Whether every one of these shards has a holder, and all holders have settled and can still be asked."""
        holders = [shard for one in self._instances for shard in self._concerned.shards(one.spec.pod)]
        connected = all(one.connected for one in self._instances)
        return connected and shards <= set(holders) and len(self.names("settled")) == len(self.said)


def _over(lease: LeaseView, now: float) -> bool:
    return lease.until is None or now >= lease.until


def _lost(givers: _States, takers: _States, lease: LeaseView, now: float) -> str | None:
    """Somebody has said that it cannot go on."""
    for name in takers.names("lost"):
        return f"{name} cannot take the range{takers.why(name)}"
    for name in givers.names("undone"):
        return f"{name} could not fence it{givers.why(name)}"
    may_be_live = lease.opened or not _over(lease, now) or takers.names("live", "expired", "settled")
    # Without what this giver knew before its fence, who has not begun to deliver cannot begin any more.
    cannot_begin = takers.names("waiting", "rehearsed", "rehearsing")
    for name in givers.names("lost") if cannot_begin or not may_be_live else []:
        return f"{name} was started again in the middle of it"
    return None


def _stuck(takers: _States, world: World, reshard: Reshard, now: float) -> str | None:
    """Nobody has said anything, and nothing moves. Takers that are live and only slow to settle are waited for."""
    lease = world.lease
    if lease.until is None or lease.since is None:
        patience = 2 * reshard.windows.fence_timeout + FENCING_PATIENCE
        waited = world.wall_now - reshard.went_at > patience
        return f"it was not begun within {spoken_duration(patience)}" if waited else None
    if now >= lease.until + SILENCE:
        return "its new owners were not heard of any more"
    halfway = len(takers.names("live", "settled", "expired")) < len(takers.said)
    if halfway and now >= lease.since + HALFWAY:
        return "some of its new owners could not begin to deliver"
    return None


def _still_to_come(givers: _States, takers: _States) -> str:
    for name, said in takers.said.items():
        if said is not None and said.state in ("live", "expired"):
            return f"{name} is delivering, and has not yet settled all{takers.why(name)}"
    unfenced = [name for name in givers.said if name not in givers.names("fenced", "lost")]
    for name in unfenced:
        return f"{name} is fencing it{givers.why(name)}"
    return "its new owners are about to begin"
