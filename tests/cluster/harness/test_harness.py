"""The parts of the harness that need neither root nor a cluster."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from harness import choice, images, places, record
from harness.cgroups import NodeGroup, hand_on_controllers
from harness.node import replaced_images
from harness.processes import Daemons, parse_stat, start_time
from harness.waiting import GaveUpWaitingError, wait_until
from harness.work import SetUpError, Work, whole_or_nothing

PATH = os.environ["PATH"]


@pytest.fixture
def daemons(tmp_path):
    """Whatever a test has started ends with it."""
    daemons = Daemons(tmp_path / "processes", tmp_path / "log")
    yield daemons
    for name in daemons.names():
        daemons.kill(name)


def test_a_daemon_runs_until_it_is_killed_and_can_be_started_again(daemons):
    daemons.start("sleeper", ["sleep", "600"], path=PATH)
    assert daemons.alive("sleeper")

    daemons.kill("sleeper")
    assert not daemons.alive("sleeper")
    assert daemons.names() == ["sleeper"]

    daemons.start_again("sleeper")
    assert daemons.alive("sleeper")


def test_a_process_that_only_got_the_number_of_a_daemon_is_left_alone(daemons, tmp_path):
    """As after a restart of the machine, when the record is still there and the number is somebody else's."""
    with subprocess.Popen(["sleep", "600"]) as other:
        fields = Path(f"/proc/{other.pid}/stat").read_text().split()
        fields[21] = str(int(fields[21]) - 1)  # when it was started
        (tmp_path / "processes").mkdir()
        (tmp_path / "processes" / "sleeper.started").write_text(" ".join(fields))

        assert not daemons.alive("sleeper")
        daemons.kill("sleeper")

        assert other.poll() is None
        other.send_signal(signal.SIGKILL)


def test_the_name_of_a_program_does_not_confuse_its_record():
    assert parse_stat(f"12 (a) b (c) S {' '.join(str(field) for field in range(4, 30))}") == (12, 22, "S")


def test_a_cluster_whose_owner_is_gone_is_orphaned():
    mine = record.Record([1], forwarded=True, owner=record.me())
    pid, started = record.me()

    assert not mine.orphaned
    assert record.Record([1], forwarded=True, owner=(pid, started + 1)).orphaned
    assert not record.Record([1], forwarded=True, owner=None).orphaned


def test_what_is_written_down_is_read_again(tmp_path):
    written = record.Record([1, 2], forwarded=False, owner=record.me(), ready=True)

    record.write(written, tmp_path)

    assert record.read(tmp_path) == written
    assert record.read(tmp_path / "elsewhere") is None


def test_a_build_that_is_cut_off_leaves_nothing_and_does_not_stand_in_the_way_of_the_next(tmp_path):
    target = tmp_path / "thing"

    def build(*, cut_off):
        with whole_or_nothing(target) as scratch:
            (scratch / "part").write_text("one")
            if cut_off:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(cut_off=True)
    assert list(tmp_path.iterdir()) == []

    build(cut_off=False)
    assert (target / "part").read_text() == "one"


def test_a_command_that_fails_shows_the_end_of_what_it_wrote(tmp_path):
    said = []
    work = Work(tmp_path / "log", said.append)

    with pytest.raises(SetUpError, match=r"(?s)failed with status 3.*the reason"), work.step("working"):
        work.run([sys.executable, "-c", "print('the reason'); raise SystemExit(3)"])

    assert said == ["working ..."]


def test_waiting_in_vain_says_for_what_and_what_was_seen_last():
    with pytest.raises(GaveUpWaitingError, match="0 s for a miracle; last seen: ''"):
        wait_until(lambda: "", "a miracle", within_s=0)


def test_in_version_1_a_node_has_a_group_in_each_tree(tmp_path):
    for controller in ("cpuset", "pids"):
        (tmp_path / controller).mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):
        (tmp_path / "cpuset" / name).write_text("0-1")

    group = NodeGroup("n1", tmp_path)
    group.make()

    assert (tmp_path / "cpuset" / "n1" / "cpuset.cpus").read_text() == "0-1"
    assert group.system == tmp_path / "pids" / "n1" / "system"
    assert group.system.is_dir()


def test_in_version_2_a_node_has_one_group_and_all_controllers(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu memory pids\n")

    group = NodeGroup("n1", tmp_path)
    group.make()

    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpuset +cpu +memory +pids"
    assert group.system == tmp_path / "n1" / "system"
    assert group.system.is_dir()


def test_in_a_container_the_processes_of_the_root_group_make_way(tmp_path, monkeypatch):
    (tmp_path / "cgroup.controllers").write_text("cpu\n")
    (tmp_path / "cgroup.procs").write_text("17\n18\n")
    write = Path.write_text
    moved = []

    def like_the_kernel(path, text):
        if path.name == "cgroup.procs":
            moved.append((path.parent.name, text))
        elif path.name == "cgroup.subtree_control" and len(moved) < 2:
            raise OSError(errno.EBUSY, "it has processes")
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", like_the_kernel)
    hand_on_controllers(tmp_path)

    assert moved == [("init", "17"), ("init", "18")]
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu"


def test_the_projects_image_depends_on_what_its_dockerfile_copies_and_nothing_else(tmp_path):
    (tmp_path / "Dockerfile").write_text(
        "FROM base AS build\nCOPY requirements/image.txt \\\n  LICENSE /a/\nCOPY package /b\nCOPY --from=build /c /d\n"
    )
    files = (
        "requirements/image.txt",
        "requirements/dev.txt",
        "LICENSE",
        "package/code.py",
        "package/__pycache__/code.pyc",
    )
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    inputs = [str(path.relative_to(tmp_path)) for path in images.dockerfile_inputs(tmp_path)]

    assert inputs == ["Dockerfile", "requirements/image.txt", "LICENSE", "package/code.py"]


def test_images_that_lost_their_name_are_told_from_those_that_have_one():
    listed = (
        "REF TYPE DIGEST SIZE\n"
        "localhost/app:test type sha256:new 9 MiB\n"
        "sha256:config-new type sha256:new 9 MiB\n"
        "sha256:config-old type sha256:old 9 MiB\n"
    )

    assert replaced_images(listed) == ["sha256:config-old"]


def test_a_kubeconfig_of_the_users_wins_and_the_one_that_make_cluster_printed_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "mine"))
    assert choice.users_kubeconfig() == tmp_path / "mine"

    monkeypatch.setenv("KUBECONFIG", str(places.RUN / "admin.kubeconfig"))
    assert choice.users_kubeconfig() is None


def test_without_root_and_without_a_kubeconfig_one_line_says_how_the_tests_are_run(monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    reason = choice.why_none() or ""

    assert "only root can make" in reason
    assert "set KUBECONFIG" in reason
    assert "\n" not in reason


def test_a_process_that_has_ended_has_no_start_time():
    with subprocess.Popen(["true"]) as ended:
        wait_until(lambda: start_time(ended.pid) is None, "its end", within_s=10)
