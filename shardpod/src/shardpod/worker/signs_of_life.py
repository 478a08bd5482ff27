"""Whether the sessions that a handover concerns live: connected, read from, and heard of.

A connection can be dead for a minute before a heartbeat shows it, and by all that is seen here until then its session
is only quiet. What it misses comes by a replay, when the range may have changed hands.
"""

from collections.abc import Collection, Mapping
from math import inf

from shardpod.protocol import ShardState

from .shard import Shard

PAUSE = 0.6
"""Seconds between two questions to one session: Discord takes 120 messages a minute (docs, Gateway: Rate Limiting)."""

PATIENCE = 2.0
"""Seconds for an answer."""


class SignsOfLife:
    """Of all shards of a worker; those that a call is about are named by their numbers."""

    def __init__(self, shards: Mapping[int, Shard]) -> None:
        self._shards = shards
        self._asked_at: dict[int, float] = {}

    def connected(self, shard_ids: Collection[int]) -> bool:
        """Whether all that Discord sends comes here: not while nothing is read for want of room (overflow: pause)."""
        shards = [self._shards.get(one) for one in shard_ids]  # some may not be begun with yet
        return all(
            shard is not None and shard.protocol.state is ShardState.CONNECTED and shard.runner.reads
            for shard in shards
        )

    def reads(self, shard_ids: Collection[int]) -> bool:
        """Whether what comes is read when it comes."""
        return all(shard.runner.reads for _, shard in self._with_a_session(shard_ids))

    def heard_at(self, shard_ids: Collection[int], now: float) -> float:
        """When the session that is silent for longest was heard of."""
        return min((shard.protocol.hearing.heard_at for _, shard in self._with_a_session(shard_ids)), default=now)

    def ask(self, shard_ids: Collection[int], since: float | None, now: float, *, prompt: float) -> None:
        """Ask those who were not heard of since then; who has not answered yet is asked again after a while.

        So is every session that took longer than `prompt` seconds: what comes by it counts as late until it answers
        promptly.
        """
        for shard_id, shard in self._with_a_session(self._shards):
            heard_at, asked_at = shard.protocol.hearing.heard_at, self._asked_at.get(shard_id, -inf)
            pause = PAUSE if heard_at >= asked_at else PATIENCE
            silent = shard_id in shard_ids and since is not None and heard_at < since
            if (silent or shard.protocol.hearing.silent_since is not None) and now >= asked_at + pause:
                self._asked_at[shard_id] = now
                shard.runner.ask_for_a_sign(prompt)

    def _with_a_session(self, shard_ids: Collection[int]) -> list[tuple[int, Shard]]:
        """Or with one to come: Discord has refused the others for good."""
        shards = ((one, self._shards.get(one)) for one in shard_ids)
        return [
            (one, shard)
            for one, shard in shards
            if shard is not None and shard.protocol.state is not ShardState.REFUSED
        ]
