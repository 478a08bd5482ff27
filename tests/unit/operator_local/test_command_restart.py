"""`restart` against a status socket served as `up` serves it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway_operator.command import following, main
from gateway_operator.core.status_model import Condition, ConditionStatus, GatewayStatus, Phase, RolloutStatus
from gateway_operator.local.state_directory import StateDirectory
from gateway_operator.local.status_socket import RestartAnswer, serving_status


class Up:
    """The running operator: replaces a pod each time that it is asked how it is doing."""

    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.problems: tuple[str, ...] = ()
        self.replaced = 3
        self.stuck = False
        self.held: tuple[Condition, ...] = ()

    def restart(self, request) -> RestartAnswer:
        if self.problems:
            return RestartAnswer(problems=self.problems)
        self.asked.append(request.replace_all)
        self.replaced = 0
        return RestartAnswer(restarts=len(self.asked))

    def report(self) -> str:
        rollout = RolloutStatus(
            restarts=len(self.asked), pods=3, replaced=self.replaced, leaving=int(0 < self.replaced < 3)
        )
        if not self.stuck and self.replaced < 3:
            self.replaced += 1
        degraded = Condition(type="Degraded", status=ConditionStatus.TRUE, reason="PodFailing", message="it fails")
        return GatewayStatus(
            name="mybot",
            phase=Phase.RUNNING,
            conditions=(*self.held, degraded),
            shards=6,
            ready_shards=6,
            guilds=1,
            active=None,
            session_start_limit=None,
            recommended_shards=None,
            shard_rows=(),
            rollout=rollout,
        ).model_dump_json(by_alias=True)


@pytest.fixture
def up(state_path, serving_in_a_thread, monkeypatch):
    monkeypatch.setattr(following, "POLL", 0.01)
    up, directory = Up(), StateDirectory(state_path / "mybot")
    directory.prepare()
    with serving_in_a_thread(lambda: serving_status(directory.status_socket, up.report, up.restart)):
        yield up


@pytest.fixture
def run(state_path):
    def run(*arguments: str, place: Path = state_path / "mybot"):
        return CliRunner().invoke(main, ["restart", "--state-dir", str(place), *arguments])

    return run


def test_it_says_each_step_and_ends_when_all_pods_are_replaced(up, run):
    result = run()

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "0 of 3 pods are replaced",
        "1 of 3 pods are replaced, 1 old still there",
        "2 of 3 pods are replaced, 1 old still there",
        "done: all 3 pods are replaced, 6 shards connected",
    ]
    assert up.asked == [True]


def test_without_waiting_it_only_asks(up, run):
    result = run("--no-wait")

    assert result.exit_code == 0
    assert "discord-gateway status" in result.stdout
    assert up.asked == [True]


def test_pods_that_a_change_does_not_concern_can_be_left_alone(up, run):
    assert run("--no-wait", "--if-changed").exit_code == 0
    assert up.asked == [False]


def test_what_is_wrong_with_the_file_is_shown_and_nothing_changes(up, run):
    up.problems = ("gateway.yaml: spec.intents: is missing", "gateway.yaml: spec.shrads: no such field")
    result = run()

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [*up.problems, "nothing was changed: the pods run on as they are"]
    assert up.asked == []


def test_at_the_deadline_it_says_how_far_it_is_and_what_is_wrong(up, run):
    up.stuck = True
    result = run("--timeout", "1")

    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert first == "not done after 1 s (0 of 3 pods are replaced): it fails"
    assert "it goes on" in second


@pytest.mark.parametrize(
    ("type", "holds", "reason", "message"),
    [
        ("Paused", True, "PausedBySpec", "spec.paused is true: 3 pods wait to be replaced"),
        ("Ready", False, "Suspended", "spec.suspend is true, and no event is received"),
    ],
)
def test_what_is_held_is_not_waited_for(up, run, type, holds, reason, message):  # noqa: A002 -- the condition's own word
    up.stuck = True
    up.held = (Condition(type=type, status=ConditionStatus(str(holds)), reason=reason, message=message),)
    result = run("--timeout", "30")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"nothing is replaced yet: {message}"]
    assert up.asked == [True]


def test_a_paused_reshard_holds_no_pods(up, run):
    up.held = (Condition(type="Paused", status=ConditionStatus.TRUE, reason="ReshardPaused", message="by the command"),)

    assert run().stdout.splitlines()[-1] == "done: all 3 pods are replaced, 6 shards connected"


def test_a_gateway_that_does_not_run_is_exit_code_3(run, state_path):
    assert run(place=state_path / "nothing").exit_code == 3
