import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from gateway_operator.command import main
from gateway_operator.command.status_table import status_view
from gateway_operator.core.status_model import (
    Condition,
    ConditionStatus,
    GatewayStatus,
    Phase,
    RangeStatus,
    ReshardStatus,
    SessionStartLimitStatus,
    ShardRow,
    ShardSetStatus,
)
from gateway_operator.local.instance_record import InstanceRecord
from gateway_operator.local.process_identity import ProcessIdentity
from gateway_operator.local.state_directory import StateDirectory
from gateway_operator.local.status_socket import serving_status

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def condition(kind: str, status: ConditionStatus, reason: str = "Reason", message: str = "") -> Condition:
    return Condition(type=kind, status=status, reason=reason, message=message)


FINE = (
    condition("Ready", ConditionStatus.TRUE, message="all ready"),
    condition("Progressing", ConditionStatus.FALSE, "Complete", "nothing to do"),
    condition("Resharding", ConditionStatus.FALSE, "NotResharding", "as it should be"),
    condition("Degraded", ConditionStatus.FALSE, message="nothing wrong"),
    condition("Paused", ConditionStatus.FALSE, "NotPaused", "nothing is held"),
    condition("IdentifyBudgetOK", ConditionStatus.TRUE, message="left"),
)


def build(phase: Phase = Phase.RUNNING, **changes) -> GatewayStatus:
    return GatewayStatus(
        name="mybot",
        **{
            "phase": phase,
            "conditions": FINE,
            "shards": 2,
            "ready_shards": 2,
            "guilds": 12345,
            "active": None,
            "session_start_limit": SessionStartLimitStatus(
                total=1000, remaining=968, reset_at=NOW + timedelta(hours=14), max_concurrency=1
            ),
            "recommended_shards": 2,
            "shard_rows": (
                ShardRow(shard_id=0, pod="mybot-e1-0-1", state="connected", guilds=6000, latency_ms=41.6),
                ShardRow(
                    shard_id=1,
                    pod="mybot-e1-0-1",
                    state="awaiting_permit",
                    guilds=6345,
                    queue_events=1200,
                    problem="waiting for its turn",
                ),
            ),
            **changes,
        },
    )


def lines(status: GatewayStatus, *, wide: bool = False) -> list[str]:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(status_view(status, wide=wide, now=NOW))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_the_first_line_sums_up():
    assert lines(build())[0] == (
        "mybot: Running, 2 of 2 shards ready, 12,345 guilds, 968 of 1,000 identifies left (all again in 14 h)"
    )


def with_condition(one: Condition) -> tuple[Condition, ...]:
    return tuple(one if fine.type == one.type else fine for fine in FINE)


def test_a_paused_gateway_is_shown_so_in_the_first_line():
    paused = condition("Paused", ConditionStatus.TRUE, "PausedBySpec", "spec.paused is true: 1 pod waits")
    first, second = lines(build(conditions=with_condition(paused)))[:2]

    assert first.startswith("mybot: Running (paused), 2 of 2 shards ready")
    assert second == "  spec.paused is true: 1 pod waits"


def test_a_reshard_that_is_paused_by_hand_is_told_in_its_own_line_alone():
    paused = condition("Paused", ConditionStatus.TRUE, "ReshardPaused", "resharding: in words")
    reshard = ReshardStatus(
        phase="HandingOver",
        reason="",
        from_=4,
        to=8,
        ranges=2,
        started_at=NOW,
        progress="1 of 2 ranges handed over",
        message="",
        waiting_for="it is held",
        paused=True,
    )
    shown = lines(build(conditions=with_condition(paused), reshard=reshard))

    assert shown[0].startswith("mybot: Running, ")
    assert shown[1:3] == ["  reshard 4 → 8: HandingOver, 1 of 2 ranges handed over, waiting: it is held, paused", ""]


def test_a_suspended_gateway_is_shown_so_in_the_first_line_and_what_that_means_is_said_once():
    conditions = tuple(
        condition(kind, ConditionStatus.FALSE, "Suspended", "what it means") for kind in ("Ready", "Progressing")
    )
    shown = lines(build(Phase.SUSPENDED, conditions=(*conditions, *FINE[2:]), ready_shards=0))

    assert shown[0].startswith("mybot: Suspended, 0 of 2 shards ready")
    assert shown[1:3] == ["  what it means", ""]


def test_before_discord_has_answered_the_identifies_left_are_not_known():
    assert lines(build(session_start_limit=None))[0].endswith("identifies left not known yet")


def test_while_all_is_well_no_condition_is_shown():
    assert lines(build())[1] == ""


@pytest.mark.parametrize(
    "bad",
    [
        condition("Progressing", ConditionStatus.TRUE, "ShardsConnecting", "in words"),
        condition("Degraded", ConditionStatus.TRUE, message="in words"),
        condition("IdentifyBudgetOK", ConditionStatus.FALSE, message="in words"),
        condition("IdentifyBudgetOK", ConditionStatus.UNKNOWN, message="in words"),
        condition("Ready", ConditionStatus.FALSE, message="in words"),
        condition("Paused", ConditionStatus.TRUE, message="in words"),
    ],
)
def test_a_condition_that_is_not_fine_is_said_in_words(bad):
    conditions = tuple(bad if fine.type == bad.type else fine for fine in FINE)

    assert lines(build(conditions=conditions))[1:3] == ["  in words", ""]


def test_that_it_is_not_ready_is_left_out_when_another_condition_says_why():
    conditions = (
        condition("Ready", ConditionStatus.FALSE, message="not ready"),
        *FINE[1:3],
        condition("Degraded", ConditionStatus.TRUE, message="the bot is away"),
        FINE[4],
    )

    assert lines(build(conditions=conditions))[1:3] == ["  the bot is away", ""]


def test_each_shard_has_a_row():
    assert [line.split() for line in lines(build())[2:]] == [
        ["SHARD", "STATE", "GUILDS", "LATENCY", "POD", "QUEUE", "POD"],
        ["0", "connected", "6,000", "42", "ms", "0", "mybot-e1-0-1"],
        ["1", "awaiting", "permit", "6,345", "1,200", "mybot-e1-0-1"],
    ]


def test_wide_says_what_is_wrong_with_each_shard():
    assert lines(build(), wide=True)[-1].endswith("waiting for its turn")


def test_words_are_never_taken_for_markup():
    conditions = (*FINE[:3], condition("Degraded", ConditionStatus.TRUE, message="[bold]failed[/x]"), FINE[4])

    row = ShardRow(shard_id=0, pod="mybot-e1-0-0", state="disconnected", problem="[red]away[/y]")
    shown = lines(build(conditions=conditions, shard_rows=(row,)), wide=True)

    assert "  [bold]failed[/x]" in shown
    assert shown[-1].endswith("[red]away[/y]")


# While a reshard runs.


def resharding(**changes) -> ReshardStatus:
    return ReshardStatus(
        **{
            "phase": "HandingOver",
            "reason": "spec.shards is 4",
            "from_": 2,
            "to": 4,
            "ranges": 8,
            "handed_ranges": (RangeStatus(first_shard_id=0, last_shard_id=1),),
            "started_at": NOW,
            "eta": NOW + timedelta(minutes=2),
            "progress": "5 of 8 ranges handed over",
            "message": "all of it",
            "waiting_for": "the bot is away",
            **changes,
        }
    )


def both_sets(**changes) -> GatewayStatus:
    rows = [
        ShardRow(shard_id=shard_id, shard_count=count, epoch=epoch, pod=f"mybot-e{epoch}-0-0", state="connected")
        for epoch, count in ((1, 2), (2, 4))
        for shard_id in range(count)
    ]
    conditions = (
        FINE[0],
        condition("Progressing", ConditionStatus.TRUE, "Resharding", "all of it"),
        condition("Resharding", ConditionStatus.TRUE, "HandingOver", "all of it"),
        *FINE[3:],
    )
    return build(
        reshard=resharding(**changes),
        conditions=conditions,
        active=ShardSetStatus(epoch=1, shard_count=2, ranges=(), ready=2),
        shard_rows=tuple(rows),
    )


def test_a_reshard_has_a_line_with_how_far_it_is_and_what_it_waits_for():
    assert lines(both_sets())[:3] == [
        "mybot: Running, 2 of 2 shards ready, 12,345 guilds, 968 of 1,000 identifies left (all again in 14 h)",
        "  reshard 2 → 4: HandingOver, 5 of 8 ranges handed over, waiting: the bot is away, done in about 2 min",
        "",
    ]


def test_a_reshard_that_waits_for_nothing_and_has_no_end_in_sight_says_neither():
    shown = lines(both_sets(waiting_for=None, eta=None, paused=True))

    assert shown[1] == "  reshard 2 → 4: HandingOver, 5 of 8 ranges handed over, paused"


def test_a_reshard_that_is_paused_says_so_though_it_waits_for_something_else_as_well():
    shown = lines(both_sets(waiting_for="a shard is not connected", eta=None, paused=True))

    assert shown[1].endswith("handed over, waiting: a shard is not connected, paused")


def test_the_rows_of_both_sets_say_of_how_many_shards_they_are():
    shown = [line.split() for line in lines(both_sets())[3:]]

    assert shown[0][:3] == ["SHARD", "OF", "STATE"]
    assert [row[:3] for row in shown[1:]] == [
        ["0", "2", "connected"],
        ["1", "2", "connected"],
        *([str(shard_id), "4", "connected"] for shard_id in range(4)),
    ]


def test_a_reshard_that_is_held_back_is_said_once():
    held_back = (
        FINE[0],
        condition("Progressing", ConditionStatus.FALSE, "ReshardHeldBack", "tried again later"),
        condition("Resharding", ConditionStatus.FALSE, "ReshardHeldBack", "tried again later"),
        *FINE[3:],
    )

    assert lines(build(conditions=held_back))[1:3] == ["  tried again later", ""]


# The command, against a status socket served as `up` serves it.


@pytest.fixture
def served(serving_in_a_thread):
    def served(path: Path, report: str | None):
        directory = StateDirectory(path)
        directory.prepare()
        return serving_in_a_thread(lambda: serving_status(directory.status_socket, lambda: report))

    return served


REPORT = build().model_dump_json(by_alias=True)


@pytest.fixture
def home(state_path, monkeypatch) -> Path:
    """Where gateways are kept by default, for the time of the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(state_path))
    return state_path / "discord-gateway"


def run(*arguments: str):
    return CliRunner().invoke(main, ["status", *arguments])


def test_the_status_of_a_named_gateway_is_shown(home, served):
    with served(home / "mybot", REPORT):
        result = run("mybot")

    assert result.exit_code == 0
    assert result.stdout.startswith("mybot: Running, 2 of 2 shards ready")


def test_a_file_stands_for_the_gateway_in_it(home, manifest, served):
    with served(home / "mybot", REPORT):
        assert run(str(manifest())).stdout.startswith("mybot: Running")


def test_the_only_gateway_that_runs_needs_no_name(home, served):
    StateDirectory(home / "ran-once").prepare()
    with served(home / "mybot", REPORT):
        assert run().stdout.startswith("mybot: Running")


def test_of_several_one_has_to_be_named(home, served):
    with served(home / "mybot", REPORT), served(home / "other", REPORT):
        result = run()

    assert result.exit_code == 2
    assert result.stderr == "several gateways run here, name one of them: mybot, other\n"


def test_one_on_the_simulator_is_found_by_its_name(home, served):
    with served(home / "mybot+simulator", REPORT):
        assert run("mybot").stdout.startswith("mybot: Running")


def test_a_state_directory_that_was_given_to_up_is_given_here(state_path, served):
    with served(state_path / "given", REPORT):
        assert run("mybot", "--state-dir", str(state_path / "given")).stdout.startswith("mybot: Running")


def test_json_is_the_report_itself(home, served):
    with served(home / "mybot", REPORT):
        assert json.loads(run("mybot", "-o", "json").stdout) == json.loads(REPORT)


@pytest.mark.parametrize("arguments", [[], ["mybot"]])
def test_what_does_not_run_is_one_line_and_exit_code_3(home, arguments):
    result = run(*arguments)

    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "discord-gateway up FILE" in result.stderr


def test_pods_that_were_left_alone_are_told_of_and_who_takes_them_over(home, instance):
    directory = StateDirectory(home / "mybot")
    directory.prepare()
    record = InstanceRecord(instance(7), directory.pods, directory.scratch)
    record.write(instance(7), ProcessIdentity.of(os.getpid()))
    InstanceRecord(instance(8), directory.pods, directory.scratch).write(instance(8), None)

    result = run("mybot")

    assert result.exit_code == 3
    assert result.stderr == (
        "mybot is not running, but 1 of its pods still runs and delivers events: `discord-gateway up FILE` takes over "
        "what is there\n"
    )


def test_dead_letters_are_told_of_even_while_all_is_well():
    assert lines(build(dead_letters=1200))[1:3] == [
        "  1,200 events set aside as the bot kept refusing: see `discord-gateway dead-letters list`",
        "",
    ]


def test_a_socket_that_a_dead_operator_left_is_not_running(home, served):
    with served(home / "mybot", REPORT):
        (home / "mybot" / "status.sock").rename(home / "mybot" / "kept")
    (home / "mybot" / "kept").rename(home / "mybot" / "status.sock")

    assert run("mybot").exit_code == 3


def test_an_operator_that_has_only_just_started_says_so(home, served):
    with served(home / "mybot", None):
        result = run("mybot")

    assert result.exit_code == 3
    assert result.stderr == "mybot has only just started and knows nothing yet: ask again\n"


def test_a_report_of_another_version_is_one_line(home, served):
    with served(home / "mybot", '{"phase": "Unheard"}'):
        result = run("mybot")

    assert result.exit_code == 2
    assert "of another version" in result.stderr
