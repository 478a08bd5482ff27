"""What the phases of a reshard look at, and what they say of the next one."""

from dataclasses import dataclass, replace

from gateway_operator.model import Spec

from .reshard_target import Target
from .world import Aborted, Reshard, ReshardPhase, ReshardRequest, ShardSet, World

PAUSED = "it is paused by hand (`discord-gateway reshard --resume` lets it go on)"
PAUSED_BY_SPEC = "spec.paused is true"
SUSPENDED = "the gateway is suspended (spec.suspend is true)"


def why_paused(spec: Spec, request: ReshardRequest) -> str | None:
    """Why nothing more is begun or handed over, fit for users; None: nobody has said so."""
    if spec.suspend:
        return SUSPENDED
    if spec.paused:
        return PAUSED_BY_SPEC
    return PAUSED if request.paused else None


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be remembered after a pass, and why nothing moves, fit for users; None while it does."""

    active: ShardSet
    reshard: Reshard | None
    request: ReshardRequest
    aborted: Aborted | None
    last_epoch: int
    last_handover: int
    waiting_for: str | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """One pass's view. `now` is on the operator's monotonic clock in seconds; `target` is what is wanted."""

    spec: Spec
    world: World
    active: ShardSet
    now: float
    target: Target | None

    @property
    def paused_because(self) -> str | None:
        """Why nothing more is begun or handed over."""
        return why_paused(self.spec, self.world.request)

    @property
    def wall(self) -> float:
        """The date, in Unix seconds: what is stored is counted by it."""
        return self.world.wall_now

    def enter(self, phase: ReshardPhase, reshard: Reshard) -> Step:
        """The next phase is reached."""
        return self.stay(replace(reshard, phase=phase, progressed_at=self.wall), None)

    def stay(self, reshard: Reshard, waiting_for: str | None) -> Step:
        """The reshard goes on, or waits for something."""
        return Step(
            active=self.active,
            reshard=reshard,
            request=self.world.request,
            aborted=self.world.aborted,
            last_epoch=max(self.world.last_epoch, self.active.epoch, reshard.pending.epoch),
            last_handover=max(self.world.last_handover, reshard.last_handover),
            waiting_for=waiting_for,
        )

    def kept_alive(self, reshard: Reshard) -> Reshard:
        """What is waited for is no standstill; noted seldom, as each change is stored."""
        if self.wall < reshard.progressed_at + self.spec.reshard.abort_after / 2:
            return reshard
        return replace(reshard, progressed_at=self.wall)

    def idle(self) -> Step:
        """No reshard, or none any more: the pods of a set that is neither active nor pending end."""
        reshard = self.world.reshard
        return Step(
            active=self.active,
            reshard=None,
            request=self.world.request,
            aborted=self.world.aborted,
            last_epoch=max(self.world.last_epoch, self.active.epoch, reshard.pending.epoch if reshard else 0),
            last_handover=max(self.world.last_handover, reshard.last_handover if reshard else 0),
        )
