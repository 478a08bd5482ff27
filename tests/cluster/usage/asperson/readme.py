"""The commands of README.md's section "On Kubernetes", as they stand there and as they can be run by a test."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from harness.places import ROOT

SECTION = "On Kubernetes"
EXAMPLES = "examples/kubernetes"
IMAGE_LINE = "docker build "
"""The nodes of a test's cluster have the image already: by the harness, without Docker and kind."""


def commands() -> list[str]:
    """Each as it is typed, without what only the test cluster cannot do."""
    return [line for line in _lines((ROOT / "README.md").read_text()) if not line.startswith(IMAGE_LINE)]


def _lines(text: str) -> Iterator[str]:
    section = re.search(rf"^## {SECTION}$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section, f"README.md has no section {SECTION!r}"
    for block in re.findall(r"```console\n(.*?)```", section[1], re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                yield re.sub(r"\s+# .*$", "", line.removeprefix("$ "))


def adapted(command: str, *, namespaces: tuple[str, str], image: str, overlay: Path) -> str:
    """For a cluster that others use too. `namespaces`: the operator's and the bot's; `overlay`: of `overlay_in`."""
    operator, bots = namespaces
    if command.startswith("helm install "):
        repository, _, tag = image.rpartition(":")
        values = {
            "image.repository": repository,
            "image.tag": tag,
            "watchNamespaces[0]": bots,
            "simulator.guilds": "400",
            "simulator.shards": "2",
            "simulator.maxConcurrency": "4",
            "simulator.extraArgs[0]": "--any-token",
        }
        words = [f"--set {name}={value}" for name, value in values.items()]
        # The definition may be there already, from another installation: it is the same.
        command = " ".join([command, "--take-ownership", *words])
    command = command.replace("--namespace discord-gateway ", f"--namespace {operator} ")
    return command.replace(f"-k {EXAMPLES}", f"-k {overlay}")


def overlay_in(folder: Path, *, operator_namespace: str, image: str) -> Path:
    """The examples with another image, another address of Discord, and a reshard that is over soon."""
    name, _, tag = image.rpartition(":")
    change = [
        {
            "op": "replace",
            "path": "/spec/discord/baseURL",
            "value": f"http://discord-gateway-operator-simulator.{operator_namespace}:8080/api/v10",
        },
        {"op": "add", "path": "/spec/reshard", "value": QUICK_RESHARD},
    ]
    overlay = {
        "resources": [os.path.relpath(ROOT / EXAMPLES, folder.resolve())],
        "images": [{"name": "discord-gateway", "newName": name, "newTag": tag}],
        "patches": [{"target": {"kind": "DiscordGateway"}, "patch": yaml.safe_dump(change)}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    return folder


QUICK_RESHARD = {"maxSkew": "500ms", "fenceTimeout": "1s", "settle": "1s", "drainDelay": "2s"}
