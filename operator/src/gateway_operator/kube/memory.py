"""What the operator remembers of a gateway, in a ConfigMap and, for the sessions, in Secrets beside it.

The ConfigMap is written with the `resourceVersion` that was read: when another operator has taken the gateway up, the
one before it can store nothing any more, and so does nothing any more.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

import structlog
from pydantic import ValidationError

from gateway_operator.core.checkpoints import Checkpoints
from gateway_operator.core.reshard_record import ReshardRecord
from gateway_operator.core.world import PodSpec, ShardSet
from shardpod.contract import Checkpoint

from .api import CONFIG_MAP, SECRET, ApiError, KubeApi, Object
from .checkpoint_secrets import by_range, checkpoint_secret, read_checkpoints
from .names import Owner, checkpoints_name, is_of_another, state_name
from .state import GatewayState, state_format, state_from_status

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_KEY = "state.json"

SECRETS_AT_ONCE = 5
"""Secrets with sessions written in a second at most, over all of a gateway, while the sessions stay the same."""


class DeposedError(Exception):
    """Another operator has taken this gateway up."""


class StateUnreadableError(Exception):
    """The ConfigMap is there and cannot be read; the text says what to do."""


class KubeMemory:
    """The operator's `Memory`. Ask for it by `taken_up`."""

    def __init__(
        self, api: KubeApi, owner: Owner, state: GatewayState, stored: Object, clock: Callable[[], float]
    ) -> None:
        self.state = state
        self._api = api
        self._owner = owner
        self._stored = stored
        self._stored_state = state
        self._clock = clock
        self._checkpoints: Checkpoints = {}
        self._written: dict[PodSpec, list[Checkpoint]] = {}
        self._write_at = clock()

    @classmethod
    async def taken_up(
        cls,
        api: KubeApi,
        owner: Owner,
        status: Mapping[str, Any],
        *,
        clock: Callable[[], float],
        calendar: Callable[[], datetime],
    ) -> "KubeMemory":
        """That of the resource `owner`, under a new term, which is stored already. Raises ApiError, StateUnreadable.

        `status` is the resource's: it tells the most needed, should the ConfigMap be lost.
        """
        found = await api.get(CONFIG_MAP, owner.namespace, state_name(owner.name))
        if found is None:
            state = state_from_status(status)
            # Pods heed no lower term than they have heard, and nobody knows that one any more: no count gets so high.
            state = replace(state, term=int(calendar().timestamp())) if state.active is not None else state
        else:
            state = _read(found)
            if is_of_another(owner, found):
                # Of an earlier resource of this name: it is none of ours, and about to be collected.
                state = GatewayState(term=state.term)
        state = replace(state, term=state.term + 1)
        wanted = _config_map(owner, state)
        if found is None:
            stored = await api.create(CONFIG_MAP, wanted)
        else:
            metadata = found["metadata"] | {"ownerReferences": wanted["metadata"]["ownerReferences"]}
            stored = await api.replace(CONFIG_MAP, wanted | {"metadata": metadata})
        memory = cls(api, owner, state, stored, clock)
        await memory._read_sessions()
        return memory

    @staticmethod
    async def last_right_spec(api: KubeApi, namespace: str, gateway: str) -> dict[str, Any] | None:
        """The spec that the gateway last ran with, read without taking it up."""
        found = await api.get(CONFIG_MAP, namespace, state_name(gateway))
        return None if found is None else _read(found).spec

    def remembered_shard_set(self) -> ShardSet | None:
        return self.state.active

    def remember_shard_set(self, active: ShardSet) -> None:
        self.state = replace(self.state, active=active)

    def remembered_checkpoints(self) -> Checkpoints:
        return self._checkpoints

    def remember_checkpoints(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    def remembered_reshard(self) -> ReshardRecord:
        return self.state.record

    def remember_reshard(self, record: ReshardRecord) -> None:
        self.state = replace(self.state, record=record)

    def last_number(self) -> int:
        return self.state.last_number

    def remember_last_number(self, number: int) -> None:
        self.state = replace(self.state, last_number=number)

    def restarts(self) -> int:
        """An annotation of the resource asks for restarts: here they have no number."""
        return 0

    def remember_restarts(self, restarts: int) -> None:
        del restarts

    async def flush(self) -> None:
        """Store what has changed: sessions first, then all else in one step. Raises ApiError, DeposedError.

        The sessions of ranges that are no more go last: until the new ones are stored, an operator would begin with
        those.
        """
        commits = _handed(self._stored_state) != _handed(self.state)
        await self._write_sessions(all_of_them=commits)
        if self.state != self._stored_state:
            wanted = self.state
            await self._write_state()
            self._stored_state = wanted
        await self._delete_former_sessions()

    async def _write_state(self) -> None:
        try:
            self._stored = await self._api.replace(CONFIG_MAP, self._stored | {"data": _data(self.state)})
        except ApiError as error:
            if not error.conflict and error.status != HTTPStatus.NOT_FOUND:
                raise
            await self._write_over_foreign_change()

    async def _write_over_foreign_change(self) -> None:
        """Only a higher term is that of another operator.

        All else may be: a label that a person has put on it, or an edit, which is to be made while no operator has it;
        a write of our own, of which the answer was lost.
        """
        found = await self._api.get(CONFIG_MAP, self._owner.namespace, state_name(self._owner.name))
        if found is None:
            self._stored = await self._api.create(CONFIG_MAP, _config_map(self._owner, self.state))
            return
        if _term(found) > self.state.term:
            raise DeposedError("another operator has taken this gateway up")
        self._stored = await self._api.replace(CONFIG_MAP, found | {"data": _data(self.state)})

    async def _read_sessions(self) -> None:
        found: dict[tuple[int, int], Checkpoint] = {}
        for pod in by_range(self._owner.name, _live_sets(self.state), {}):
            name = checkpoints_name(self._owner.name, pod)
            secret = await self._api.get(SECRET, self._owner.namespace, name)
            if secret is None:
                continue
            read = read_checkpoints(secret)
            for problem in read.problems:
                logger.warning("stored sessions cannot be read", problem=problem)
            self._written[pod] = list(read.checkpoints)
            found |= {(one.shard_id, one.shard_count): one for one in read.checkpoints}
        self._checkpoints = found

    async def _write_sessions(self, *, all_of_them: bool) -> None:
        held = by_range(self._owner.name, _live_sets(self.state), self._checkpoints)
        changed = [pod for pod, sessions in held.items() if sessions and self._written.get(pod) != sessions]
        urgent = [
            pod for pod in changed if all_of_them or _sessions(held[pod]) != _sessions(self._written.get(pod, []))
        ]
        now = self._clock()
        if now >= self._write_at and (later := [pod for pod in self._oldest_first(changed) if pod not in urgent]):
            urgent += later[:SECRETS_AT_ONCE]
            self._write_at = now + 1.0
        for pod in urgent:
            await self._api.apply(SECRET, checkpoint_secret(self._owner, pod, held[pod]).secret)
            self._written.pop(pod, None)
            self._written[pod] = held[pod]

    async def _delete_former_sessions(self) -> None:
        live = by_range(self._owner.name, _live_sets(self.state), {})
        for pod in self._written.keys() - live.keys():
            await self._api.delete(SECRET, self._owner.namespace, checkpoints_name(self._owner.name, pod))
            del self._written[pod]

    def _oldest_first(self, pods: list[PodSpec]) -> list[PodSpec]:
        """By when they were written, so that each gets its turn."""
        order = {pod: place for place, pod in enumerate(self._written)}
        return sorted(pods, key=lambda pod: order.get(pod, -1))


def _live_sets(state: GatewayState) -> list[ShardSet]:
    reshard = state.record.reshard
    pending = reshard.pending if reshard is not None and reshard.live else None
    return [one for one in (state.active, pending) if one is not None]


def _sessions(checkpoints: list[Checkpoint]) -> list[tuple[int, str, str]]:
    return [(one.shard_id, one.session_id, one.identity) for one in checkpoints]


def _handed(state: GatewayState) -> object:
    reshard = state.record.reshard
    return None if reshard is None else (reshard.pending.epoch, reshard.handed)


def _data(state: GatewayState) -> dict[str, str]:
    return {_KEY: state_format.dump_json(state).decode()}


def _config_map(owner: Owner, state: GatewayState) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owner.metadata(state_name(owner.name)),
        "data": _data(state),
    }


def _term(config_map: Object) -> int:
    """0: it cannot be read, so no operator has written it."""
    try:
        return _read(config_map).term
    except StateUnreadableError:
        return 0


def _read(config_map: Object) -> GatewayState:
    try:
        return state_format.validate_json((config_map.get("data") or {})[_KEY])
    except (KeyError, ValidationError):
        raise StateUnreadableError(
            f"ConfigMap {config_map['metadata']['name']}, in which the operator keeps how far this gateway is, cannot "
            "be read: restore it, or delete it to go on with what the resource's status tells"
        ) from None
