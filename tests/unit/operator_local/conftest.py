"""Fixtures of the operator's adapters: a clock by hand, waiting for a condition, and small programs as pods."""

import asyncio
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import pytest

from gateway_operator.core.world import InstanceSpec, PodSpec
from gateway_operator.local.instance_record import recorded
from gateway_operator.local.pod_process import PodCommand
from gateway_operator.local.process_identity import processes_with
from shardpod.contract import Assignment, ShardRange, environment

DEADLINE = 10.0

OBEDIENT = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nwhile True: signal.pause()"
"""Runs until SIGTERM, then ends with exit code 0."""

MANIFEST = """\
apiVersion: discordgateway.dev/v1alpha1
kind: DiscordGateway
metadata: {name: mybot}
spec:
  tokenSecretRef: {name: mybot, key: token}
  intents: [Guilds]
  delivery: {sink: {http: {url: "http://127.0.0.1:9/"}}}
"""


class HandClock:
    """Stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the condition holds, or fail at the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not await condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        await asyncio.sleep(0.005)


@pytest.fixture(scope="session", autouse=True)
def _one_loop_closed_at_the_end() -> Iterator[None]:
    """pytest-asyncio asks for the main thread's loop, which makes one on Python 3.11 that nobody would close."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(name="until")
def until_fixture():
    return until


@contextmanager
def serving_in_a_thread(serve: Callable[[], AbstractAsyncContextManager[None]]) -> Iterator[None]:
    """Serve beside a command under test, since the command runs an event loop of its own."""
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        async with serve():
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture(name="serving_in_a_thread")
def serving_in_a_thread_fixture():
    return serving_in_a_thread


@pytest.fixture
def state_path(tmp_path_factory) -> Path:
    """Private, and short enough for a socket's path."""
    path = tmp_path_factory.mktemp("state")
    path.chmod(0o700)
    return path


def end_all_below(directory: Path) -> None:
    """Kill the processes of every instance that has a record in the directory."""
    for spec, process in recorded(directory / "pods"):
        found = processes_with(environment.SCRATCH, str(directory / "scratch" / spec.name))
        for one in filter(None, (process, *found)):
            one.kill_group()


@pytest.fixture(name="end_all_below")
def end_all_below_fixture() -> Callable[[Path], None]:
    return end_all_below


@pytest.fixture
def pods_path(state_path) -> Iterator[Path]:
    """The directory that has the records and the scratch of pods; what runs at the end is killed."""
    (state_path / "pods").mkdir()
    yield state_path
    end_all_below(state_path)


@pytest.fixture(scope="session")
def instance() -> Callable[..., InstanceSpec]:
    def build(number: int = 1, *, revision: str = "now", first: int = 0, last: int = 15) -> InstanceSpec:
        held = ShardRange(first_shard_id=first, last_shard_id=last)
        return InstanceSpec(PodSpec(f"mybot-e1-{first}-{last}", 1, held), number, revision)

    return build


@pytest.fixture
def pod_command() -> Callable[..., PodCommand]:
    def build(program: str = OBEDIENT, **given: str) -> PodCommand:
        # -I -S: the pods here need nothing but the interpreter, and start in half the time.
        return PodCommand((sys.executable, "-I", "-S", "-c", program), given)

    return build


@pytest.fixture(scope="session")
def assignment() -> Callable[..., Assignment]:
    def build(pod: str, **changes: object) -> Assignment:
        return Assignment.model_validate(
            {
                "term": 0,
                "n": 0,
                "gateway": "mybot",
                "pod": pod,
                "epoch": 1,
                "shard_count": 4,
                "range": {"first_shard_id": 0, "last_shard_id": 1},
                "role": "active",
                "ownership": {"active_epoch": 1, "active_shard_count": 4},
                "discord": {"gateway_url": "wss://gateway.example", "compression": "none", "intents": 1},
                "delivery": {"http": {"url": "http://bot.example/"}},
                **changes,
            }
        )

    return build


@pytest.fixture
def manifest(tmp_path) -> Callable[..., Path]:
    """Write a valid manifest of the gateway `mybot`, with further lines of YAML under `spec`."""

    def write(*further: str) -> Path:
        file = tmp_path / "gateway.yaml"
        file.write_text(MANIFEST + "".join(f"  {line}\n" for line in further))
        return file

    return write
