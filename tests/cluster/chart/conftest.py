"""Helm, and what the chart gives with some values. Nothing here needs a cluster; what does asks for `cluster`."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import binaries
from harness.work import SetUpError, Work

CHART = Path(__file__).parents[3] / "charts" / "discord-gateway-operator"
RELEASE, NAMESPACE = "discord-gateway-operator", "discord-gateway"
KUBERNETES = "1.29.0"
"""The oldest that the chart is for."""

Manifest = dict[str, Any]


class Chart:
    """`values` are as in values.yaml, and only what differs from it."""

    def __init__(self, helm: str) -> None:
        self._helm = helm
        self._texts: dict[str, str] = {}

    def rendered(
        self, values: Manifest | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE
    ) -> list[Manifest]:
        """All that would be installed, hooks included. Raises AssertionError with what Helm says."""
        # Each is rendered once: most tests look at the default, and Helm takes its time.
        wanted = json.dumps([release, namespace, values])
        if wanted not in self._texts:
            done = self.run("template", release, values=values, namespace=namespace)
            assert done.returncode == 0, done.stderr
            self._texts[wanted] = done.stdout
        return [manifest for manifest in yaml.safe_load_all(self._texts[wanted]) if manifest]

    def refusal(self, values: Manifest) -> str:
        """What Helm says of values that it does not take."""
        done = self.run("template", RELEASE, values=values)
        assert done.returncode != 0, "Helm took it"
        return done.stderr

    def notes(self, scratch: Path, values: Manifest | None = None) -> str:
        """What `helm install` would print. It needs a cluster for that; here a copy of the chart has it as data."""
        copied = Path(shutil.copytree(CHART, scratch / "chart"))
        shutil.copy(CHART / "templates" / "NOTES.txt", copied / "notes.txt")
        (copied / "templates" / "notes.yaml").write_text('notes: {{ tpl (.Files.Get "notes.txt") . | toJson }}\n')
        done = self.run("template", RELEASE, "--show-only", "templates/notes.yaml", values=values, chart=copied)
        assert done.returncode == 0, done.stderr
        return str(yaml.safe_load(done.stdout)["notes"])

    def run(
        self,
        *words: str,
        values: Manifest | None = None,
        kubernetes: str = KUBERNETES,
        chart: Path = CHART,
        namespace: str = NAMESPACE,
    ) -> subprocess.CompletedProcess[str]:
        command = [self._helm, *words, str(chart), "--namespace", namespace]
        command += ["--kube-version", kubernetes, "--values", "-"]
        # Without a kubeconfig Helm cannot mistake somebody's cluster for a test's.
        environment = {**os.environ, "KUBECONFIG": os.devnull}
        text = json.dumps(values or {})
        return subprocess.run(command, input=text, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="session")
def chart(helm: str) -> Chart:
    return Chart(helm)


@pytest.fixture(scope="session")
def one() -> Callable[[Sequence[Manifest], str, str], Manifest]:
    """The one manifest of this kind and name."""

    def find(manifests: Sequence[Manifest], kind: str, name: str = RELEASE) -> Manifest:
        [found] = [each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == name]
        return found

    return find


@pytest.fixture(scope="session")
def helm(work: Work) -> str:
    """Path of Helm 3: yours, or the one that the harness compiles once (two minutes)."""
    if found := os.environ.get("HELM") or shutil.which("helm"):
        return found
    try:
        return binaries.provide(work, (binaries.HELM,))["helm"]
    except SetUpError as failed:
        reason = f"no Helm: put Helm 3 on PATH, or name it: HELM=/path/to/helm ({failed})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
