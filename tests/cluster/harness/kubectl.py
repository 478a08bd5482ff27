"""kubectl and Helm on one cluster, and waiting for what they show."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from .waiting import wait_until

T = TypeVar("T")
TIMEOUT_S = 60.0


class CommandFailedError(AssertionError):
    """Its message has the command, its status and what it wrote."""


class Client:
    """Every command takes `namespace`; errors are CommandFailedError."""

    def __init__(self, *, kubectl: str, helm: str, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self._kubectl = kubectl
        self._helm = helm

    def kubectl(
        self,
        *words: str,
        namespace: str | None = None,
        stdin: str | None = None,
        timeout_s: float = TIMEOUT_S,
        check: bool = True,
    ) -> str:
        """What it printed; with check=False also of a command that failed, or did not end."""
        where = ["-n", namespace] if namespace else []
        return self._run([self._kubectl, *where, *words], stdin=stdin, timeout_s=timeout_s, check=check)

    def helm(self, *words: str, namespace: str | None = None, timeout_s: float = 180.0) -> str:
        where = ["-n", namespace] if namespace else []
        return self._run([self._helm, *words, *where], timeout_s=timeout_s)

    def apply(
        self, manifest: str | Mapping[str, Any] | Sequence[Mapping[str, Any]], namespace: str | None = None
    ) -> str:
        """A manifest as YAML text, as one object, or as a list of objects."""
        if isinstance(manifest, Mapping):
            manifest = json.dumps(manifest)
        elif not isinstance(manifest, str):
            manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifest)})
        return self.kubectl("apply", "-f", "-", namespace=namespace, stdin=manifest)

    def get(self, *words: str, namespace: str | None = None) -> dict[str, Any]:
        """`kubectl get WORDS` as an object; {} if it does not exist."""
        text = self.kubectl("get", *words, "-o", "json", "--ignore-not-found", namespace=namespace)
        return dict(json.loads(text)) if text.strip() else {}

    def items(self, *words: str, namespace: str | None = None) -> list[dict[str, Any]]:
        return list(self.get(*words, namespace=namespace).get("items", []))

    def nodes(self) -> dict[str, bool]:
        """Whether it is Ready, by name."""
        return {node["metadata"]["name"]: is_true(node, "Ready") for node in self.items("nodes")}

    def ready_pods(self, selector: str, namespace: str) -> list[dict[str, Any]]:
        """Those that are ready and not about to leave."""
        pods = self.items("pods", "-l", selector, namespace=namespace)
        return [pod for pod in pods if is_true(pod, "Ready") and "deletionTimestamp" not in pod["metadata"]]

    def wait_until(self, condition: Callable[[], T], what: str, within_s: float) -> T:
        """The first true value of `condition`; what kubectl refuses meanwhile counts as not yet."""

        def tried() -> T | None:
            try:
                return condition()
            except CommandFailedError:
                return None

        found = wait_until(tried, what, within_s, every_s=0.5)
        assert found is not None
        return found

    def wait_for_ready_pods(
        self, selector: str, namespace: str, count: int, within_s: float = 60
    ) -> list[dict[str, Any]]:
        """Exactly `count` of them."""

        def enough() -> list[dict[str, Any]] | None:
            pods = self.ready_pods(selector, namespace)
            return pods if len(pods) == count else None

        return self.wait_until(enough, f"{count} ready pods of {selector} in {namespace}", within_s) or []

    def wait_for_node(self, name: str, *, ready: bool, within_s: float) -> None:
        state = "Ready" if ready else "NotReady"
        self.wait_until(lambda: self.nodes().get(name) is ready, f"node {name} to be {state}", within_s)

    def logs(self, pod: str, namespace: str, *words: str) -> str:
        return self.kubectl("logs", pod, "--all-containers", *words, namespace=namespace)

    def _run(self, command: list[str], *, stdin: str | None = None, timeout_s: float, check: bool = True) -> str:
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        shown = " ".join([Path(command[0]).name, *command[1:]])
        try:
            done = subprocess.run(
                command, input=stdin or "", capture_output=True, text=True, timeout=timeout_s, env=env, check=False
            )
        except subprocess.TimeoutExpired:
            if not check:
                return ""
            raise CommandFailedError(f"`{shown}` did not end within {timeout_s:.0f} s") from None
        if check and done.returncode:
            raise CommandFailedError(f"`{shown}` failed with status {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout


def is_true(resource: Mapping[str, Any], condition: str) -> bool:
    conditions = resource.get("status", {}).get("conditions", [])
    return any(found["type"] == condition and found["status"] == "True" for found in conditions)
