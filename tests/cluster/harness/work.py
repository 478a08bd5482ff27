"""The long work of setting up: commands whose output goes to one log file, and a line on the terminal for each step."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

TAIL_LINES = 25
STILL_AT_IT_S = 60


class SetUpError(Exception):
    """The cluster cannot be had; the message says why and what to do."""


def say_on_stderr(line: str) -> None:
    print(f"cluster: {line}", file=sys.stderr, flush=True)  # noqa: T201 - a person waits for minutes and looks at it


class Work:
    def __init__(self, log: Path, say: Callable[[str], None] = say_on_stderr) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.say = say
        self.seconds: dict[str, float] = {}
        """How long each step took."""

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        self.say(f"{what} ...")
        began = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - began
        self.say(f"{what}: {self.seconds[what]:.0f} s")

    @contextlib.contextmanager
    def alone(self, lock: Path, what_others_do: str) -> Iterator[None]:
        """Waits until no other process has the lock; says so if it has to."""
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.say(f"waiting for another process, which {what_others_do}")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def run(
        self, command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        """Run it to its end; raises SetUpError with the end of its output."""
        words = [str(word) for word in command]
        with self.log.open("a") as log:
            log.write(f"\n$ {' '.join(words)}\n")
            log.flush()
            start = log.tell()
            process = subprocess.Popen(
                words, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            status = self._wait(process)
        if status:
            with self.log.open() as log:
                log.seek(start)
                tail = log.read().splitlines()[-TAIL_LINES:]
            raise SetUpError(
                f"`{' '.join(words)[:200]}` failed with status {status}; the whole log is {self.log}, its end:\n"
                + "\n".join(f"    {line}" for line in tail)
            )

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        """Its status; says once a minute that it still runs, and takes it along when this is interrupted."""
        began = time.monotonic()
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(STILL_AT_IT_S)
                self.say(f"  still at it after {(time.monotonic() - began) / 60:.0f} min (log: {self.log})")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


@contextlib.contextmanager
def whole_or_nothing(target: Path) -> Iterator[Path]:
    """A scratch directory beside `target` that becomes it at the end: a cut-off run leaves no half of it.

    Whoever comes second throws its own away. Leftovers of cut-off runs go when the same thing is made again.
    """
    for leftover in target.parent.glob(f".{target.name}.*"):
        if not Path(f"/proc/{leftover.suffix[1:]}").exists():
            shutil.rmtree(leftover, ignore_errors=True)
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    scratch.mkdir(parents=True)
    try:
        yield scratch
        with contextlib.suppress(OSError):
            scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
