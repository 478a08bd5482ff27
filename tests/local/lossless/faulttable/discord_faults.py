"""What networks and Discord do to sessions sooner or later."""

from typing import Any

from discord_simulator import Fault

from .scenario import Scenario
from .world import SHARDS, Run


async def _resumes(run: Run, sessions: int, *, within: float = 40.0) -> None:
    ledger = run.simulator.ledger
    before = ledger.resumes
    await run.until(lambda: ledger.resumes >= before + sessions, f"{sessions} sessions to be resumed", within)


def _disturbs(fault: Fault, **fields: Any):
    async def act(run: Run) -> None:
        run.simulator.kill("all", fault, **fields)
        await _resumes(run, SHARDS)
        await run.load(2)

    return act


def _deafens(fault: str, shard_id: int):
    async def act(run: Run) -> None:
        since = run.simulator.clock()
        run.simulator.fault(fault, target=f"{shard_id}/{SHARDS}")
        await _resumes(run, 1)
        run.deaf = run.simulator.clock() - since
        await run.load(2)

    return act


async def _doubles_and_shuffles(run: Run) -> None:
    run.simulator.fault("duplicate", target="all", share=0.05, seconds=3)
    run.simulator.fault("reorder", target="all", share=0.05, by=3, seconds=3)
    await run.load(3)
    run.simulator.fault("heal")
    await run.load(2)
    account = run.account()
    assert account.doubled_on_purpose
    assert account.reordered_on_purpose


async def _session_ended(run: Run) -> None:
    since = run.simulator.clock()
    run.simulator.kill(f"2/{SHARDS}", Fault.INVALID_SESSION, resumable=False)
    await run.until(lambda: run.identifies == 1, "a new session")
    run.deaf = run.simulator.clock() - since
    await run.load(2)


DISCORD_FAULTS = (
    Scenario("TCP reset of all sessions", "No close frame, with events on their way.", _disturbs(Fault.TCP_RESET)),
    Scenario("close 4000 of all sessions", "A close frame.", _disturbs(Fault.CLOSE)),
    Scenario("op 7 to all sessions", "Discord asks to reconnect.", _disturbs(Fault.RECONNECT)),
    Scenario(
        "op 9, resumable, to all sessions",
        "Invalid Session with `d: true`: after a wait of 1 to 5 s that Discord asks for, a Resume.",
        _disturbs(Fault.INVALID_SESSION),
    ),
    Scenario(
        "a stalled socket",
        "One shard's socket stays open, and nothing comes any more. A heartbeat without its ACK gives it away: "
        "heartbeats are every 6 s here, with Discord every 41 s. (The gap is counted from the stall on.)",
        _deafens("stall", 3),
    ),
    Scenario(
        "a half-open connection",
        "The same, and what the shard sends is not read either.",
        _deafens("half-open", 5),
    ),
    Scenario(
        "Discord doubles and shuffles events",
        "A twentieth of the events comes twice from Discord, or late. These are Discord's own, each with a `seq`, and "
        "are delivered as they came; the simulator's ledger tells them apart from any that the gateway would double.",
        _doubles_and_shuffles,
    ),
    Scenario(
        "op 9, not resumable, to one session",
        "Discord ends a session: the one fault here after which there is nothing to resume, so it costs one identify.",
        _session_ended,
        identifies=1,
    ),
)
