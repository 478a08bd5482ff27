"""`make demo` does what the README says it does."""

import asyncio
import re
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITHIN = 240.0
"""A minute and a quarter where the machine has nothing else to do."""


@pytest.mark.timeout(WITHIN + 60)
async def test_the_demo_kills_bot_and_pod_replaces_all_pods_reshards_and_accounts_for_at_least_10_000_events():
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples" / "demo" / "demo.py"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output = (await asyncio.wait_for(process.communicate(), WITHIN))[0].decode()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)  # it ends what it has started
            await process.wait()

    figures = {
        name.strip(): int(value.replace(",", ""))
        for name, value in re.findall(r"^  ([a-z ]+?)  +([\d,]+)", output, re.MULTILINE)
    }
    assert process.returncode == 0, output
    assert "killed by -9" in output
    assert "loses its connection" in output
    assert "pod demo-e1-0-1 is killed by -9" in output
    assert "both pods are new" in output
    handed = [output.index(f"range {cut} handed over") for cut in ("0-1", "2-3", "4-5", "6-7")]
    assert handed == sorted(handed)
    assert handed[-1] < output.index("the old set is closed: 8 shards deliver everything")
    assert figures["identifies"] == 4 + 8
    assert figures["sent"] >= 10_000
    assert figures["delivered"] == figures["sent"]
    assert (figures["lost"], figures["doubled"], figures["out of order"]) == (0, 0, 0)
    assert figures["longest queue"] > 0
