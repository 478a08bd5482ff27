"""The sessions that the operator remembers, in a Secret for each range: which are written, when, and read back."""

from dataclasses import replace

import pytest

from gateway_operator.core.reshard_record import ReshardRecord
from gateway_operator.core.world import Reshard, ReshardPhase, ShardSet
from gateway_operator.kube import memory as memory_module
from gateway_operator.kube.api import CONFIG_MAP, SECRET, ApiError
from gateway_operator.kube.memory import KubeMemory
from shardpod.contract import Checkpoint, ShardRange

FIRST, SECOND = "mybot-checkpoints-e1-0-1", "mybot-checkpoints-e1-2-3"


def ranges(*found):
    return tuple(ShardRange(first_shard_id=first, last_shard_id=last) for first, last in found)


ACTIVE = ShardSet(1, 4, ranges((0, 1), (2, 3)))


def sessions(*, seq=1, session="s", shards=range(4), count=4):
    return {
        (shard, count): Checkpoint(
            shard_id=shard, shard_count=count, session_id=f"{session}{shard}", seq=seq, resume_gateway_url="wss://r"
        )
        for shard in shards
    }


def reshard(**changes):
    plain = Reshard(ShardSet(2, 6, ranges((0, 5))), ReshardPhase.HANDING_OVER, "asked for", 0.0, 0.0)
    return ReshardRecord(reshard=replace(plain, **changes))


@pytest.fixture
def take_up(cluster, owner, clock):
    async def take_up():
        return await KubeMemory.taken_up(cluster, owner, {}, clock=clock, calendar=None)

    return take_up


@pytest.fixture
async def memory(take_up, cluster):
    memory = await take_up()
    memory.remember_shard_set(ACTIVE)
    memory.remember_checkpoints(sessions())
    await memory.flush()
    cluster.done.clear()
    return memory


def secrets(cluster):
    return sorted(one["metadata"]["name"] for one in cluster.all_of(SECRET))


async def test_there_is_one_for_each_range_and_the_next_operator_reads_them(memory, cluster, take_up):
    assert secrets(cluster) == [FIRST, SECOND]
    assert (await take_up()).remembered_checkpoints() == sessions()


async def test_nothing_is_written_while_nothing_changes(memory, cluster, clock):
    for _ in range(3):
        clock.advance(10.0)
        await memory.flush()

    assert cluster.done == []


async def test_a_range_without_any_session_has_no_secret(take_up, cluster):
    memory = await take_up()
    memory.remember_shard_set(ACTIVE)
    memory.remember_checkpoints(sessions(shards=(2,)))
    await memory.flush()

    assert secrets(cluster) == [SECOND]


async def test_a_new_session_is_written_at_once_and_only_where_it_is(memory, cluster):
    memory.remember_checkpoints(sessions() | sessions(session="new", shards=(3,)))
    await memory.flush()

    assert cluster.done == [f"apply Secret {SECOND}"]


async def test_sessions_that_have_only_moved_on_are_written_some_in_a_second_and_each_gets_its_turn(
    memory, cluster, clock, monkeypatch
):
    monkeypatch.setattr(memory_module, "SECRETS_AT_ONCE", 1)
    clock.advance(10.0)
    for seq in range(2, 6):
        memory.remember_checkpoints(sessions(seq=seq))
        await memory.flush()
        await memory.flush()
        clock.advance(1.0)

    assert sorted(cluster.done) == [f"apply Secret {name}" for name in (FIRST, FIRST, SECOND, SECOND)]


async def test_before_a_range_is_handed_over_all_sessions_are_written_and_only_then_the_state(memory, cluster):
    memory.remember_reshard(reshard())
    await memory.flush()
    cluster.done.clear()
    memory.remember_checkpoints(sessions(seq=2))
    memory.remember_reshard(reshard(handed=ranges((0, 2))))
    await memory.flush()

    assert cluster.done == [f"apply Secret {FIRST}", f"apply Secret {SECOND}", "replace ConfigMap mybot-state"]


async def test_what_is_handed_over_is_not_stored_without_the_sessions(memory, cluster, take_up):
    memory.remember_reshard(reshard())
    await memory.flush()
    memory.remember_checkpoints(sessions(seq=2))
    memory.remember_reshard(reshard(handed=ranges((0, 2))))
    cluster.fail(f"apply Secret {SECOND}", 500)
    before = cluster.look(CONFIG_MAP, "mybot-state")
    with pytest.raises(ApiError):
        await memory.flush()
    assert cluster.look(CONFIG_MAP, "mybot-state") == before

    await memory.flush()
    again = await take_up()
    assert again.remembered_reshard().reshard.handed == ranges((0, 2))
    assert again.remembered_checkpoints() == sessions(seq=2)


async def test_the_sessions_of_both_sets_are_kept_while_a_reshard_runs_and_then_those_of_one(memory, cluster, take_up):
    memory.remember_reshard(reshard())
    both = sessions() | sessions(shards=range(6), count=6)
    memory.remember_checkpoints(both)
    await memory.flush()
    assert (await take_up()).remembered_checkpoints() == both

    memory = await take_up()
    memory.remember_shard_set(ShardSet(2, 6, ranges((0, 5))))
    memory.remember_reshard(ReshardRecord())
    memory.remember_checkpoints(sessions(shards=range(6), count=6))
    await memory.flush()
    assert secrets(cluster) == ["mybot-checkpoints-e2-0-5"]


async def test_another_layout_has_other_secrets_with_the_same_sessions(memory, cluster, take_up):
    memory.remember_shard_set(ShardSet(1, 4, ranges((0, 3))))
    await memory.flush()

    assert secrets(cluster) == ["mybot-checkpoints-e1-0-3"]
    assert (await take_up()).remembered_checkpoints() == sessions()


async def test_with_another_layout_no_session_is_unwritten_whatever_fails(memory, cluster, take_up):
    """The new Secrets come before the state that names them, and the old ones go after it."""
    for request in ("apply Secret", "replace ConfigMap", "delete Secret"):
        cluster.fail(request, 500)
    memory.remember_shard_set(ShardSet(1, 4, ranges((0, 3))))
    for _ in range(5):
        try:
            await memory.flush()
        except ApiError:
            after_a_crash = await KubeMemory.last_right_spec(cluster, "bots", "mybot")
            assert after_a_crash is None
            names = {FIRST, SECOND} if _stored_ranges(cluster) == 2 else {"mybot-checkpoints-e1-0-3"}
            assert names <= set(secrets(cluster))

    assert secrets(cluster) == ["mybot-checkpoints-e1-0-3"]


def _stored_ranges(cluster):
    return cluster.look(CONFIG_MAP, "mybot-state")["data"]["state.json"].count("first_shard_id")


@pytest.mark.parametrize("data", [None, {}, {"checkpoints.json": "bm9uc2Vuc2U="}])
async def test_a_secret_that_cannot_be_read_costs_its_own_sessions_only(memory, cluster, take_up, data):
    cluster.put(SECRET, cluster.look(SECRET, FIRST) | {"data": data})

    assert (await take_up()).remembered_checkpoints() == sessions(shards=(2, 3))


async def test_a_deleted_secret_costs_its_own_sessions_only_and_is_written_again(memory, cluster, take_up):
    with cluster.as_person():
        await cluster.delete(SECRET, "bots", FIRST)
    again = await take_up()
    assert again.remembered_checkpoints() == sessions(shards=(2, 3))

    again.remember_checkpoints(sessions())
    await again.flush()
    assert secrets(cluster) == [FIRST, SECOND]
