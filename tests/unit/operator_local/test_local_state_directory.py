import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway_operator.core.world import ShardSet
from gateway_operator.local.state_directory import (
    AlreadyRunningError,
    StateDirectory,
    StateDirectoryError,
    default_state_directory,
)
from shardpod.contract import ShardRange

THREE_SHARDS = ShardSet(
    epoch=4,
    shard_count=3,
    ranges=(ShardRange(first_shard_id=0, last_shard_id=1), ShardRange(first_shard_id=2, last_shard_id=2)),
)


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

    assert mode(directory.path) == mode(directory.pods) == 0o700
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


def test_a_forgotten_shard_set_is_gone(directory):
    directory.remember_shard_set(THREE_SHARDS)
    directory.forget_shard_set()
    directory.forget_shard_set()

    assert directory.remembered_shard_set() is None


@pytest.mark.parametrize("content", ["", "{", '{"epoch": 1}', '{"epoch": "x", "shard_count": 1, "ranges": []}', "\0"])
def test_a_memory_that_cannot_be_read_is_set_aside_with_a_warning(directory, content):
    file = directory.path / "active-shard-set.json"
    file.write_text(content)

    with capture_logs() as logs:
        assert directory.remembered_shard_set() is None

    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert Path(logs[0]["moved_to"]).read_text() == content
    assert not file.exists()
