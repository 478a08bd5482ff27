"""The command that sends a fault to a simulator that runs."""

import asyncio
import json
import socket
import subprocess
import sys
from contextlib import closing

import pytest
import structlog.testing
from aiohttp import web
from click.testing import CliRunner

from discord_simulator.fault_command import describe, main
from discord_simulator.fault_requests import catalogue


@pytest.fixture(autouse=True)
def _logs_apart():
    """What the command prints is under test; other tests may have set up logs that go to stdout as well."""
    with structlog.testing.capture_logs():
        yield


@pytest.fixture(autouse=True)
def no_address_from_outside(monkeypatch):
    monkeypatch.delenv("DISCORD_SIMULATOR_CONTROL", raising=False)


async def run(*words, env=None):
    """Run the command beside the simulator in this loop."""
    return await asyncio.to_thread(CliRunner().invoke, main, words, env=env)


def last_fault(simulator):
    return simulator.ledger.faults[-1].request


async def test_a_session_is_reset_through_the_address_in_the_ready_file(simulate, connect, tmp_path):
    simulator = await simulate()
    client = await connect(simulator)
    ready, _ = await client.identify((0, 2))
    ready_file = tmp_path / "sim.json"
    ready_file.write_text(json.dumps({"control_url": simulator.control_url}))

    done = await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable,
            "-m",
            "discord_simulator.fault_command",
            "--ready-file",
            ready_file,
            "tcp-reset",
            "target=0/2",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == f"tcp-reset met 1 session: {ready['d']['session_id']}\n"
    await client.receive_until_lost()


async def test_words_become_the_types_that_the_fields_have(simulate):
    simulator = await simulate()
    fields = ["events=MESSAGE_CREATE,TYPING_START", "share=0.5", "count=3", "seconds=10"]

    done = await run("--control", simulator.control_url, "drop", *fields)

    assert (done.exit_code, done.output) == (0, "drop met no sessions\n")
    assert last_fault(simulator) == {
        "fault": "drop", "target": "all", "events": ("MESSAGE_CREATE", "TYPING_START"), "share": 0.5, "count": 3,
        "seconds": 10.0,
    }  # fmt: skip


async def test_a_list_is_also_read_as_json_and_a_yes_or_no_as_such(simulate):
    simulator = await simulate()

    await run("--control", simulator.control_url, "vary", 'fields=["_trace", "nonce"]', "key_order=false")

    assert last_fault(simulator)["fields"] == ("_trace", "nonce")
    assert last_fault(simulator)["key_order"] is False


async def test_the_address_may_come_from_the_environment_and_a_ready_file_wins(simulate, tmp_path):
    simulator = await simulate()
    ready_file = tmp_path / "sim.json"
    ready_file.write_text(json.dumps({"control_url": "http://127.0.0.1:1"}))
    env = {"DISCORD_SIMULATOR_CONTROL": simulator.control_url}

    assert (await run("heal", env=env)).exit_code == 0
    assert (await run("--ready-file", str(ready_file), "heal", env=env)).exit_code == 3


async def test_the_answer_is_json_when_asked_for(simulate):
    simulator = await simulate()

    done = await run("--control", simulator.control_url, "-o", "json", "guild-outage", "count=2")

    assert len(json.loads(done.output)["guilds"]) == 2


async def test_guilds_settings_and_faults_to_come_are_told_in_a_line_each(simulate):
    control = ["--control", (await simulate(guilds=8)).control_url]

    assert (await run(*control, "guild-leave", "count=7")).output.endswith(" and 2 more\n")
    assert "max_concurrency 4" in (await run(*control, "rules", "max_concurrency=4")).output
    assert (await run(*control, "hello", "mode=never")).output == "hello is set for what comes next\n"
    assert describe("heal", {"sessions": ["a", "b"]}) == "heal met 2 sessions: a, b"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["drop", "share=3"], ["share: ", "allowed: above 0, up to 1"]),
        (["drop", "share=nan"], ["share: ", "allowed: above 0, up to 1"]),
        (["drop", "type=MESSAGE_CREATE"], ["type: ", "events: a list such as"]),
        (["drop", "events=[MESSAGE_CREATE"], ["events: ", "allowed: a list such as"]),
        (["drop", "fault=close"], ["fault: "]),
        (["close", "code=many"], ["code: ", "allowed: 1000 to 4999"]),
        (["refuse-login", "code=7"], ["code: ", "allowed: 9 for Invalid Session"]),
        (["explode"], ["fault: no such fault: 'explode'", "tcp-reset, close"]),
        (["drop", "share"], ["'share' is no field=value"]),
        (["drop", "count=1", "count=2"], ["count is there twice"]),
        (["guild-leave", "target=0"], ["target: '0' is no shard", "allowed: all, or a shard"]),
        (["guild-leave", "guilds=one"], ["guilds: 'one' is no id"]),
        (["heal", "target=0/4"], ["target: no session or shard '0/4'; there are: none"]),
        ([], ["which FAULT?", "--list"]),
    ],
)
async def test_what_cannot_be_is_told_with_its_field_and_what_is_allowed_and_exit_code_2(simulate, words, expected):
    simulator = await simulate()

    done = await run("--control", simulator.control_url, *words)

    assert done.exit_code == 2
    assert [part for part in expected if part not in done.stderr] == []
    assert not simulator.ledger.faults


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "DISCORD_SIMULATOR_CONTROL"),
        (["--control", "localhost:8082"], "no address such as http://127.0.0.1:8082"),
        (["--control", "http://localhost:port"], "no address such as http://127.0.0.1:8082"),
        (["--control", "http://localhost:8082", "--ready-file", "sim.json"], "not both"),
    ],
)
async def test_an_address_that_is_none_is_told_and_exit_code_2(options, expected):
    done = await run(*options, "heal")

    assert done.exit_code == 2
    assert expected in " ".join(done.stderr.split())


async def test_where_no_simulator_is_one_line_says_so_and_exit_code_3(tmp_path):
    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        port = gone.getsockname()[1]
    other_file = tmp_path / "other.json"
    other_file.write_text("[]")

    for options, expected in [
        (["--control", f"http://127.0.0.1:{port}"], f"no simulator at http://127.0.0.1:{port}"),
        (["--ready-file", str(tmp_path / "sim.json")], "sim.json: No such file or directory"),
        (["--ready-file", str(other_file)], "is not what discord-simulator --ready-file writes"),
    ]:
        done = await run(*options, "heal")
        assert (done.exit_code, done.stderr.count("\n")) == (3, 1)
        assert expected in done.stderr


async def test_another_server_is_not_taken_for_a_simulator():
    runner = web.AppRunner(web.Application())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        control = f"http://127.0.0.1:{runner.addresses[0][1]}"

        done = await run("--control", control, "heal")
    finally:
        await runner.cleanup()

    assert (done.exit_code, done.stderr.count("\n")) == (3, 1)
    assert f"{control} is no simulator's control API: it answers 404" in done.stderr


async def test_the_list_holds_every_fault_and_every_field_and_needs_no_simulator():
    text = (await run("--list")).output
    as_json = (await run("--list", "-o", "json")).output

    assert [line for line in text.splitlines() if not line.startswith(" ")] == list(catalogue())
    assert all(allowed in text for fields in catalogue().values() for allowed in fields.values())
    assert json.loads(as_json) == catalogue()


async def test_every_example_of_the_help_can_be_read(simulate):
    simulator = await simulate()
    examples = [
        words[words.index("sim.json") + 1 :]
        for line in (await run("--help")).output.splitlines()
        if (words := line.split())[:2] == ["discord-simulator-fault", "--ready-file"]
    ]

    assert [words[0] for words in examples] == ["tcp-reset", "drop", "guild-outage", "heal"]
    for words in examples:
        everyone = [word for word in words if not word.startswith("target=")]
        assert (await run("--control", simulator.control_url, *everyone)).exit_code == 0
