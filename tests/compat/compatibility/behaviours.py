"""What is asked of a library, and the run that asks it: real process, real TLS, and the simulator's ledger as judge.

All faults of the first run come at once, each on a shard of its own, in the middle of a load.
"""

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from compatibility.driver_process import Driver
from compatibility.toolchains import Toolchains

from discord_simulator import Simulator, SimulatorSettings, settle
from discord_simulator.discord import APPLICATION_ID
from discord_simulator.intents import ALL_INTENTS, PRIVILEGED_INTENTS

SHARDS = 6
GUILDS = 60
LOAD_RATE = 200.0
LOAD_EVENTS = 1700
# By then every shard's Identify lies more than the 5 s back that its bucket must rest before the next.
EVENTS_BEFORE_FAULTS = 1100
HELD_BACK_S = 0.5
# hikari reads the bot's id out of the token's first part, as Discord writes it there.
TOKEN = f"{base64.b64encode(str(APPLICATION_ID).encode()).decode().rstrip('=')}.compat.not-a-secret"
NONCE = "compat-0123456789"
ASKED_USERS = ["80351110224678912", "41771983423143937"]


class Behaviour(Enum):
    """Value: the heading in the table."""

    EVENTS = "all events"
    TCP_RESET = "TCP reset"
    CLOSE_4000 = "close 4000"
    RECONNECT = "op 7"
    INVALID_RESUMABLE = "op 9 `true`"
    INVALID = "op 9 `false`"
    MEMBERS = "members"
    REFUSED_4004 = "4004"
    REFUSED_4011 = "4011"
    REFUSED_4014 = "4014"


SHARD_OF = {
    Behaviour.TCP_RESET: 0,
    Behaviour.CLOSE_4000: 1,
    Behaviour.RECONNECT: 2,
    Behaviour.INVALID_RESUMABLE: 3,
    Behaviour.INVALID: 4,
    Behaviour.EVENTS: 5,
}
RESUMING = (Behaviour.TCP_RESET, Behaviour.CLOSE_4000, Behaviour.RECONNECT, Behaviour.INVALID_RESUMABLE)
REFUSALS = {
    4011: (Behaviour.REFUSED_4011, {"max_guilds_per_shard": 3}),
    4014: (Behaviour.REFUSED_4014, {"granted_intents": ALL_INTENTS & ~PRIVILEGED_INTENTS}),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A library with one way of transport compression; `package` is its name in the lock files."""

    package: str
    compression: str
    script: str

    def __str__(self) -> str:
        return f"{self.package}-{self.compression}"


SUBJECTS = (
    Subject("discord.py", "zlib-stream", "drive_discord_py.py"),
    Subject("discord.py", "zstd-stream", "drive_discord_py.py"),
    Subject("hikari", "zlib-stream", "drive_hikari.py"),
    Subject("hikari", "zstd-stream", "drive_hikari.py"),
    Subject("@discordjs/ws", "none", "drive_discordjs_ws.mjs"),
    Subject("@discordjs/ws", "zlib-stream", "drive_discordjs_ws.mjs"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """`shown` stands in the table. `fault` is empty if all was right, else what was not."""

    shown: str
    fault: str = ""


Findings = dict[Behaviour, Finding]


@dataclass(frozen=True, slots=True)
class Examination:
    """All that was found of a subject, and the version of the library that ran."""

    version: str
    findings: Findings


async def examine(toolchains: Toolchains, subject: Subject) -> Examination:
    """Run a library through everything; raises `AssertionError` where it stops, or waits in vain."""
    version, findings = await _session_run(toolchains, subject)
    for code in REFUSALS:
        findings |= await _refused_run(toolchains, subject, code)
    return Examination(version, findings)


# The long run: sessions, faults, members, and the token's end


async def _session_run(toolchains: Toolchains, subject: Subject) -> tuple[str, Findings]:
    settings = SimulatorSettings(token=TOKEN, guilds=GUILDS, recommended_shards=SHARDS, max_concurrency=SHARDS)
    async with (
        Simulator(settings) as simulator,
        Driver(toolchains, subject.script, simulator, subject.compression) as driver,
    ):
        await driver.until(lambda: simulator.ready_sessions == SHARDS, "all shards have a session and their guilds")
        before_load = simulator.ledger.next_number
        # What is held back when the connection breaks never arrives: here at least, there is something to replay.
        simulator.delay(_target(Behaviour.TCP_RESET), HELD_BACK_S)
        simulator.start_load(LOAD_RATE, events=LOAD_EVENTS)
        await driver.until(
            lambda: simulator.ledger.next_number >= before_load + EVENTS_BEFORE_FAULTS, "the first part of the load"
        )
        _disturb(simulator)
        await simulator.wait_load_done()
        with contextlib.suppress(AssertionError):  # what did not come is told in the account of its shard
            await driver.until(lambda: _caught_up(simulator, driver), "every shard is back and has every event")
        findings = dict(_judge_shards(simulator, driver, subject.compression))
        findings |= await _members(simulator, driver)
        findings |= await _token_dies(simulator, driver)
        return driver.of("library")[0]["version"], findings


def _disturb(simulator: Simulator) -> None:
    simulator.kill(_target(Behaviour.TCP_RESET), "tcp-reset")
    simulator.delay(_target(Behaviour.TCP_RESET), 0)
    simulator.kill(_target(Behaviour.CLOSE_4000), "close", code=4000)
    simulator.kill(_target(Behaviour.RECONNECT), "reconnect")
    simulator.kill(_target(Behaviour.INVALID_RESUMABLE), "invalid-session", resumable=True)
    simulator.kill(_target(Behaviour.INVALID), "invalid-session", resumable=False)


def _target(behaviour: Behaviour) -> str:
    return f"{SHARD_OF[behaviour]}/{SHARDS}"


def _caught_up(simulator: Simulator, driver: Driver) -> bool:
    resumed = all(driver.dispatches("RESUMED", SHARD_OF[behaviour]) for behaviour in RESUMING)
    again = len(driver.dispatches("READY", SHARD_OF[Behaviour.INVALID])) > 1
    return resumed and again and simulator.ready_sessions == SHARDS and not _missing(simulator, driver)


def _missing(simulator: Simulator, driver: Driver) -> set[int]:
    got = {line["number"] for line in driver.of("dispatch")}
    return {number for number, *_, receivers in simulator.ledger.rows() if receivers and number not in got}


def _judge_shards(simulator: Simulator, driver: Driver, compression: str) -> Iterator[tuple[Behaviour, Finding]]:
    """Settle each shard by itself against what was sent to its sessions."""
    broken = _general_faults(simulator, driver, compression)
    for behaviour, shard in SHARD_OF.items():
        sessions = [
            session_id
            for session_id, session in simulator.ledger.summary()["sessions"].items()
            if session["shard"] == [shard, SHARDS]
        ]
        rows = [row for row in simulator.ledger.rows() if any(session_id in sessions for session_id, _ in row[4])]
        account = settle(rows, driver.deliveries(shard))
        faults = [broken] if broken else []
        if not account.exactly_once or account.misread or account.session_order_violations:
            faults.append(account.report())
        if len(sessions) != (2 if behaviour is Behaviour.INVALID else 1):
            faults.append(f"{len(sessions)} sessions of shard {shard}: {sessions}")
        shown = {Behaviour.EVENTS: "none missing", Behaviour.INVALID: "new session"}.get(behaviour, "resumes")
        yield behaviour, Finding(shown, "\n".join(faults))


def _general_faults(simulator: Simulator, driver: Driver, compression: str) -> str:
    """Give what is wrong with the run as a whole: errors of the library, broken rules, another compression."""
    faults = [line["error"] for line in driver.of("error") + driver.of("crashed")]
    faults += [f"{incident.rule}: {incident.detail}" for incident in simulator.ledger.violations]
    if set(simulator.connections_made) != {compression}:
        faults.append(f"asked for {compression}, connected with {dict(simulator.connections_made)}")
    return "\n".join(faults)


async def _members(simulator: Simulator, driver: Driver) -> Findings:
    """Ask for members by id, and see the library give what came under the nonce it was asked with."""
    guild = str(simulator.guild_ids[0])
    await driver.order(guild=guild, users=ASKED_USERS, nonce=NONCE)
    await driver.until(lambda: driver.of("members"), "the members asked for")
    (got,) = driver.of("members")
    right = (got["guild"], got["users"], got.get("nonce", NONCE)) == (guild, ASKED_USERS, NONCE)
    return {Behaviour.MEMBERS: Finding("chunks", "" if right else f"asked for {ASKED_USERS}, got {got}")}


async def _token_dies(simulator: Simulator, driver: Driver) -> Findings:
    """Let the one Identify too many end the token: Discord refuses that shard, and all others, with 4004."""
    simulator.change_rules(remaining=0)
    simulator.kill(_target(Behaviour.EVENTS), "invalid-session", resumable=False)
    return {Behaviour.REFUSED_4004: await _refusal(simulator, driver, 4004)}


# The short runs: refused at the first Identify


async def _refused_run(toolchains: Toolchains, subject: Subject, code: int) -> Findings:
    behaviour, rules = REFUSALS[code]
    settings = SimulatorSettings(token=TOKEN, guilds=10, recommended_shards=2, max_concurrency=2, **rules)
    async with (
        Simulator(settings) as simulator,
        Driver(toolchains, subject.script, simulator, subject.compression) as driver,
    ):
        return {behaviour: await _refusal(simulator, driver, code)}


async def _refusal(simulator: Simulator, driver: Driver, code: int) -> Finding:
    await driver.until(lambda: driver.of("refused"), f"the library reports {code}")
    refused = driver.of("refused")[0]
    told = code in {incident.code for incident in simulator.ledger.violations}
    right = told and refused["code"] in {code, None}
    return Finding(f"`{refused['report']}`", "" if right else f"refused with {code}, reported {refused}")
