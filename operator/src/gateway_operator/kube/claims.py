"""One token, one gateway: two with the same shards would end each other's sessions, and deliver everything twice."""

from dataclasses import dataclass

from gateway_operator.control import Key
from gateway_operator.model import Spec


@dataclass(frozen=True, slots=True)
class Claim:
    """`token` is a digest."""

    token: str
    shards: int | None
    first_shard_id: int
    last_shard_id: int | None

    @classmethod
    def of(cls, spec: Spec, *, token: str) -> "Claim":
        sharding = spec.sharding
        return cls(token, spec.shards, sharding.first_shard_id or 0, sharding.last_shard_id)

    def excludes(self, other: "Claim") -> bool:
        """Whether the two cannot both run: unless they hold disjoint parts of one set."""
        if self.token != other.token:
            return False
        if self.shards is None or self.shards != other.shards:
            return True
        return _begins_within(self, other) and _begins_within(other, self)


def _begins_within(one: Claim, other: Claim) -> bool:
    """Whether the one's first shard is not past the other's last."""
    return other.last_shard_id is None or one.first_shard_id <= other.last_shard_id


class Claims:
    """Who runs with which token, over all gateways of this operator."""

    def __init__(self) -> None:
        self._claims: dict[Key, Claim] = {}

    def make(self, key: Key, claim: Claim) -> Key | None:
        """Claim it; the gateway that was first instead, if there is one: it runs, however young it is."""
        for other, its in self._claims.items():
            if other != key and claim.excludes(its):
                return other
        self._claims[key] = claim
        return None

    def give_up(self, key: Key) -> None:
        self._claims.pop(key, None)
