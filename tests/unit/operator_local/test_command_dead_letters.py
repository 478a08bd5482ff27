"""`dead-letters` against pods served as tiny HTTP servers."""

import json
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web
from click.testing import CliRunner

from gateway_operator.command import main
from gateway_operator.core.status_model import GatewayStatus, Phase, PodRow, RangeStatus
from gateway_operator.local.state_directory import StateDirectory
from gateway_operator.local.status_socket import serving_status

LETTER = {
    "key": "session:7",
    "shardId": 1,
    "type": "MESSAGE_CREATE",
    "guildId": "81384788765712384",
    "problem": "[500] the bot failed",
    "attempts": 10,
    "diedAt": 1767268800.5,
    "bytes": 1234,
}


class Pod:
    """Serves its dead letters, and notes what it was told."""

    def __init__(self, *letters: dict, secret: str) -> None:
        self.letters = list(letters)
        self.told: list[tuple[str, dict]] = []
        self.address: str | None = None
        self.between_two_sets = False
        self._secret = secret

    async def handle(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self._secret}":
            return web.Response(status=401, text="Wrong or no control secret.\n")
        if request.method == "GET":
            return web.json_response({"deadLetters": self.letters})
        body = await request.json()
        self.told.append((request.path, body))
        if self.between_two_sets and request.path.endswith("/replay"):
            return web.json_response({"done": 0})
        chosen = [one for one in self.letters if body.get("all") or one["key"] in body["keys"]]
        return web.json_response({"done": len(chosen)})

    @asynccontextmanager
    async def serving(self):
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()


@pytest.fixture
def directory(state_path) -> StateDirectory:
    directory = StateDirectory(state_path / "mybot")
    directory.prepare()
    return directory


@pytest.fixture
def pods(directory) -> list[Pod]:
    secret = directory.control_secret()
    return [Pod(LETTER, secret=secret), Pod({**LETTER, "key": "session:9", "guildId": None}, secret=secret)]


@pytest.fixture
def run(directory, pods, serving_in_a_thread):
    def report() -> str:
        rows = tuple(
            PodRow(
                name="mybot-e1-0-1",
                instance=f"mybot-e1-0-1.{number}",
                role="active",
                range=RangeStatus(first_shard_id=0, last_shard_id=1),
                up_to_date=True,
                connected=pod.address is not None,
                ready=True,
                http_address=pod.address,
            )
            for number, pod in enumerate(pods, 1)
        )
        return GatewayStatus(
            name="mybot",
            phase=Phase.RUNNING,
            conditions=(),
            shards=2,
            ready_shards=2,
            guilds=1,
            active=None,
            session_start_limit=None,
            recommended_shards=None,
            shard_rows=(),
            pods=rows,
        ).model_dump_json(by_alias=True)

    @asynccontextmanager
    async def serving():
        async with AsyncExitStack() as stack:
            for pod in pods:
                await stack.enter_async_context(pod.serving())
            await stack.enter_async_context(serving_status(directory.status_socket, report))
            yield

    def run(*arguments: str):
        with serving_in_a_thread(serving):
            return CliRunner().invoke(main, ["dead-letters", *arguments, "--state-dir", str(directory.path)])

    return run


def test_the_letters_of_all_pods_are_listed(run):
    lines = [line.split() for line in run("list").stdout.splitlines()]

    assert lines[0] == ["KEY", "TYPE", "SHARD", "GUILD", "ATTEMPTS", "BYTES", "DIED", "(UTC)", "PROBLEM"]
    assert lines[1][:4] == ["session:7", "MESSAGE_CREATE", "1", "81384788765712384"]
    assert lines[1][5:8] == ["1,234", "2026-01-01", "12:00:00"]
    assert lines[1][-4:] == ["[500]", "the", "bot", "failed"]
    assert lines[2][0] == "session:9"


def test_json_is_for_programs(run):
    letters = json.loads(run("list", "-o", "json").stdout)["deadLetters"]

    assert letters[0] == LETTER
    assert letters[1]["key"] == "session:9"


def test_that_there_are_none_is_said(run, pods):
    for pod in pods:
        pod.letters.clear()

    assert run("list").stdout == "no dead letters: the bot took every event\n"


@pytest.mark.parametrize(("what", "words"), [("replay", "queued for delivery"), ("discard", "deleted")])
def test_all_are_decided_upon_at_every_pod(run, pods, what, words):
    result = run(what, "--all")

    assert result.stdout == f"2 dead letters {words}\n"
    assert [pod.told for pod in pods] == [[(f"/v1/dead-letters/{what}", {"all": True})]] * 2


def test_some_are_chosen_by_their_keys(run, pods):
    result = run("replay", "--key", "session:9")

    assert result.stdout == "1 dead letter queued for delivery\n"
    assert pods[1].told == [("/v1/dead-letters/replay", {"keys": ["session:9"]})]


def test_a_key_that_is_none_is_said(run):
    result = run("discard", "--key", "session:9", "--key", "session:11")

    assert result.exit_code == 2
    assert result.stderr == "1 of the keys given are not among the dead letters\n"


@pytest.mark.parametrize(("arguments", "words"), [(("--all",), "2 dead letters"), (("--key", "session:9"), "1 of the")])
def test_what_cannot_be_replayed_in_a_reshard_is_said(run, pods, arguments, words):
    for pod in pods:
        pod.between_two_sets = True
    result = run("replay", *arguments)

    assert (result.exit_code, result.stdout) == (2, "0 dead letters queued for delivery\n")
    assert result.stderr.startswith(words)
    assert "until the reshard is over" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("--all", "--key", "session:7")])
def test_which_ones_has_to_be_said(run, pods, arguments):
    result = run("discard", *arguments)

    assert result.exit_code == 2
    assert "say which" in result.stderr
    assert [pod.told for pod in pods] == [[], []]


def test_a_pod_that_refuses_is_named_with_what_it_said(run, pods):
    pods[0]._secret = "another"
    result = run("list")

    assert result.exit_code == 2
    assert result.stderr == "mybot-e1-0-1.1 answered 401: Wrong or no control secret.\n"


def test_a_pod_that_is_not_connected_is_named(run, pods, monkeypatch):
    @asynccontextmanager
    async def away():
        yield

    monkeypatch.setattr(pods[1], "serving", away)
    result = run("list")

    assert result.exit_code == 2
    assert result.stderr.startswith("mybot-e1-0-1.2: not connected")
