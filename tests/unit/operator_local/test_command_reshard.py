"""`reshard` against a status socket served as `up` serves it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway_operator.command import following, main
from gateway_operator.core.reshard_order import ReshardAnswer, ReshardOrder, ReshardPreview
from gateway_operator.core.status_model import (
    Condition,
    ConditionStatus,
    GatewayStatus,
    Phase,
    ReshardStatus,
    ShardSetStatus,
)
from gateway_operator.local.state_directory import StateDirectory
from gateway_operator.local.status_socket import _asked, serving_status
from shardpod.contract import ShardRange

START = datetime(2026, 3, 1, tzinfo=UTC)


def shard_set(shards: int) -> ShardSetStatus:
    return ShardSetStatus(epoch=shards, shard_count=shards, ranges=(), ready=shards)


def step(phase: str, progress: str, waiting_for: str | None = None) -> ReshardStatus:
    return ReshardStatus(
        phase=phase,
        reason="as asked",
        from_=4,
        to=8,
        ranges=2,
        started_at=START,
        progress=progress,
        message=progress,
        waiting_for=waiting_for,
    )


class Up:
    """The running operator: goes a step on each time that it is asked how it is doing, and ends with `at_last`."""

    def __init__(self) -> None:
        self.taken: list[ReshardOrder] = []
        self.asked_for: list[int | None] = []
        self.problems: tuple[str, ...] = ()
        self.steps: list[ReshardStatus | None] = []
        self.at_last = 8
        self.shown = ReshardPreview(shards=4, message="4 shards are as many as there should be")

    def take(self, order: ReshardOrder) -> ReshardAnswer:
        if self.problems:
            return ReshardAnswer(problems=self.problems)
        self.taken.append(order)
        return ReshardAnswer(message="understood")

    def preview(self, to: int | None) -> ReshardPreview:
        self.asked_for.append(to)
        return self.shown

    def report(self) -> str:
        reshard = self.steps.pop(0) if self.taken and self.steps else None
        shards = self.at_last if self.taken and not self.steps and reshard is None else 4
        degraded = Condition(type="Degraded", status=ConditionStatus.FALSE, reason="Fine", message="nothing is wrong")
        return GatewayStatus(
            name="mybot",
            phase=Phase.RUNNING,
            conditions=(degraded,),
            shards=shards,
            ready_shards=shards,
            guilds=1,
            active=shard_set(shards),
            reshard=reshard,
            session_start_limit=None,
            recommended_shards=None,
            shard_rows=(),
        ).model_dump_json(by_alias=True)


@pytest.fixture
def up(state_path, serving_in_a_thread, monkeypatch):
    monkeypatch.setattr(following, "POLL", 0.01)
    up, directory = Up(), StateDirectory(state_path / "mybot")
    directory.prepare()
    with serving_in_a_thread(lambda: serving_status(directory.status_socket, up.report, reshards=up)):
        yield up


@pytest.fixture
def run(state_path):
    def run(*arguments: str, place: Path = state_path / "mybot"):
        return CliRunner().invoke(main, ["reshard", "--state-dir", str(place), *arguments])

    return run


def test_it_says_each_step_and_ends_when_the_new_shards_deliver_everything(up, run):
    up.steps = [
        None,
        step("Starting", "3 of 8 new shards are connected"),
        step("HandingOver", "1 of 2 ranges handed over", "the range before has to settle"),
    ]
    result = run("--to", "8")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "understood",
        "waiting for the operator",
        "Starting: 3 of 8 new shards are connected",
        "HandingOver: 1 of 2 ranges handed over, waiting: the range before has to settle",
        "done: 8 shards deliver everything, 8 connected",
    ]
    assert up.taken == [ReshardOrder(to=8)]


def test_what_is_waited_for_is_not_said_again_as_its_numbers_change(up, run):
    up.steps = [step("Warming", "both watch", f"calm for {seconds} s of 33") for seconds in range(1, 20)]

    assert [line for line in run("--to", "8").stdout.splitlines() if "calm" in line] == [
        "Warming: both watch, waiting: calm for 1 s of 33"
    ]


def test_without_following_it_only_asks(up, run):
    up.steps = [step("Preparing", "not begun yet")]
    result = run("--to", "8", "--wait", "--no-follow")

    assert (result.exit_code, result.stdout) == (0, "understood\n")
    assert up.taken == [ReshardOrder(to=8, wait=True)]


def test_a_refusal_is_shown_with_exit_code_2(up, run):
    up.problems = ("it takes 39 identifies, and 12 are left",)
    result = run("--to", "32")

    assert result.exit_code == 2
    assert result.stderr == "it takes 39 identifies, and 12 are left\n"
    assert result.stdout == ""


def test_one_that_is_given_up_meanwhile_is_exit_code_1(up, run):
    up.steps, up.at_last = [step("Starting", "no shard connects")], 4
    result = run("--to", "8")

    assert result.exit_code == 1
    assert result.stderr == "it was given up, 4 shards deliver everything: see `discord-gateway status`\n"


def test_one_that_is_being_given_back_is_not_the_one_that_was_asked_for(up, run):
    given_back = step("Aborting", "1 of 2 ranges still to be given back")
    up.steps = [given_back, None, step("Starting", "3 of 8 new shards are connected")]
    result = run("--to", "8")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "done: 8 shards deliver everything, 8 connected"


def test_one_that_never_begins_is_exit_code_1(up, run):
    up.at_last = 4
    result = run("--to", "8")

    assert result.exit_code == 1
    assert result.stderr.startswith("it was not begun, 4 shards deliver everything")


def test_at_the_deadline_it_says_how_far_it_is(up, run):
    up.steps = [step("HandingOver", "1 of 2 ranges handed over", "the bot is away")] * 1000
    result = run("--to", "8", "--timeout", "1")

    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert first == (
        "not done after 1 s (HandingOver: 1 of 2 ranges handed over, waiting: the bot is away): nothing is wrong"
    )
    assert "it goes on" in second


def test_to_give_up_is_followed_until_all_is_given_back(up, run):
    up.steps, up.at_last = [step("Aborting", "1 of 2 ranges still to be given back")], 4
    result = run("--abort")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "understood",
        "Aborting: 1 of 2 ranges still to be given back",
        "given up: 4 shards deliver everything, as before",
    ]
    assert up.taken == [ReshardOrder(abort=True)]


def test_to_give_up_ends_where_the_next_one_begins(up, run):
    given_up = step("Aborting", "1 of 2 ranges still to be given back")
    another = step("Preparing", "not begun yet").model_copy(update={"to": 3})
    up.steps, up.at_last = [given_up, *[another] * 1000], 4
    result = run("--abort", "--timeout", "30")

    assert result.exit_code == 0
    assert "given up: 4 shards deliver everything, as before; one to 3 shards comes next" in result.stdout


@pytest.mark.parametrize(("option", "paused"), [("--pause", True), ("--resume", False)])
def test_to_pause_and_to_resume_is_done_at_once(up, run, option, paused):
    assert run(option).stdout == "understood\n"
    assert up.taken == [ReshardOrder(pause=paused)]


def test_the_plan_says_what_it_costs_and_changes_nothing(up, run):
    up.shown = ReshardPreview(
        shards=4,
        to=40,
        message="spec.shards is 40",
        why_not_now="it takes 48 identifies, and 12 are left",
        ranges=tuple(ShardRange(first_shard_id=first, last_shard_id=first + 3) for first in range(0, 40, 4)),
        identifies=48,
        identifies_left=12,
        identifies_kept=10,
        max_concurrency=16,
        identifying=15,
        watching=33,
        settling=50,
        draining=30,
        seconds=128,
    )
    result = run("--plan", "--to", "40")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "from 4 to 40 shards (spec.shards is 40)",
        "identifies: 48 (40 shards, the others for restarts meanwhile); 12 are left, 10 of them kept back",
        "handed over in 10 ranges of the new shards, a pod each: 0-3, 4-7, 8-11, 12-15, 16-19, 20-23, 24-27, 28-31, …",
        (
            "time: about 2 min 8 s; 15 s to identify (max_concurrency 16), 33 s to compare both sets, 50 s to hand "
            "over, 30 s to drain"
        ),
        "not now: it takes 48 identifies, and 12 are left",
    ]
    assert (up.asked_for, up.taken) == ([40], [])


def test_the_plan_of_a_number_that_would_be_refused_says_so_and_ends_with_2(up, run):
    up.shown = ReshardPreview(
        shards=4, to=4, message="as asked", why_not_now="4 shards are running already", refused=True
    )
    result = run("--plan", "--to", "4")

    assert (result.exit_code, result.stdout.splitlines()[-1]) == (2, "refused: 4 shards are running already")


def test_the_plan_of_a_single_shard_speaks_of_one(up, run):
    up.shown = ReshardPreview(
        shards=4, to=1, message="as asked", identifies=6, ranges=(ShardRange(first_shard_id=0, last_shard_id=0),)
    )

    assert run("--plan", "--to", "1").stdout.splitlines()[:3] == [
        "from 4 to 1 shard (as asked)",
        "identifies: 6 (1 shard, the others for restarts meanwhile); how many are left is not known yet",
        "handed over in 1 range of the new shards, a pod each: 0",
    ]


def test_the_plan_without_a_number_is_of_what_is_wanted(up, run):
    assert run("--plan").stdout == "nothing to do: 4 shards are as many as there should be\n"
    assert up.asked_for == [None]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--abort", "--pause"],
        ["--to", "8", "--abort"],
        ["--pause", "--resume"],
        ["--wait"],
        ["--plan", "--wait"],
        ["--plan", "--to", "8", "--wait"],
        ["--to", "0"],
        ["--to", "65537"],
    ],
)
def test_options_that_do_not_go_together_are_exit_code_2(up, run, arguments):
    result = run(*arguments)

    assert result.exit_code == 2
    assert result.stderr
    assert (up.taken, up.asked_for) == ([], [])


def test_a_gateway_that_does_not_run_is_exit_code_3(run, state_path):
    assert run("--to", "8", place=state_path / "nothing").exit_code == 3


@pytest.mark.parametrize(("method", "query", "body"), [("POST", "", '{"to": 0}'), ("GET", "?to=many", None)])
async def test_what_is_no_request_is_refused(up, state_path, method, query, body):
    socket = StateDirectory(state_path / "mybot").status_socket

    async with _asked(method, socket, f"/v1/reshard{query}", body) as response:
        assert response.status == 400


def test_an_up_of_an_older_version_is_told_from_one_that_does_not_run(state_path, serving_in_a_thread, run):
    directory = StateDirectory(state_path / "mybot")
    directory.prepare()
    with serving_in_a_thread(lambda: serving_status(directory.status_socket, Up().report)):
        result = run("--to", "8")

    assert result.exit_code == 3
    assert "did not take the request" in result.stderr
