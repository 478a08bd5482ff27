"""All gateways of a replica while it leads: each has a runner, and none can harm the others."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gateway_operator.kube.api import CONFIG_MAP, DEPLOYMENT, GATEWAY, SECRET
from gateway_operator.kube.gateways import RELIST, Gateways
from gateway_operator.kube.runner import Runner

MYBOT, OTHER = ("bots", "mybot"), ("bots", "other")

pytestmark = pytest.mark.looptime(start=1000.0)


@pytest.fixture
def replica(around, discord):
    """Run the gateways of these namespaces for some virtual seconds at least."""

    @asynccontextmanager
    async def run(*namespaces):
        gateways = Gateways(replace(around, clock=asyncio.get_running_loop().time), namespaces)
        task = asyncio.create_task(gateways.run())
        await asyncio.sleep(5.0)
        try:
            yield gateways
            assert not task.done(), "it must run whatever happens"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return run


def reason(cluster, name):
    status = cluster.look(GATEWAY, name).get("status") or {}
    return next((one["reason"] for one in status.get("conditions", ()) if one["type"] == "Ready"), None)


async def test_every_gateway_of_the_cluster_runs(replica, resource, cluster):
    resource()
    resource("other", token="another")
    async with replica() as gateways:
        assert sorted(gateways.names()) == [MYBOT, OTHER]
        assert gateways.status(MYBOT).name == "mybot"
        assert gateways.preview(OTHER, 4)

    assert len(cluster.all_of(DEPLOYMENT)) == 2


async def test_other_namespaces_are_left_alone(replica, resource):
    resource()
    async with replica("elsewhere") as gateways:
        assert gateways.names() == ()


async def test_a_new_gateway_is_begun_when_a_watch_tells_of_it(replica, resource):
    async with replica() as gateways:
        resource()
        gateways.note_change(MYBOT)
        await asyncio.sleep(0.5)
        assert list(gateways.names()) == [MYBOT]


async def test_a_new_gateway_of_which_no_watch_tells_is_found(replica, resource):
    async with replica() as gateways:
        resource()
        await asyncio.sleep(RELIST)
        assert list(gateways.names()) == [MYBOT]


async def test_of_two_with_one_token_the_older_begins(replica, resource, cluster):
    resource("other")
    resource()
    async with replica():
        pass

    assert (reason(cluster, "mybot"), reason(cluster, "other")) == ("TokenInUse", "ShardsConnecting")


async def test_of_two_with_one_token_the_one_that_runs_goes_on_under_the_next_operator(replica, resource, cluster):
    resource("other", token="another")
    resource()
    async with replica():
        pass
    data = cluster.look(SECRET, "mybot-token")["data"]
    cluster.put(SECRET, cluster.look(SECRET, "other-token") | {"data": data})
    with cluster.as_person():
        await cluster.patch(GATEWAY, "bots", "other", {"status": None})
    async with replica():
        await asyncio.sleep(10.0)

    assert (reason(cluster, "mybot"), reason(cluster, "other")) == ("ShardsConnecting", "TokenInUse")


async def test_the_older_begins_also_if_it_cannot_be_read_at_once(replica, resource, cluster):
    resource("other")
    resource()
    cluster.fail("get Secret other", 500)
    async with replica():
        pass

    assert (reason(cluster, "mybot"), reason(cluster, "other")) == ("TokenInUse", "ShardsConnecting")


async def test_one_that_can_never_be_read_holds_up_no_other_for_long(replica, resource, cluster):
    resource()
    resource("other", token="another")
    cluster.fail("get Secret mybot-token", 500, times=1000)
    async with replica():
        await asyncio.sleep(10.0)

    assert reason(cluster, "other") == "ShardsConnecting"


@pytest.mark.parametrize("fault", [RuntimeError("a defect"), KeyError("metadata")])
async def test_a_defect_that_one_gateway_meets_harms_no_other(replica, resource, cluster, monkeypatch, fault):
    resource()
    resource("other", token="another")
    look = Runner.look

    async def broken(self):
        if self.key == MYBOT:
            raise fault
        await look(self)

    monkeypatch.setattr(Runner, "look", broken)
    async with replica():
        pass

    assert reason(cluster, "other") == "ShardsConnecting"


async def test_a_gateway_with_a_wrong_spec_and_a_spoilt_state_harms_no_other(replica, resource, cluster):
    resource()
    async with replica():
        pass
    resource(intents=["Nonsense"])
    resource("other", token="another")
    cluster.put(CONFIG_MAP, cluster.look(CONFIG_MAP, "mybot-state") | {"data": {"state.json": "spoilt"}})
    async with replica():
        pass

    assert reason(cluster, "other") == "ShardsConnecting"


@pytest.mark.parametrize("code", [0, 403, 500])
async def test_while_they_cannot_be_listed_those_that_run_go_on(replica, resource, cluster, code):
    resource()
    async with replica() as gateways:
        cluster.fail("find DiscordGateway", code, times=3)
        resource("other", token="another")
        gateways.note_change(OTHER)
        await asyncio.sleep(1.0)
        assert list(gateways.names()) == [MYBOT]
        await asyncio.sleep(10.0)
        assert sorted(gateways.names()) == [MYBOT, OTHER]


@pytest.mark.parametrize("what", ["mybot-state", "mybot-token"])
async def test_a_gateway_goes_on_when_a_person_deletes_something_of_it(replica, resource, cluster, what):
    resource()
    async with replica() as gateways:
        for kind in (CONFIG_MAP, SECRET):
            with cluster.as_person():
                await cluster.delete(kind, "bots", what)
        await asyncio.sleep(15.0)
        resource(shards=2)
        gateways.note_change(MYBOT)
        await asyncio.sleep(15.0)

    assert reason(cluster, "mybot") == "ShardsConnecting"
    assert cluster.look(CONFIG_MAP, "mybot-state")


async def test_a_deleted_gateway_is_given_up(replica, resource, cluster):
    resource()
    async with replica() as gateways:
        with cluster.as_person():
            await cluster.delete(GATEWAY, *MYBOT)
        gateways.note_change(MYBOT)
        await asyncio.sleep(5.0)
        assert gateways.names() == ()


async def test_one_that_is_made_anew_with_the_same_name_is_begun_anew(replica, resource, cluster):
    resource()
    async with replica() as gateways:
        with cluster.as_person():
            await cluster.delete(GATEWAY, *MYBOT)
        again = resource()
        gateways.note_change(MYBOT)
        await asyncio.sleep(5.0)
        cluster.collect()
        await asyncio.sleep(15.0)
        assert list(gateways.names()) == [MYBOT]

    for kind, name in ((CONFIG_MAP, "mybot-state"), (SECRET, "mybot-control"), (DEPLOYMENT, "mybot-e1-0-1")):
        owners = cluster.look(kind, name)["metadata"]["ownerReferences"]
        assert [one["uid"] for one in owners] == [again["metadata"]["uid"]], name


async def test_the_token_of_a_deleted_gateway_may_be_used_by_another(replica, resource, cluster):
    resource()
    resource("other")
    async with replica() as gateways:
        assert reason(cluster, "other") == "TokenInUse"
        with cluster.as_person():
            await cluster.delete(GATEWAY, *MYBOT)
        gateways.note_change(MYBOT)
        await asyncio.sleep(20.0)

    assert reason(cluster, "other") == "ShardsConnecting"


async def test_when_it_is_ended_nothing_of_it_goes_on(replica, resource, cluster):
    resource()
    async with replica():
        pass
    cluster.done.clear()
    await asyncio.sleep(60.0)

    assert cluster.done == []
    assert [one for one in asyncio.all_tasks() if one is not asyncio.current_task()] == []


async def test_two_gateways_that_hold_parts_of_one_bots_shards_share_its_identifies(replica, resource):
    part = {"shards": 4, "reshard": {"auto": False}}
    resource(sharding={"lastShardId": 1}, **part)
    resource("other", sharding={"firstShardId": 2}, **part)
    resource("third", token="another")
    async with replica() as gateways:
        ledgers = {
            name: gateways._runners["bots", name]._running.control._ledger for name in ("mybot", "other", "third")
        }

    assert ledgers["mybot"] is ledgers["other"]
    assert ledgers["third"] is not ledgers["mybot"]
