"""The memory of idle shard pods: two pods hold sixteen idle shards in all, started as a user would start them.

PSS is what counts: pages that processes share are divided among them, as they are on a node that runs several pods.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from page import write_section

COMMAND = Path(sys.executable).with_name("discord-gateway")
SHARDS, PODS = 16, 2
GUILDS = 1_600
LIMIT_MB = 60.0
MANIFEST = f"""
apiVersion: discordgateway.dev/v1alpha1
kind: DiscordGateway
metadata: {{name: memory}}
spec:
  tokenSecretRef: {{name: memory, key: token}}
  intents: [Guilds]
  shards: {SHARDS}
  sharding: {{shardsPerPod: {SHARDS // PODS}}}
  delivery: {{sink: {{http: {{url: "http://127.0.0.1:9/"}}}}}}
"""


def wait_until_ready(state: Path, within: float) -> None:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        answer = subprocess.run(
            [COMMAND, "status", f"--state-dir={state}", "-o", "json"], check=False, capture_output=True, text=True
        )
        if answer.returncode == 0 and json.loads(answer.stdout)["readyShards"] == SHARDS:
            return
        time.sleep(1)
    raise SystemExit(f"the {SHARDS} shards did not get ready within {within:.0f} s")


def pods_pss_mb(up: int) -> list[float]:
    pods = [child for child in psutil.Process(up).children(recursive=True) if "shardpod" in " ".join(child.cmdline())]
    return [pod.memory_full_info().pss / 1024**2 for pod in pods]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="put the result into this page, between its markers")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dgw-mem-") as name:
        manifest, state = Path(name) / "gateway.yaml", Path(name) / "state"
        manifest.write_text(MANIFEST)
        command = [COMMAND, "up", manifest, "--simulator", f"--simulator-guilds={GUILDS}"]
        command += ["--simulator-max-concurrency=16", f"--state-dir={state}", "--log-level=error"]
        up = subprocess.Popen(command)
        try:
            wait_until_ready(state, within=90)
            figures = pods_pss_mb(up.pid)
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(60)
    pods = ", ".join(f"{figure:.1f} MB" for figure in figures)
    text = (
        f"PSS of {PODS} pods with {SHARDS} idle shards ({GUILDS:,} guilds) in all: {pods}; the goal is {LIMIT_MB:.0f}."
    )
    print(text)
    if arguments.write is not None:
        write_section(arguments.write, "memory", text)
    if len(figures) != PODS or max(figures) > LIMIT_MB:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
