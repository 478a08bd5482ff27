"""`make demo` does what the README says it does."""

import asyncio
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def test_the_demo_kills_bot_and_pod_replaces_all_pods_and_accounts_for_at_least_10_000_events():
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples" / "demo" / "demo.py"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await asyncio.wait_for(process.communicate(), 110))[0].decode()

    figures = {
        name.strip(): int(value.replace(",", ""))
        for name, value in re.findall(r"^  ([a-z ]+?)  +([\d,]+)", output, re.MULTILINE)
    }
    assert process.returncode == 0, output
    assert "killed by -9" in output
    assert "loses its connection" in output
    assert "pod demo-e1-0-1 is killed by -9" in output
    assert "both pods are new" in output
    assert figures["identifies"] == 4
    assert figures["sent"] >= 10_000
    assert figures["delivered"] == figures["sent"]
    assert (figures["lost"], figures["doubled"], figures["out of order"]) == (0, 0, 0)
    assert figures["longest queue"] > 0
