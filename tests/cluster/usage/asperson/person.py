"""Somebody at a terminal, and what they see of their gateways."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from harness.kubectl import Client, CommandFailedError
from harness.places import ROOT

T = TypeVar("T")
Body = dict[str, Any]

PATIENCE_S = 180.0
"""The machine may be busy with more than this."""

OPERATOR = "app.kubernetes.io/name=discord-gateway-operator"
SIMULATOR = "app.kubernetes.io/name=discord-gateway-simulator"


class Person:
    """Has kubectl, Helm and the project's commands in `programs`, and `bots` as the namespace of the context."""

    def __init__(self, cluster: Client, programs: Path, kubeconfig: Path, *, operator: str, bots: str) -> None:
        self.cluster = cluster
        self.operator = operator
        self.bots = bots
        self._environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "KUBECONFIG": str(kubeconfig),
            "COLUMNS": "160",
        }

    # At the terminal, in the checkout

    def types(self, command: str, *, timeout_s: float = PATIENCE_S + 60) -> str:
        """What the command printed; raises CommandFailedError with all of it if it failed."""
        status, said, complaint = self._run(command, timeout_s)
        if status:
            raise CommandFailedError(f"`{command}` failed with status {status}:\n{said}{complaint}")
        return said

    def is_refused(self, command: str, stdin: str | None = None) -> str:
        """What a command said that has to fail."""
        status, said, complaint = self._run(command, PATIENCE_S, stdin)
        assert status, f"`{command}` was not refused:\n{said}{complaint}"
        return said + complaint

    def applies(self, *manifests: Mapping[str, Any]) -> None:
        self.cluster.apply(list(manifests), namespace=self.bots)

    def changes(self, name: str, spec: Mapping[str, Any]) -> None:
        """A merge patch of the gateway's spec: what is None is taken out."""
        patch = ("patch", "dgw", name, "--type=merge", "-p", json.dumps({"spec": spec}))
        self.cluster.kubectl(*patch, namespace=self.bots)

    def _run(self, command: str, timeout_s: float, stdin: str | None = None) -> tuple[int, str, str]:
        words = ["bash", "-c", command]
        try:
            done = subprocess.run(
                words,
                input=stdin or "",
                capture_output=True,
                text=True,
                timeout=timeout_s,
                env=self._environment,
                cwd=ROOT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandFailedError(f"`{command}` did not end within {timeout_s:.0f} s") from None
        return done.returncode, done.stdout, done.stderr

    # What is to be seen

    def gateway(self, name: str) -> Body:
        return self.cluster.get("dgw", name, namespace=self.bots)

    def condition(self, name: str, kind: str) -> Body:
        """{} if the operator has not said it yet of the gateway as it is now."""
        found = self.gateway(name)
        generation = found["metadata"]["generation"]
        for one in found.get("status", {}).get("conditions", []):
            if one["type"] == kind and one["observedGeneration"] == generation:
                return dict(one)
        return {}

    def pods(self, name: str) -> dict[str, str]:
        """Uids of its shard pods by name, those that are ending among them."""
        return self._uids("pods", name)

    def deployments(self, name: str) -> dict[str, str]:
        return self._uids("deployments", name)

    def _uids(self, kind: str, name: str) -> dict[str, str]:
        found = self.cluster.items(kind, "-l", f"discordgateway.dev/gateway={name}", namespace=self.bots)
        return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found}

    def term(self, name: str) -> int:
        """Counts up with every operator that takes the gateway up."""
        state = self.cluster.get("configmap", f"{name}-state", namespace=self.bots)
        return int(json.loads(state["data"]["state.json"])["term"])

    def events(self, name: str) -> list[Body]:
        selector = f"--field-selector=involvedObject.kind=DiscordGateway,involvedObject.name={name}"
        return self.cluster.items("events", selector, namespace=self.bots)

    def operator_logs(self) -> str:
        """Of all replicas that are there."""
        words = ("logs", "-l", OPERATOR, "--tail=-1", "--prefix")
        return self.cluster.kubectl(*words, namespace=self.operator)

    def asks_discord(self, path: str) -> Any:
        """What the simulator's control port tells, by way of the API server."""
        [pod] = self.cluster.ready_pods(SIMULATOR, self.operator)
        url = f"/api/v1/namespaces/{self.operator}/pods/{pod['metadata']['name']}:8082/proxy/{path}"
        return json.loads(self.cluster.kubectl("get", "--raw", url))

    # Waiting

    def until(self, condition: Callable[[], T], what: str, within_s: float = PATIENCE_S) -> T:
        return self.cluster.wait_until(condition, what, within_s)

    def until_condition(self, name: str, kind: str, status: str, reason: str) -> str:
        """The message of the condition once it says that of the gateway as it is now."""

        def says_so() -> Body | None:
            found = self.condition(name, kind)
            return found if (found.get("status"), found.get("reason")) == (status, reason) else None

        return str(self.until(says_so, f"{kind} of {name} to be {status} by {reason}")["message"])

    def until_running(self, name: str) -> None:
        """All is connected, and nothing is under way: no pod of before is left either."""
        self.until_condition(name, "Ready", "True", "AllShardsConnected")
        self.until_condition(name, "Progressing", "False", "Complete")
        wanted = len(self.gateway(name)["status"]["active"]["ranges"])
        self.until(lambda: len(self.pods(name)) == wanted, f"{wanted} pods of {name}")

    def until_gone(self, *names: str) -> None:
        """The gateways are deleted, with all their pods."""
        self.cluster.kubectl("delete", "dgw", *names, "--ignore-not-found", namespace=self.bots)
        self.until(lambda: not any(map(self.pods, names)), f"the pods of {', '.join(names)} to end")
