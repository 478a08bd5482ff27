"""Rules of the repository that no other tool checks."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_FILE = 400
"""Lines; a longer file says why in a comment that holds the words "longer than 400 lines"."""


def tracked_files() -> list[Path]:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def test_operator_is_no_package_and_hides_no_standard_module():
    """An `operator/__init__.py` would break `import operator`, and with it `collections`, for every Python run here."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_tests_are_no_packages():
    """With --import-mode=importlib a package `tests/.../operator` would stand in for the standard module."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_names_of_test_files_are_unique():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]

    assert len(names) == len(set(names))


def test_a_file_of_code_that_is_longer_than_400_lines_says_why():
    code = [path for path in tracked_files() if path.suffix == ".py"]

    unexplained = [
        str(path.relative_to(ROOT))
        for path in code
        if len(text_of(path).splitlines()) > LONGEST_FILE and "longer than 400 lines" not in text_of(path)
    ]

    assert code
    assert unexplained == []


def test_nothing_tracked_names_a_package_source_or_a_path_of_a_developers_machine():
    # Spelt in pieces, so that this file does not name them itself.
    forbidden = [
        "pypi" + ".org",
        "python" + "hosted",
        "registry.npm" + "js",
        "proxy.golang" + ".org",
        "/work" + "/main",
    ]

    found = [
        f"{path.relative_to(ROOT)}: {word}" for path in tracked_files() for word in forbidden if word in text_of(path)
    ]

    assert found == []


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "requirements").glob("*.txt")))
def test_every_locked_requirement_has_a_version_and_hashes(name: str):
    lines = (ROOT / "requirements" / name).read_text()

    entries = re.split(r"\n(?=\S)", lines.strip())

    assert entries
    assert [entry for entry in entries if not re.match(r"\S+==\S+.*--hash=sha256:", entry, re.DOTALL)] == []


def test_there_is_no_second_lock_file():
    assert [name for name in ("uv.lock", "pylock.toml") if (ROOT / name).exists()] == []
