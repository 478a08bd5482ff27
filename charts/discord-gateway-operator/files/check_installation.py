# ruff: noqa: INP001, S310, T201 -- a script, which asks only addresses that the chart wrote, and prints
"""What `helm test` runs, in the project's own image: the definition is served, and the operator says it is ready."""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
GROUP = "discordgateway.dev/v1alpha1"
TIMEOUT = 10.0
"""Seconds for each of the two questions."""


def served_kinds() -> set[str]:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    host = f"[{host}]" if ":" in host else host
    authorization = {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"}
    request = urllib.request.Request(f"https://{host}:{port}/apis/{GROUP}", headers=authorization)
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, context=trust, timeout=TIMEOUT) as answer:
        return {resource["kind"] for resource in json.load(answer)["resources"]}


def readiness(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def main(url: str) -> None:
    try:
        kinds = served_kinds()
    except urllib.error.HTTPError as error:
        sys.exit(f"the API server does not serve {GROUP} ({error.code}): install the chart with crds.enabled=true")
    if "DiscordGateway" not in kinds:
        sys.exit(f"the API server serves {GROUP} without DiscordGateway: install the chart with crds.enabled=true")
    print(f"ok: the API server serves DiscordGateway {GROUP}")
    try:
        status, text = readiness(url)
    except OSError as error:
        sys.exit(f"the operator does not answer at {url}: {error}")
    if status != HTTPStatus.OK:
        sys.exit(f"the operator is not ready: {url} answered {status}: {text.strip()}")
    print(f"ok: {url} says: {text.strip()}")


if __name__ == "__main__":
    main(sys.argv[1])
