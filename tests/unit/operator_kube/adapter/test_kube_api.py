"""The client of the Kubernetes API against a server of a few lines: what it asks, and what it makes of answers."""

import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from kubernetes.aio import client

from gateway_operator.kube.api import DEPLOYMENT, GATEWAY, POD, SECRET, ApiError, KubeApi, connect

NOT_FOUND = {"kind": "Status", "message": 'secrets "x" not found', "details": {"name": "x", "kind": "secrets"}}


class Server:
    """Answers whatever is asked with `status` and `body`, and keeps the last request."""

    def __init__(self):
        self.status, self.body = 200, {}
        self.asked = self.sent = None

    async def answer(self, request):
        self.asked, self.sent = request, await request.text()
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return web.Response(status=self.status, text=text)

    @property
    def query(self):
        return dict(self.asked.query)


@asynccontextmanager
async def at(host):
    configuration = client.Configuration(host=host)
    configuration.api_key["BearerToken"] = "bearer t0ken"
    async with client.ApiClient(configuration=configuration) as api:
        yield KubeApi(api)


@pytest.fixture
def server():
    return Server()


@pytest.fixture
async def api(server):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    async with TestServer(app) as listening, at(str(listening.make_url(""))) as api:
        yield api


# What it asks.


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (POD, "/api/v1/namespaces/bots/pods/x"),
        (DEPLOYMENT, "/apis/apps/v1/namespaces/bots/deployments/x"),
        (GATEWAY, "/apis/discordgateway.dev/v1alpha1/namespaces/bots/discordgateways/x"),
    ],
)
async def test_objects_are_asked_for_where_their_kind_is_with_the_token(api, server, kind, path):
    server.body = {"metadata": {"name": "x"}}

    assert await api.get(kind, "bots", "x") == server.body
    assert (server.asked.method, server.asked.path) == ("GET", path)
    assert server.asked.headers["Authorization"] == "bearer t0ken"


async def test_items_of_a_list_say_what_they_are(api, server):
    server.body = {"items": [{"metadata": {"name": "x"}}]}

    assert await api.find(POD, "bots", "a=b") == [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}]
    assert server.query == {"labelSelector": "a=b"}
    server.body = {"items": None}
    assert await api.find(GATEWAY, None) == []
    assert server.asked.path == "/apis/discordgateway.dev/v1alpha1/discordgateways"


async def test_to_apply_takes_over_our_fields(api, server):
    wanted = {"metadata": {"name": "x", "namespace": "bots"}}
    await api.apply(DEPLOYMENT, wanted)
    assert server.asked.method == "PATCH"
    assert server.asked.headers["Content-Type"] == "application/apply-patch+yaml"
    assert server.query == {"fieldManager": "discord-gateway-operator", "force": "true"}
    assert json.loads(server.sent) == wanted

    await api.apply(DEPLOYMENT, wanted, dry_run=True)
    assert server.query["dryRun"] == "All"


async def test_a_patch_says_what_is_to_go(api, server):
    await api.patch(GATEWAY, "bots", "x", {"status": {"reshard": None}}, subresource="status")

    assert server.asked.path.endswith("/discordgateways/x/status")
    assert server.asked.headers["Content-Type"] == "application/merge-patch+json"
    assert json.loads(server.sent) == {"status": {"reshard": None}}


async def test_to_delete_is_about_the_one_that_was_seen(api, server):
    await api.delete(POD, "bots", "x", uid="u")

    assert server.asked.method == "DELETE"
    assert json.loads(server.sent) == {"propagationPolicy": "Background", "preconditions": {"uid": "u"}}


@pytest.mark.parametrize(("method", "status"), [("create", "POST"), ("replace", "PUT")])
async def test_whole_objects_are_written(api, server, method, status):
    wanted = {"metadata": {"name": "x", "namespace": "bots", "resourceVersion": "7"}}
    await getattr(api, method)(SECRET, wanted)

    assert server.asked.method == status
    assert json.loads(server.sent) == wanted


# What it makes of answers.


async def test_what_is_not_there_is_none_and_need_not_be_deleted(api, server):
    server.status, server.body = 404, NOT_FOUND

    assert await api.get(SECRET, "bots", "x") is None
    await api.delete(SECRET, "bots", "x")


@pytest.mark.parametrize(
    "body", ["404 page not found", "", {"kind": "Status", "message": "no such path", "details": {}}]
)
async def test_a_path_that_is_not_there_does_not_say_that_the_object_is_gone(api, server, body):
    """It would end all shards of a gateway: as from a proxy, or from an API server that does not know the kind yet."""
    server.status, server.body = 404, body
    with pytest.raises(ApiError):
        await api.get(GATEWAY, "bots", "x")


async def test_another_one_of_that_name_is_not_deleted_and_that_is_no_error(api, server):
    server.status = 409

    await api.delete(POD, "bots", "x", uid="u")


@pytest.mark.parametrize(
    ("status", "conflict", "refused"),
    [
        (409, True, False),
        (422, False, True),
        (403, False, True),
        (400, False, True),
        (500, False, False),
        (429, False, False),
    ],
)
async def test_a_refusal_is_told_with_its_reason(api, server, status, conflict, refused):
    server.status, server.body = status, {"message": "because of this"}
    with pytest.raises(ApiError, match="PATCH /api/v1/namespaces/bots/pods/x: because of this") as told:
        await api.patch(POD, "bots", "x", {})

    assert (told.value.status, told.value.conflict, told.value.refused) == (status, conflict, refused)


@pytest.mark.parametrize("body", ["<html>Bad gateway</html>", "", "[]", "3"])
async def test_a_refusal_that_is_no_json_is_told_all_the_same(api, server, body):
    server.status, server.body = 502, body
    with pytest.raises(ApiError) as told:
        await api.find(POD, "bots")

    assert told.value.status == 502


@pytest.mark.parametrize("body", ["<html>Sign in</html>", "[]", '"text"'])
async def test_an_answer_that_is_no_object_is_an_error_as_any_other(api, server, body):
    """As of a proxy in between: whoever asks is ready for this error, and for no other."""
    server.body = body
    with pytest.raises(ApiError):
        await api.find(POD, "bots")


async def test_a_server_that_cannot_be_reached_is_told_without_the_token():
    async with at(f"http://127.0.0.1:{unused_port()}") as api:
        with pytest.raises(ApiError, match="cannot be reached") as told:
            await api.get(POD, "bots", "x")

    assert told.value.status == 0
    assert not told.value.conflict
    assert not told.value.refused
    assert "t0ken" not in str(told.value)


async def test_where_no_cluster_is_configured_is_told(monkeypatch, tmp_path):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(ApiError, match="no way to the Kubernetes API is configured"):
        await connect()
