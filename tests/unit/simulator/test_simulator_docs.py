"""docs/simulator.md is true: its worked example does what it shows, and every fault and request stands in it."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from discord_simulator import Simulator, WrongInputError, load_timeline
from discord_simulator.control import Control
from discord_simulator.fault_requests import catalogue, read_words

PAGE = Path(__file__).parents[3] / "docs" / "simulator.md"


def findings(report):
    """Give the lines of a report as name and count; the counts of a real loss differ from run to run."""
    return {name.strip(): int(count) for name, count in re.findall(r"^([a-z ]+?)\s{2,}(\d+)", report, re.MULTILINE)}


def test_the_worked_example_proves_one_bot_careful_and_one_careless(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    careful_shown, careless_shown = re.findall(r"bot\.py(?: --careless)?\n(sent .*?)(?=\n\$|\n```)", page, re.DOTALL)
    script = tmp_path / "bot.py"
    script.write_text(code, encoding="utf-8")

    careful, careless = (
        findings(subprocess.run([sys.executable, script, *option], capture_output=True, text=True, check=True).stdout)
        for option in ([], ["--careless"])
    )

    assert careful == findings(careful_shown)
    assert (careful["sent"], careful["lost"]) == (1000, 0)
    assert careless["sent"] == 1000
    assert careless["lost"] > 50
    assert findings(careless_shown)["lost"] > 50
    assert careless["delivered"] == 1000 - careless["lost"]


def rows(page, header):
    """Give the first cells of the table under a header."""
    table = page.split(header)[1].split("\n\n")[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


def test_every_fault_stands_in_the_table_with_its_fields():
    page = PAGE.read_text(encoding="utf-8")

    assert sorted(rows(page, "| fault | fields |")) == sorted(f"`{fault}`" for fault in catalogue())


def test_every_request_of_the_control_api_stands_in_the_table():
    simulator = Simulator()
    routes = Control(simulator._scenario, simulator.clock).application().router.routes()
    served = {f"{route.method} {route.resource.canonical}" for route in routes if route.method != "HEAD"}

    documented = {
        f"{method} {path}"
        for cell in rows(PAGE.read_text(encoding="utf-8"), "| request | does |")
        for path in re.findall(r"/[^`,]+", cell.replace("{id or 0/4}", "{target}"))
        for method in re.findall(r"[A-Z]{3,}", cell)
    }
    assert documented == served


def test_the_timeline_of_the_page_can_be_played(tmp_path):
    (code,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    timeline = tmp_path / "timeline.yaml"
    timeline.write_text(code, encoding="utf-8")

    assert [at for at, _ in load_timeline(timeline).entries] == [2, 5, 8, 10, 12, 30]


def test_the_faults_of_the_command_line_can_be_read_but_for_the_one_that_shows_an_error():
    lines = re.findall(r"^\$ discord-simulator-fault (.*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    shown = [re.sub(r"^--\S+ \S+ (-o json )?", "", line) for line in lines]

    assert len(shown) == 7
    for line in shown:
        fault, *fields = shlex.split(line)
        words = dict(field.split("=") for field in fields)
        if line == "drop share=3":
            with pytest.raises(WrongInputError, match=re.escape("allowed: above 0, up to 1")):
                read_words(fault, words)
        else:
            read_words(fault, words)
