"""Asks the pods of a gateway on a cluster about their dead letters, by a command that is run in their containers.

So it needs neither a port nor a secret, but the permission that `kubectl exec` needs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from gateway_operator.command.errors import UserError
from gateway_operator.command.letters import LIST, Pods
from gateway_operator.kube.client.execution import Execution, Runner
from gateway_operator.kube.client.leader import LeaderError
from gateway_operator.model.pod_overlay import CONTAINER

from .asking import Cluster, on_cluster
from .choice import Chosen

AT_ONCE = 8
"""Pods asked at the same time."""

KEYS_EACH = 100
"""Keys in one command: it travels in a URL."""

_Result = TypeVar("_Result")


def with_pods_on_cluster(
    chosen: Chosen, file_or_name: str | None, work: Callable[[Pods], Awaitable[_Result]]
) -> _Result:
    """What `work` returns of the pods that have any; raises UserError."""

    async def ask(cluster: Cluster) -> _Result:
        resource = await cluster.gateways.get(await cluster.one())
        try:
            status, _text = await cluster.leader.status(resource.namespace, resource.name)
        except LeaderError as problem:
            raise UserError(f"which pods have dead letters is known to the operator: {problem}") from None
        names = [pod.instance for pod in status.pods if pod.dead_letters]
        return await work(_PodExec(cluster.runner, resource.namespace, names))

    return on_cluster(chosen, file_or_name, ask)


class _PodExec:
    """The pods of these names in `namespace`, whose shard pods' own command asks the process beside it."""

    def __init__(self, runner: Runner, namespace: str, names: Sequence[str]) -> None:
        self._runner = runner
        self._namespace = namespace
        self._names = names
        self._free = asyncio.Semaphore(AT_ONCE)

    async def ask(self, what: str, keys: Sequence[str] | None) -> list[tuple[str, str]]:
        """As letters.Pods has it."""
        commands = list(_commands(what, keys))
        asked = [self._run(name, command) for name in self._names for command in commands]
        return await asyncio.gather(*asked)

    async def _run(self, name: str, command: Sequence[str]) -> tuple[str, str]:
        async with self._free:
            done = await self._runner.execute(Execution(self._namespace, name, CONTAINER, command))
        if done.problem is not None:
            raise UserError(f"{name}: {done.errors.strip() or done.problem}")
        return name, done.output


def _commands(what: str, keys: Sequence[str] | None) -> Iterator[list[str]]:
    start = ["discord-gateway-shardpod", "dead-letters", what]
    if keys is None:
        yield start if what == LIST else [*start, "--all"]
        return
    for first in range(0, len(keys), KEYS_EACH):
        yield [*start, *(f"--key={key}" for key in keys[first : first + KEYS_EACH])]
