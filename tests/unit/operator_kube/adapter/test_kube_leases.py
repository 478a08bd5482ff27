"""The Lease at the API server, as the elector uses it."""

from datetime import UTC, datetime
from random import Random

import pytest

from gateway_operator.kube.api import LEASE, ApiError
from gateway_operator.kube.elector import Elector, LeaseConflictError
from gateway_operator.kube.leases import KubeLeases


@pytest.fixture
def leases(cluster):
    return KubeLeases(cluster, "system", "operator")


@pytest.fixture
def elector_of(leases, clock):
    def build(identity):
        return Elector(
            leases,
            identity,
            acquired=lambda _leadership: None,
            lost=lambda: None,
            clock=clock,
            calendar=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            jitter=Random(1),
        )

    return build


async def test_replicas_elect_one_by_it(elector_of, cluster, clock):
    first, second = elector_of("operator-0"), elector_of("operator-1")
    for _ in range(10):
        await first._attempt()
        await second._attempt()
        clock.advance(2.0)

    assert [first.leads(), second.leads()].count(True) == 1
    lease = cluster.look(LEASE, "operator", "system")
    assert lease["kind"] == "Lease"
    assert lease["spec"]["holderIdentity"] in ("operator-0", "operator-1")


async def test_who_was_second_with_a_write_is_told_so(leases):
    lease = {"spec": {}}
    await leases.create(lease)
    with pytest.raises(LeaseConflictError):
        await leases.create(lease)
    read = await leases.read()
    await leases.replace(read)
    with pytest.raises(LeaseConflictError):
        await leases.replace(read)


async def test_whatever_else_fails_is_no_conflict(leases, cluster):
    assert await leases.read() is None
    for request in ("get Lease", "create Lease", "replace Lease"):
        cluster.fail(request, 500)
    with pytest.raises(ApiError):
        await leases.read()
    with pytest.raises(ApiError):
        await leases.create({"spec": {}})
    with pytest.raises(ApiError):
        await leases.replace({"metadata": {"name": "operator", "namespace": "system"}, "spec": {}})
