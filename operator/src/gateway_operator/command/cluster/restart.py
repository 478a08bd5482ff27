"""`kubectl dgw restart`: has the operator replace all pods, by an annotation with the time of the order."""

from collections.abc import Callable
from datetime import UTC, datetime

import click

from gateway_operator.command.following import Step, followed
from gateway_operator.core.status_model import GatewayStatus

from .asking import Cluster, on_cluster
from .choice import Chosen

LOOKS_UNTIL_BEGUN = 60
"""Looks at the status in which the first pod has to be on its way; the operator reads the resource within 10 s."""


class Beginning:
    """Follows a rollout that was asked for. On a cluster restarts have no number, so it is seen to begin."""

    def __init__(self, step: Callable[[GatewayStatus], Step]) -> None:
        self._step = step
        self._begun = False
        self._looks = 0

    def __call__(self, status: GatewayStatus) -> Step:
        rollout = status.rollout
        self._begun = self._begun or (rollout is not None and not rollout.complete)
        if self._begun:
            return self._step(status)
        self._looks += 1
        if self._looks >= LOOKS_UNTIL_BEGUN:
            return Step("it was asked for, and not begun: does an operator run? See `kubectl dgw status`", failed=True)
        return Step("waiting for the operator")


def restart_on_cluster(
    chosen: Chosen,
    file_or_name: str | None,
    step: Callable[[GatewayStatus], Step] | None,
    within: float,
    *,
    afterwards: str,
) -> None:
    """Ask for it, and follow the rollout if there is a `step`. Raises UserError."""

    async def work(cluster: Cluster) -> None:
        name = await cluster.one()
        resource = await cluster.gateways.get(name)
        # To the microsecond: the same value again would be no order.
        await cluster.gateways.change(name, restart=datetime.now(UTC).isoformat())
        if resource.held is not None:
            click.echo(f"{resource.held} is true: the pods are replaced after `kubectl dgw resume {name}`")
        elif step is None:
            click.echo("the pods are being replaced, one after the other: see `kubectl dgw status`")
        else:
            await followed(lambda: cluster.look(name), step, within=within, afterwards=afterwards)

    on_cluster(chosen, file_or_name, work)
