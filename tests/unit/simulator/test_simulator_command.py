"""The command, as a process of its own."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

PATIENCE_S = 20.0


@pytest.fixture
def command(tmp_path):
    """Start `discord-simulator` and wait for its ready file; what was started is ended."""
    started = []

    def start(*options):
        ready_file = tmp_path / f"ready-{len(started)}.json"
        process = subprocess.Popen(
            [sys.executable, "-m", "discord_simulator", "--ready-file", str(ready_file), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        deadline = time.monotonic() + PATIENCE_S
        while not ready_file.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return process, json.loads(ready_file.read_text()) if ready_file.exists() else None

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def get(url):
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        return json.load(answer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_and_ends_cleanly(command, number):
    process, addresses = command("--rate", "200", "--duration", "60")

    assert get(f"{addresses['control_url']}/healthz") == {"ok": True}
    assert get(f"{addresses['rest_url']}/gateway")["url"] == addresses["gateway_url"]
    process.send_signal(number)
    _, log = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["event"] for line in lines] == ["listening", "stopping"]
    assert lines[0]["rest_url"] == addresses["rest_url"]


async def test_a_client_can_work_with_it_and_the_log_tells_the_rule_it_broke(command, connect, tmp_path):
    ca_file = tmp_path / "ca.pem"
    process, addresses = await asyncio.to_thread(
        command, "--guilds", "3", "--token", "secret-token", "--rate", "500", "--duration", "0.1",
        "--start-load-after", "1", "--ca-out", str(ca_file),
    )  # fmt: skip
    simulator = type("Addresses", (), {**addresses, "ca_file": str(ca_file)})
    client = await connect(simulator, tls=True, compress="zstd-stream")

    _, guilds = await client.identify(token="secret-token", guilds=3)
    load = await client.receive_many(50)
    await client.send(2, {"token": "secret-token", "intents": 0, "properties": {}})
    assert await client.closed() == 4005
    process.terminate()
    _, log = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)

    assert [payload["t"] for payload in guilds] == ["GUILD_CREATE"] * 3
    assert [payload["d"]["event_number"] for payload in load] == list(range(5, 55))
    assert '"rule": "already-authenticated"' in log
    assert '"event": "session begun"' in log
    assert "secret-token" not in log


async def test_rules_and_numbers_are_chosen_by_options(command, connect):
    _, addresses = await asyncio.to_thread(
        command, "--shard-multiple", "2", "--no-event-numbers", "--guild-members", "60", "--guilds", "2",
        "--live-resume", "refuse", "--full-shards", "block",
    )  # fmt: skip
    refused = await connect(type("Addresses", (), addresses))
    await refused.send(2, {"token": "simulator-token", "intents": 1, "properties": {}, "shard": [0, 1]})
    assert await refused.closed() == 4010

    client = await connect(type("Addresses", (), addresses))
    ready, (created,) = await client.identify((1, 2), guilds=1)

    assert "event_number" not in ready["d"] | created["d"]
    assert created["d"]["member_count"] == 60


def test_a_port_that_is_taken_is_one_line_and_exit_code_2(command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process, _ = command("--gateway-port", str(port))
        _, log = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 2
    assert log.count("\n") == 1
    assert f"127.0.0.1:{port}" in log
    assert "--gateway-port 0" in log


def test_a_file_that_cannot_be_written_is_one_line_and_exit_code_2(command, tmp_path):
    process, _ = command("--ca-out", str(tmp_path / "nowhere" / "ca.pem"))
    _, log = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 2
    assert log.count("\n") == 1
    assert "nowhere" in log


def test_a_wrong_timeline_is_told_with_its_field_and_exit_code_2(command, tmp_path):
    timeline = tmp_path / "timeline.yaml"
    timeline.write_text("- {at: 1, fault: drop, share: 3}\n")
    process, _ = command("--timeline", str(timeline))
    _, log = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 2
    assert "[0].share" in log
    assert "above 0, up to 1" in " ".join(log.split())


async def test_a_timeline_runs_when_the_sessions_are_ready(command, connect, tmp_path):
    timeline = tmp_path / "timeline.yaml"
    timeline.write_text("- {at: 0, fault: close, code: 4009}\n")
    _, addresses = await asyncio.to_thread(
        command, "--guilds", "2", "--timeline", str(timeline), "--start-timeline-after", "1"
    )
    client = await connect(type("Addresses", (), addresses))
    await client.identify(guilds=2)

    assert await client.closed() == 4009


def test_help_teaches_with_an_example():
    text = subprocess.run(
        [sys.executable, "-m", "discord_simulator", "--help"], capture_output=True, text=True, check=True
    ).stdout

    assert "--start-load-after 4" in text
    assert "curl" in text
