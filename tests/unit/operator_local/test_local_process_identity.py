import os
import signal
import subprocess
import sys

import pytest

from gateway_operator.local.process_identity import ProcessIdentity


@pytest.fixture
def sleeper():
    """A process that leads a group of its own; ended by the test or at its end."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "import signal\nsignal.pause()"], start_new_session=True
    ) as child:
        yield child
        child.kill()


def later_process_with_the_pid_of(identity: ProcessIdentity) -> ProcessIdentity:
    return identity.model_copy(update={"start_ticks": identity.start_ticks + 1})


def test_a_running_process_is_alive(sleeper):
    assert ProcessIdentity.of(sleeper.pid).is_alive()


def test_a_process_with_another_start_time_is_another_process():
    own = ProcessIdentity.of(os.getpid())

    assert not later_process_with_the_pid_of(own).is_alive()


def test_a_process_of_an_earlier_boot_is_another_process():
    own = ProcessIdentity.of(os.getpid())

    assert not own.model_copy(update={"boot_id": "an earlier boot"}).is_alive()


def test_an_ended_child_that_nobody_asked_for_is_not_alive(sleeper):
    identity = ProcessIdentity.of(sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)

    assert not identity.is_alive()
    assert ProcessIdentity.of(sleeper.pid) == identity


def test_a_pid_that_nothing_has_identifies_nothing(sleeper):
    sleeper.kill()
    sleeper.wait()

    assert ProcessIdentity.of(sleeper.pid) is None


@pytest.mark.parametrize("end", [lambda it: it.send(signal.SIGTERM), ProcessIdentity.kill_group])
def test_a_reused_pid_is_never_signalled(sleeper, end):
    end(later_process_with_the_pid_of(ProcessIdentity.of(sleeper.pid)))

    assert ProcessIdentity.of(sleeper.pid).is_alive()
    with pytest.raises(subprocess.TimeoutExpired):
        sleeper.wait(timeout=0.1)


@pytest.mark.parametrize(
    ("end", "number"),
    [(lambda it: it.send(signal.SIGTERM), signal.SIGTERM), (ProcessIdentity.kill_group, signal.SIGKILL)],
)
def test_the_process_itself_is_signalled(sleeper, end, number):
    end(ProcessIdentity.of(sleeper.pid))

    assert sleeper.wait(timeout=10) == -number


def test_signalling_a_process_that_is_gone_does_nothing(sleeper):
    identity = ProcessIdentity.of(sleeper.pid)
    sleeper.kill()
    sleeper.wait()

    identity.send(signal.SIGTERM)
    identity.kill_group()


def test_a_command_name_with_spaces_and_parentheses_does_not_confuse():
    program = "import ctypes, sys\nopen('/proc/self/comm', 'w').write('a) S 1 (b')\nprint(flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-I", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        before = ProcessIdentity.of(child.pid)
        child.stdout.readline()

        assert ProcessIdentity.of(child.pid) == before

        child.stdin.close()
