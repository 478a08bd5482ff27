"""The worked example of docs/simulator.md does what the page shows."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "simulator.md"


def findings(report):
    """Give the lines of a report as name and count; the counts of a real loss differ from run to run."""
    return {name.strip(): int(count) for name, count in re.findall(r"^([a-z ]+?)\s{2,}(\d+)", report, re.MULTILINE)}


def test_the_worked_example_proves_one_bot_careful_and_one_careless(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
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
