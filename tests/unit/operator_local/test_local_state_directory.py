import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway_operator.core.reshard_record import ReshardRecord
from gateway_operator.core.world import Aborted, Reshard, ReshardPhase, ReshardRequest, ShardSet
from gateway_operator.local.state_directory import (
    AlreadyRunningError,
    StateDirectory,
    StateDirectoryError,
    default_state_directory,
)
from shardpod.contract import Checkpoint, Handover, ShardRange, Windows

THREE_SHARDS = ShardSet(
    epoch=4,
    shard_count=3,
    ranges=(ShardRange(first_shard_id=0, last_shard_id=1), ShardRange(first_shard_id=2, last_shard_id=2)),
)
SESSION = Checkpoint(shard_id=0, shard_count=3, session_id="s", seq=7, resume_gateway_url="wss://resume.example")


@pytest.fixture
def directory(state_path) -> StateDirectory:
    directory = StateDirectory(state_path / "mybot")
    directory.prepare()
    return directory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_default_follows_the_xdg_state_home():
    assert default_state_directory("mybot", {"XDG_STATE_HOME": "/x", "HOME": "/h"}) == Path("/x/discord-gateway/mybot")


def test_without_xdg_state_home_the_default_is_in_the_home_directory():
    assert default_state_directory("mybot", {"HOME": "/h"}) == Path("/h/.local/state/discord-gateway/mybot")


def test_what_is_made_is_for_the_owner_only(directory):
    directory.control_secret()

    assert mode(directory.path) == mode(directory.pods) == mode(directory.scratch) == 0o700
    assert mode(directory.path / "control-secret") == 0o600


def test_a_directory_open_to_others_is_refused_with_what_to_do(tmp_path):
    tmp_path.chmod(0o755)

    with pytest.raises(StateDirectoryError, match=rf"open to other users \(mode 755\): run `chmod 700 {tmp_path}`"):
        StateDirectory(tmp_path).prepare()


def test_a_path_too_long_for_a_socket_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(StateDirectoryError, match="Unix allows 107; name a shorter one with --state-dir"):
        StateDirectory(tmp_path / ("x" * 100)).prepare()


def test_a_path_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(StateDirectoryError, match=r"cannot use the state directory .*/file/below"):
        StateDirectory(tmp_path / "file" / "below").prepare()


def test_a_second_lock_is_refused_and_names_the_process_that_holds_the_first(directory):
    with directory.locked(), pytest.raises(AlreadyRunningError) as refused, directory.locked():
        pass

    assert refused.value.pid == os.getpid()


def test_the_lock_is_free_again_after_its_holder_was_killed(directory):
    program = (
        "import sys, pathlib; from gateway_operator.local.state_directory import StateDirectory\n"
        "with StateDirectory(pathlib.Path(sys.argv[1])).locked():\n    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, directory.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        with pytest.raises(AlreadyRunningError) as refused, directory.locked():
            pass
        holder.kill()
    assert refused.value.pid == holder.pid

    with directory.locked():
        assert (directory.path / "lock").read_text() == f"{os.getpid()}\n"


def test_the_control_secret_stays_the_same(directory):
    assert directory.control_secret() == StateDirectory(directory.path).control_secret()
    assert len(directory.control_secret()) >= 32


def test_the_term_counts_up_with_each_start(directory):
    assert [directory.next_term(), directory.next_term(), directory.next_term()] == [1, 2, 3]


def test_a_term_that_cannot_be_read_is_followed_by_a_higher_one(directory):
    (directory.path / "term").write_text("not a number")

    with capture_logs() as logs:
        first, second = directory.next_term(), directory.next_term()

    assert time.time() - 60 < first < second
    assert [entry["log_level"] for entry in logs] == ["warning"]


def test_the_shard_set_is_remembered(directory):
    assert directory.remembered_shard_set() is None

    directory.remember_shard_set(THREE_SHARDS)

    assert directory.remembered_shard_set() == THREE_SHARDS


def test_the_sessions_are_remembered_for_the_owner_only(directory):
    assert directory.remembered_checkpoints() == {}

    directory.remember_checkpoints({(0, 3): SESSION})

    assert directory.remembered_checkpoints() == {(0, 3): SESSION}
    assert mode(directory.path / "checkpoints.json") == 0o600


def test_sessions_that_cannot_be_read_are_set_aside_with_a_warning(directory):
    (directory.path / "checkpoints.json").write_text('[{"shard_id": 0}]')

    with capture_logs() as logs:
        assert directory.remembered_checkpoints() == {}

    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert (directory.path / "checkpoints.json.unreadable").exists()


def test_counters_are_remembered_and_one_that_cannot_be_read_goes_on_above_all_before(directory):
    assert (directory.last_number(), directory.restarts()) == (0, 0)
    directory.remember_last_number(41)
    directory.remember_restarts(2)
    assert (directory.last_number(), directory.restarts()) == (41, 2)

    (directory.path / "last-instance").write_text("forty-two")

    assert time.time() - 60 < directory.last_number() == directory.last_number()


A_RESHARD = ReshardRecord(
    reshard=Reshard(
        pending=THREE_SHARDS,
        phase=ReshardPhase.HANDING_OVER,
        reason="spec.shards is 3",
        started_at=1.5,
        progressed_at=2.5,
        handed=(ShardRange(first_shard_id=0, last_shard_id=1),),
        handover=Handover(
            number=7, range=ShardRange(first_shard_id=2, last_shard_id=2), from_epoch=3, to_epoch=4, step="go"
        ),
        last_handover=7,
        windows=Windows(max_skew=0.5),
        giving_back="a taker was lost",
    ),
    request=ReshardRequest(to=3, manifest_shards=None, paused=True),
    last_epoch=4,
    last_handover=7,
    aborted=Aborted(9, 1.25, 9),
)


def test_all_of_a_reshard_is_remembered(directory):
    assert directory.remembered_reshard() == ReshardRecord()

    directory.remember_reshard(A_RESHARD)

    assert directory.remembered_reshard() == A_RESHARD


def test_beginning_anew_forgets_a_reshard(directory):
    directory.remember_reshard(A_RESHARD)

    assert directory.forget() == 1
    assert directory.remembered_reshard() == ReshardRecord()


@pytest.mark.parametrize("content", ["", '{"last_epoch": "x"}', '{"reshard": {"phase": "Dreaming"}}'])
def test_a_reshard_that_cannot_be_read_is_set_aside(directory, content):
    (directory.path / "reshard.json").write_text(content)

    with capture_logs() as logs:
        assert directory.remembered_reshard() == ReshardRecord()

    assert Path(logs[0]["moved_to"]).read_text() == content


def test_beginning_anew_deletes_sessions_and_events_and_keeps_the_counters(directory):
    directory.remember_shard_set(THREE_SHARDS)
    directory.remember_checkpoints({(0, 3): SESSION})
    directory.remember_last_number(41)
    secret, term = directory.control_secret(), directory.next_term()
    scratch = directory.scratch / "mybot-e4-0-1.7"
    scratch.mkdir()
    for file in (scratch / "shard-0.db", scratch / "shard-0.db-wal", directory.pods / "mybot-e4-0-1.7.json"):
        file.touch()

    assert directory.forget() == 5

    assert directory.remembered_shard_set() is None
    assert directory.remembered_checkpoints() == {}
    assert list(directory.scratch.iterdir()) == list(directory.pods.iterdir()) == []
    assert (directory.last_number(), directory.control_secret(), directory.next_term()) == (41, secret, term + 1)
    assert directory.forget() == 0


@pytest.mark.parametrize("content", ["", "{", '{"epoch": 1}', '{"epoch": "x", "shard_count": 1, "ranges": []}', "\0"])
def test_a_memory_that_cannot_be_read_is_set_aside_with_a_warning(directory, content):
    file = directory.path / "active-shard-set.json"
    file.write_text(content)

    with capture_logs() as logs:
        assert directory.remembered_shard_set() is None

    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert Path(logs[0]["moved_to"]).read_text() == content
    assert not file.exists()
