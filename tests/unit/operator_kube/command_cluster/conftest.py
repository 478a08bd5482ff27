"""A small API server on loopback, behind whose pod proxy is the operator's own HTTP, and `kubectl dgw` against it."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from copy import deepcopy
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web
from click import Command
from click.testing import CliRunner, Result
from prometheus_client import CollectorRegistry

from gateway_operator.command import following
from gateway_operator.command.kubectl import main as kubectl_dgw
from gateway_operator.core.reshard_order import ReshardPreview
from gateway_operator.core.status_model import GatewayStatus
from gateway_operator.kube.http import application, serving
from shardpod.pod import asking

API = "/apis/discordgateway.dev/v1alpha1"
LABELS = {"app.kubernetes.io/name": "discord-gateway-operator"}
USER = "jane"

READY = {"type": "Ready", "status": "True", "reason": "Ready", "message": "all shards are connected"}
FINE = {"type": "Degraded", "status": "False", "reason": "Fine", "message": "nothing is wrong"}
STATUS = {
    "observedGeneration": 1,
    "phase": "Running",
    "conditions": [{**one, "lastTransitionTime": "2026-03-01T00:00:00Z"} for one in (READY, FINE)],
    "shards": 4,
    "readyShards": 4,
    "guilds": 2000,
    "active": {"epoch": 1, "shardCount": 4, "ranges": [{"firstShardId": 0, "lastShardId": 3}], "ready": 4},
    "sessionStartLimit": {"total": 1000, "remaining": 996, "maxConcurrency": 1},
    "rollout": {"restarts": 2, "pods": 2, "replaced": 2, "leaving": 0},
}
ROWS = [
    {"shardId": one, "shardCount": 4, "epoch": 1, "pod": "mybot-e1-0-3", "state": "connected", "guilds": 500}
    for one in range(4)
]


class Cluster:
    """The API server, and the operator that leads in it; `steps` are what that writes, one at each look at it."""

    def __init__(self) -> None:
        self.gateways: dict[tuple[str, str], dict] = {}
        self.put()
        self.installed = True
        self.forbidden: set[str] = set()
        self.denied: str | None = None
        self.leases = [("dgw-system", "dgw", LABELS, "dgw-0")]
        self.deployments: list[tuple[str, str]] = []
        self.patched: list[tuple[str, dict]] = []
        self.steps: list[dict] = []
        self.leading = True
        self.rows = ROWS
        self.shown = ReshardPreview(shards=4, to=8, message="as asked")
        self.operator_port = 0
        self.letters: dict[str, list[dict]] = {}
        self.done: list[tuple[str, str, list[str]]] = []
        self.tokens: set[str | None] = set()

    def put(
        self, name: str = "mybot", namespace: str = "bots", status: dict | None = None, *, seen: bool = True, **spec
    ) -> dict:
        """A gateway whose status is STATUS but for what is given; without one if no operator has `seen` it."""
        metadata = {"name": name, "namespace": namespace, "generation": 1, "annotations": {}}
        written = {"status": deepcopy(STATUS | (status or {}))} if seen else {}
        self.gateways[namespace, name] = {"metadata": metadata, "spec": spec, **written}
        return self.gateways[namespace, name]

    # What may be wrong with it; each returns what is to be said of it.

    def lacks_permission(self) -> str:
        self.forbidden = {"get pods/proxy"}
        return f'you ("{USER}") may not get pods/proxy in namespace dgw-system'

    def lacks_leases(self) -> str:
        self.forbidden = {"list leases"}
        return f'you ("{USER}") may not list leases.coordination.k8s.io in all namespaces'

    def has_no_operator(self) -> str:
        self.leases = []
        return "no operator was found: is its chart installed"

    def has_no_leader(self) -> str:
        self.leases = [("dgw-system", "dgw", LABELS, "")]
        return "no operator leads in namespace dgw-system"

    def has_lost_its_leader(self) -> str:
        self.leases = [("dgw-system", "dgw", LABELS, "dgw-9")]
        return 'the operator dgw-9 in namespace dgw-system does not answer (pods "dgw-9" not found)'

    def is_led_by_another(self) -> str:
        self.leading = False
        return "the operator dgw-0 says: This replica does not lead: dgw-1 leads."

    # The operator's seams.

    def names(self):
        return list(self.gateways)

    def status(self, key):
        found = self.gateways[key].get("status")
        whole = {"sessionStartLimit": None, "recommendedShards": None, "name": key[1], "shardRows": self.rows}
        limit = {"resetAt": None, **found["sessionStartLimit"]}
        return GatewayStatus.model_validate(whole | found | {"sessionStartLimit": limit})

    def preview(self, key, to):
        return self.shown

    def leads(self) -> bool:
        return self.leading

    def leader(self):
        return "dgw-1"

    # The API server.

    async def handle(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers.get("Authorization"))
        path = request.path.removeprefix(API)
        parts = path.strip("/").split("/")
        if parts[-1] == "exec":
            return await self._execute(request, namespace=parts[3], pod=parts[5])
        if path == request.path:
            return await (self._proxied(request, parts) if "proxy" in parts else self._builtin(parts))
        if not self.installed:
            return web.Response(status=404, text="404 page not found\n")
        return await self._resource(request, parts)

    async def _resource(self, request: web.Request, parts: list[str]) -> web.Response:
        namespace = parts[1] if parts[0] == "namespaces" else None
        rest = parts[3:] if namespace else parts[1:]
        verb = "patch" if request.method == "PATCH" else "get" if rest else "list"
        if (refused := self._refused(verb, "/".join(["discordgateways", *rest[1:]]), namespace)) is not None:
            return refused
        if not rest:
            items = [one for (where, _), one in self.gateways.items() if namespace in (None, where)]
            return web.json_response({"items": items})
        found = self.gateways.get((namespace, rest[0]))
        if found is None:
            return said(404, f'discordgateways.discordgateway.dev "{rest[0]}" not found', name=rest[0])
        if verb == "patch":
            return self._patch(found, rest[1:], await request.json(), request.query.get("fieldValidation"))
        if self.patched and self.steps:
            found["status"] = STATUS | {"observedGeneration": found["metadata"]["generation"]} | self.steps.pop(0)
        return web.json_response(found)

    def _patch(self, found: dict, subresource: list[str], body: dict, validation: str | None) -> web.Response:
        if self.denied is not None:
            return said(403, self.denied)
        self.patched.append(("/".join(subresource), body))
        if "paused" in body.get("spec", {}) and "paused" in self.forbidden:
            assert validation == "Strict"
            return said(400, 'strict decoding error: unknown field "spec.paused"')
        spec = {"shards": body["spec"]["replicas"]} if subresource else body.get("spec", {})
        if any(found["spec"].get(key) != value for key, value in spec.items()):
            found["metadata"]["generation"] += 1
        found["spec"] |= spec
        found["metadata"]["annotations"] |= body.get("metadata", {}).get("annotations", {})
        return web.json_response(found)

    async def _proxied(self, request: web.Request, parts: list[str]) -> web.Response:
        namespace, pod = parts[3], parts[5]
        if (refused := self._refused("get", "pods/proxy", namespace)) is not None:
            return refused
        if pod != "http:dgw-0:8080":
            return said(404, 'pods "dgw-9" not found', name="dgw-9")
        url = f"http://127.0.0.1:{self.operator_port}/{'/'.join(parts[7:])}"
        async with aiohttp.ClientSession() as session, session.get(url, params=request.query) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

    async def _execute(self, request: web.Request, namespace: str, pod: str) -> web.StreamResponse:
        """The kubelet's part: what a pod's own command prints, and how it ends, each in its channel."""
        if (refused := self._refused("create", "pods/exec", namespace)) is not None:
            return refused
        if pod not in self.letters:
            return said(404, f'pods "{pod}" not found', name=pod)
        assert request.query["container"] == "shardpod"
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        program, *arguments = request.query.getall("command")
        self.done.append((pod, program, arguments))
        printed, complaint = answered(self.letters[pod], arguments)
        for channel, text in ((1, printed[:9]), (1, printed[9:]), (2, complaint), (3, ended(complaint))):
            await socket.send_bytes(bytes([channel]) + text.encode())
        await socket.close()
        return socket

    async def _builtin(self, parts: list[str]) -> web.Response:
        namespace = parts[4] if parts[3] == "namespaces" else None
        kind, *name = parts[5:] if namespace else parts[3:]
        if (refused := self._refused("get" if name else "list", kind, namespace)) is not None:
            return refused
        if kind == "deployments":
            found = [{"metadata": {"namespace": where, "name": one}} for where, one in self.deployments]
            return web.json_response({"items": found})
        leases = [
            {"metadata": {"namespace": where, "name": one}, "spec": {"holderIdentity": holder}}
            for where, one, labels, holder in self.leases
            if namespace in (None, where) and (name == [one] or labels == LABELS)
        ]
        return web.json_response(leases[0] if name else {"items": leases})

    def _refused(self, verb: str, resource: str, namespace: str | None) -> web.Response | None:
        if not {f"{verb} {resource}", f"{verb} {resource} {namespace or '*'}"} & self.forbidden:
            return None
        return said(403, f'User "{USER}" cannot {verb} resource "{resource}"')


def answered(letters: list[dict] | None, arguments: list[str]) -> tuple[str, str]:
    """What a pod with these letters prints to both outputs; with None it does not answer."""
    asked = asking.parser().parse_args(arguments)
    if letters is None:
        return "", "the pod does not answer: [Errno 111] Connection refused\n"
    if asked.what == "list":
        return json.dumps({"deadLetters": letters}), ""
    return json.dumps({"done": sum(asked.all or one["key"] in asked.keys for one in letters)}), ""


def ended(complaint: str) -> str:
    failed = {"status": "Failure", "message": "command terminated with exit code 1", "reason": "NonZeroExitCode"}
    return json.dumps(failed if complaint else {"status": "Success"})


def said(code: int, message: str, name: str | None = None) -> web.Response:
    details = {"name": name} if name else {}
    return web.json_response({"kind": "Status", "message": message, "details": details, "code": code}, status=code)


@contextmanager
def running(cluster: Cluster) -> Iterator[int]:
    """Serve both in a thread, as the command runs an event loop of its own; yields the API server's port."""
    ready, loop, stop, ports = threading.Event(), asyncio.new_event_loop(), asyncio.Event(), []

    async def run() -> None:
        async with AsyncExitStack() as stack:
            operator = application(cluster, cluster, CollectorRegistry(), lambda: None)
            cluster.operator_port = await stack.enter_async_context(serving(operator, "127.0.0.1", 0))
            api = web.Application()
            api.router.add_route("*", "/{path:.*}", cluster.handle)
            ports.append(await stack.enter_async_context(serving(api, "127.0.0.1", 0)))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def written(path: Path, port: int) -> Path:
    named = {"name": "here", "context": {"cluster": "here", "user": USER, "namespace": "bots"}}
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "here",
                "contexts": [named, {"name": "other", "context": {**named["context"], "namespace": "other"}}],
                "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": USER, "user": {"token": "her-token"}}],
            }
        )
    )
    return path


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "POLL", 0.01)
    cluster = Cluster()
    with running(cluster) as port:
        monkeypatch.setenv("KUBECONFIG", str(written(tmp_path / "config", port)))
        yield cluster


@pytest.fixture
def dgw() -> Callable[..., Result]:
    def dgw(*arguments: str, program: Command = kubectl_dgw) -> Result:
        return CliRunner().invoke(program, arguments)

    return dgw


@pytest.fixture
def kubeconfig() -> Callable[..., Path]:
    return written
