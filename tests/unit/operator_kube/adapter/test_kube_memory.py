"""What the operator remembers in a ConfigMap, over errors, foreign changes and other operators."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway_operator.core.reshard_record import ReshardRecord
from gateway_operator.core.world import Aborted, Reshard, ReshardPhase, ReshardRequest, ShardSet
from gateway_operator.kube.api import CONFIG_MAP, ApiError
from gateway_operator.kube.memory import DeposedError, KubeMemory, StateUnreadableError
from gateway_operator.kube.names import is_owned_by
from gateway_operator.kube.state import GatewayState, state_format, state_from_status
from shardpod.contract import Handover, ShardRange

STATE = "mybot-state"
WHOLE = ShardRange(first_shard_id=0, last_shard_id=3)
ACTIVE = ShardSet(epoch=3, shard_count=4, ranges=(WHOLE,))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def take_up(cluster, owner, clock):
    async def take_up(*, status=None, by=owner):
        return await KubeMemory.taken_up(cluster, by, status or {}, clock=clock, calendar=lambda: NOW)

    return take_up


async def stored(cluster):
    return state_format.validate_json(cluster.look(CONFIG_MAP, STATE)["data"]["state.json"])


# Taking up.


async def test_a_new_gateway_begins_with_the_first_term_and_nothing_else(take_up, cluster, owner):
    memory = await take_up()

    assert memory.state == GatewayState(term=1)
    assert await stored(cluster) == memory.state
    assert is_owned_by(owner, cluster.look(CONFIG_MAP, STATE))


async def test_the_next_operator_goes_on_under_the_next_term(take_up, cluster):
    memory = await take_up()
    memory.remember_shard_set(ACTIVE)
    memory.remember_last_number(17)
    await memory.flush()
    again = await take_up()

    assert again.state == replace(memory.state, term=2)
    assert (again.remembered_shard_set(), again.last_number()) == (ACTIVE, 17)
    assert (await stored(cluster)).term == 2


async def test_all_of_the_state_comes_back_as_it_was(take_up):
    reshard = Reshard(
        pending=ShardSet(4, 8, (WHOLE,)),
        phase=ReshardPhase.HANDING_OVER,
        reason="asked for",
        started_at=1.5,
        progressed_at=2.5,
        handed=(WHOLE,),
        handover=Handover(number=3, range=WHOLE, from_epoch=3, to_epoch=4, step="go"),
        giving_back="it took too long",
    )
    record = ReshardRecord(reshard, ReshardRequest(to=8, paused=True), 4, 3, Aborted(16, 7.0, None))
    memory = await take_up()
    memory.state = replace(
        memory.state, active=ACTIVE, record=record, image="i", restart="r", order="pause", spec={"shards": None}
    )
    await memory.flush()

    assert (await take_up()).state == replace(memory.state, term=2)


@pytest.mark.parametrize("text", ["", "{", '{"term": "many"}', None])
async def test_a_state_that_cannot_be_read_is_not_begun_over(take_up, cluster, text):
    await take_up()
    cluster.look(CONFIG_MAP, STATE)["data"] = {} if text is None else {"state.json": text}
    with pytest.raises(StateUnreadableError, match="ConfigMap mybot-state"):
        await take_up()

    assert cluster.look(CONFIG_MAP, STATE)["data"].get("state.json") == text


async def test_of_a_lost_state_the_status_tells_the_shard_set(take_up):
    status = {"active": {"epoch": 3, "shardCount": 4, "ranges": [{"firstShardId": 0, "lastShardId": 3}]}}

    assert (await take_up(status=status)).remembered_shard_set() == ACTIVE
    assert state_from_status({}) == GatewayState()


async def test_after_a_lost_state_the_term_is_above_all_that_pods_may_have_heard(take_up):
    status = {"active": {"epoch": 3, "shardCount": 4, "ranges": []}}

    assert (await take_up(status=status)).state.term > NOW.timestamp()


@pytest.mark.parametrize("request_", ["get ConfigMap", "create ConfigMap"])
async def test_a_gateway_that_could_not_be_taken_up_is_taken_up_later(take_up, cluster, request_):
    cluster.fail(request_)
    with pytest.raises(ApiError):
        await take_up()

    assert (await take_up()).state.term == 1


async def test_a_take_up_whose_answer_is_lost_costs_a_term(take_up, cluster):
    cluster.fail("create ConfigMap", lost=True)
    with pytest.raises(ApiError):
        await take_up()

    assert (await take_up()).state.term == 2


async def test_the_state_of_an_earlier_resource_of_that_name_is_not_taken_for_ours(take_up, cluster, owner):
    """The garbage collector is to delete it; whoever went on with it would soon have none."""
    memory = await take_up()
    memory.remember_shard_set(ACTIVE)
    await memory.flush()
    another = replace(owner, uid="another")
    fresh = await take_up(by=another)

    assert fresh.state == GatewayState(term=2)
    assert is_owned_by(another, cluster.look(CONFIG_MAP, STATE))


async def test_a_state_that_was_orphaned_or_restored_by_a_person_is_gone_on_with(take_up, cluster, owner):
    memory = await take_up()
    memory.remember_shard_set(ACTIVE)
    await memory.flush()
    del cluster.look(CONFIG_MAP, STATE)["metadata"]["ownerReferences"]
    again = await take_up()

    assert again.remembered_shard_set() == ACTIVE
    assert is_owned_by(owner, cluster.look(CONFIG_MAP, STATE))


# Storing.


async def test_nothing_is_written_while_nothing_changes(take_up, cluster):
    memory = await take_up()
    cluster.done.clear()
    memory.remember_last_number(0)
    await memory.flush()

    assert cluster.done == []


@pytest.mark.parametrize("lost", [False, True])
async def test_what_could_not_be_stored_is_stored_by_the_next_pass(take_up, cluster, lost):
    memory = await take_up()
    memory.remember_last_number(8)
    cluster.fail("replace ConfigMap", lost=lost)
    with pytest.raises(ApiError):
        await memory.flush()
    memory.remember_last_number(9)
    await memory.flush()

    assert (await stored(cluster)).last_number == 9


async def test_answers_may_be_lost_several_times(take_up, cluster):
    memory = await take_up()
    for number in (1, 2, 3):
        memory.remember_last_number(number)
        cluster.fail("replace ConfigMap", lost=True)
        cluster.fail("replace ConfigMap", lost=True)
        cluster.fail("get ConfigMap")
        for _ in range(3):
            with suppress(ApiError):
                await memory.flush()
        cluster.mend()
    await memory.flush()

    assert (await stored(cluster)).last_number == 3


async def test_an_operator_that_was_deposed_stores_nothing_any_more(take_up, cluster):
    former = await take_up()
    successor = await take_up()
    former.remember_last_number(99)
    for _ in range(2):
        with pytest.raises(DeposedError):
            await former.flush()
    successor.remember_last_number(8)
    await successor.flush()

    assert (await stored(cluster)).last_number == 8


async def test_a_label_that_somebody_puts_on_it_deposes_nobody(take_up, cluster):
    memory = await take_up()
    there = cluster.look(CONFIG_MAP, STATE)
    there["metadata"]["labels"]["of"] = "a person"
    cluster.put(CONFIG_MAP, there)
    memory.remember_last_number(8)
    await memory.flush()

    assert (await stored(cluster)).last_number == 8
    assert cluster.look(CONFIG_MAP, STATE)["metadata"]["labels"]["of"] == "a person"


@pytest.mark.parametrize("text", ['{"term": 1, "last_number": 5}', "spoilt"])
async def test_what_a_person_edits_while_an_operator_has_it_is_written_over(take_up, cluster, text):
    memory = await take_up()
    there = cluster.look(CONFIG_MAP, STATE)
    cluster.put(CONFIG_MAP, there | {"data": {"state.json": text}})
    memory.remember_last_number(8)
    await memory.flush()

    assert (await stored(cluster)) == memory.state


async def test_one_that_was_deleted_is_made_anew_by_the_operator_that_has_it(take_up, cluster, owner):
    memory = await take_up()
    memory.remember_shard_set(ACTIVE)
    await memory.flush()
    with cluster.as_person():
        await cluster.delete(CONFIG_MAP, owner.namespace, STATE)
    memory.remember_last_number(8)
    await memory.flush()
    memory.remember_last_number(9)
    await memory.flush()

    assert (await stored(cluster)) == memory.state


async def test_two_operators_never_both_store_also_if_it_was_deleted_between(take_up, cluster, owner):
    former = await take_up()
    successor = await take_up()
    with cluster.as_person():
        await cluster.delete(CONFIG_MAP, owner.namespace, STATE)
    former.remember_last_number(99)
    await former.flush()
    successor.remember_last_number(8)
    await successor.flush()
    former.remember_last_number(100)
    with pytest.raises(DeposedError):
        await former.flush()

    assert (await stored(cluster)).last_number == 8


async def test_the_last_right_spec_is_read_without_taking_it_up(take_up, cluster):
    assert await KubeMemory.last_right_spec(cluster, "bots", "mybot") is None
    memory = await take_up()
    memory.state = replace(memory.state, spec={"shards": 4})
    await memory.flush()

    assert await KubeMemory.last_right_spec(cluster, "bots", "mybot") == {"shards": 4}
    assert (await stored(cluster)).term == 1
