"""What `discord-gateway reshard` refuses, and what it tells before anything is done, of real processes."""

import pytest
import pytest_asyncio
from faulttable.machine import until
from faulttable.world import Worlds
from reshardtable.world import USUAL, World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def machine(tmp_path_factory):
    """Four shards at rest, which none of these tests changes."""
    worlds = Worlds(lambda: tmp_path_factory.mktemp("w"), World.open)
    try:
        yield (await worlds.get(USUAL)).machine
    finally:
        await worlds.close()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--to", "4"), "4 shards are running already"),
        (("--to", "2000"), "identifies"),
        (("--abort",), "no reshard is under way"),
        ((), "say what to do"),
        (("--to", "8", "--abort"), "do not go together"),
        (("--plan", "--wait"), "--wait goes with --to alone"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_the_reason(machine, arguments, why):
    code, output = await machine.attempt("reshard", *arguments)

    assert code == 2
    assert why in output


async def test_the_plan_tells_what_it_costs_and_does_nothing(machine):
    told = await machine.run("reshard", "--plan", "--to", "8")

    assert "8" in told
    assert "identifies" in told
    status = await machine.status()
    assert status.reshard is None
    assert status.shards == 4


async def test_paused_before_anything_runs_a_reshard_waits_and_says_so_until_it_is_given_up(machine):
    await machine.run("reshard", "--pause")
    await machine.run("reshard", "--to", "8", "--no-follow")

    async def waits():
        status = await machine.status()
        return status.reshard is not None and "paused by hand" in (status.reshard.waiting_for or "")

    await until(waits, "the reshard to say that it waits")
    status = await machine.status()
    assert {pod.epoch for pod in status.pods} == {status.active.epoch}, "no pod is started for it"

    await machine.run("reshard", "--abort")
    await machine.run("reshard", "--resume")

    async def is_given_up():
        return (await machine.status()).reshard is None

    await until(is_given_up, "it to be given up")
