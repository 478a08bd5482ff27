"""Reshards in which nothing dies: up, down, by all triggers, and given up in each phase."""

from gateway_operator.core.reshard_order import ReshardOrder
from gateway_operator.core.world import ReshardPhase

from .run import Run
from .scenario import Scenario
from .world import Settings

GIVEN_BACK = Settings(name="given back")
"""Begins and ends with the same four shards, so that one world is enough for all of these."""


async def _by_the_manifest(run: Run) -> None:
    run.machine.change("  shards: 4", "  shards: 8")
    await run.machine.run("restart", "--if-changed", "--no-wait")
    await run.over(8)


async def _back_by_the_command(run: Run) -> None:
    """With a pause between two ranges, in which both sets deliver their own."""
    await run.machine.run("reshard", "--to", "4", "--no-follow")
    await run.handed(1)
    await run.order(ReshardOrder(pause=True))
    await run.phase(ReshardPhase.HANDING_OVER)
    paused = run.world.reshard()
    await run.load(2)
    now = run.world.reshard()
    assert paused is not None
    assert now is not None
    assert now.handed == paused.handed, "nothing is handed over while it is paused"
    await run.machine.run("reshard", "--resume")
    await run.over(4)


async def _followed(run: Run) -> None:
    told = await run.machine.run("reshard", "--to", "9")
    assert "done: 9 shards deliver everything" in told
    await run.over(9)


async def _recommended(run: Run) -> None:
    """The operator asks Discord every ten minutes, and when it starts."""
    run.simulator.change_rules(shards=32)
    await run.machine.kill_operator()
    await run.machine.start()
    await run.over(32)


async def _guilds_join(run: Run) -> None:
    run.simulator.fault("guild-join", count=1)
    await run.over(2)


async def _too_few_for_discord(run: Run) -> None:
    """One guild too many, and a session that is lost: its shard may not identify again."""
    run.simulator.fault("guild-join", count=8)
    await run.load(0.5)
    run.simulator.fault("invalid-session", target="0/4", resumable=False)
    await run.until_refused()
    await run.over(5)


def _aborted_in(phase: ReshardPhase) -> Scenario:
    async def abort(run: Run) -> None:
        await run.machine.run("reshard", "--to", "8", "--no-follow")
        await run.phase(phase)
        if phase is ReshardPhase.HANDING_OVER:
            await run.handed(1)
        await run.order(ReshardOrder(abort=True))
        await run.over(4)

    handed = " Half of it has been handed over, and is handed back." if phase is ReshardPhase.HANDING_OVER else ""
    return Scenario(
        f"4 → 8, aborted in {phase}",
        f"`discord-gateway reshard --abort` in the phase {phase}.{handed}",
        abort,
        settings=GIVEN_BACK,
        most_identifies=8,
    )


async def _aborted_between(run: Run) -> None:
    await run.machine.run("reshard", "--to", "8", "--no-follow")
    await run.between(handed=1)
    await run.order(ReshardOrder(abort=True))
    await run.over(4)


CLEAN = (
    Scenario(
        "4 → 8, by the manifest",
        "`spec.shards` from 4 to 8, and `discord-gateway restart --if-changed`.",
        _by_the_manifest,
        identifies=8,
        ranges=4,
    ),
    Scenario(
        "8 → 4, by the command",
        "`discord-gateway reshard --to 4`; paused after the first range, and resumed two seconds later.",
        _back_by_the_command,
        settings=Settings(shards=8),
        identifies=4,
        ranges=2,
    ),
    Scenario(
        "6 → 9, by the command",
        "`discord-gateway reshard --to 9`: two numbers of which neither is a multiple of the other.",
        _followed,
        settings=Settings(shards=6, given=False, per_pod=3, per_worker=3),
        identifies=9,
        ranges=3,
    ),
    Scenario(
        "16 → 32, as Discord recommends it",
        "The operator is started again and learns that Discord recommends twice as many shards as run.",
        _recommended,
        settings=Settings(shards=16, given=False, per_pod=8, per_worker=4),
        identifies=32,
        ranges=4,
    ),
    Scenario(
        "1 → 2, as guilds join",
        "The fullest shard reaches `reshard.percentage` of the guilds that Discord allows it.",
        _guilds_join,
        settings=Settings(shards=1, given=False, guilds=24, percentage=1),
        identifies=2,
        ranges=1,
    ),
    Scenario(
        "4 → 5, as Discord requires it (4011)",
        "A shard has a guild too many, and its session is lost: Discord refuses it. (What goes meanwhile to sessions "
        "of the new set alone, for guilds that are not yet theirs, is delivered by nobody, and not counted as lost.)",
        _too_few_for_discord,
        settings=Settings(shards=4, given=False, guilds_allowed=25),
        most_identifies=7,
        refused=True,
    ),
)

ABORTED = (
    _aborted_in(ReshardPhase.STARTING),
    _aborted_in(ReshardPhase.WARMING),
    _aborted_in(ReshardPhase.HANDING_OVER),
    Scenario(
        "4 → 8, aborted while a range is between both",
        "The second range is on its way when it is asked for: it is finished, and both are handed back.",
        _aborted_between,
        settings=GIVEN_BACK,
        most_identifies=8,
    ),
)
