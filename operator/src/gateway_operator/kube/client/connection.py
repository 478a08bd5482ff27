"""The way to the API server: what the kubeconfig says, found as kubectl finds it."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from .api import MERGE_PATCH, Answer, ClusterError, Request, Trouble
from .execution import PATIENCE, Executed, Execution, executed

REQUEST_TIMEOUT = 15.0
"""Seconds until an answer."""

DEFAULT_NAMESPACE = "default"

_IN_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Where a pod finds its namespace (Kubernetes docs, Accessing the Kubernetes API from a Pod)."""


class Connection:
    """An `Api` and a `Runner`; `namespace` is the one of the context."""

    def __init__(self, settings: Any, namespace: str) -> None:
        # Here and not above: the import takes a second.
        from kubernetes.aio.client.rest import RESTClientObject  # noqa: PLC0415

        self.namespace = namespace
        self._settings = settings
        self._rest = RESTClientObject(settings)

    async def ask(self, request: Request) -> Answer:
        headers = {"Accept": "application/json", "Content-Type": MERGE_PATCH} | await self._authorization()
        host, method = self._settings.host, "PATCH" if request.verb == "patch" else "GET"
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT)
        try:
            response = await self._rest.request(  # type: ignore[no-untyped-call]
                method, host + request.path, headers=headers, body=request.body, _request_timeout=timeout
            )
            return Answer(response.status, await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from None

    async def execute(self, execution: Execution) -> Executed:
        from kubernetes.aio.stream import WsApiClient  # noqa: PLC0415 -- see above

        client: Any = WsApiClient(self._settings)  # type: ignore[no-untyped-call]
        url = self._settings.host + execution.path
        try:
            opening = await client.request(
                "GET", url, query_params=execution.query, headers=await self._authorization(), _preload_content=False
            )
            async with asyncio.timeout(PATIENCE), opening as socket:
                return executed([message.data async for message in socket])
        except aiohttp.WSServerHandshakeError as error:
            raise execution.refused(error.status) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from None
        finally:
            await client.close()

    async def _authorization(self) -> dict[str, str]:
        given = await self._settings.get_api_key_with_prefix("BearerToken")
        return {} if given is None else {"Authorization": given}

    def _unreachable(self, error: Exception) -> ClusterError:
        text = (
            f"the API server {self._settings.host} cannot be reached: {str(error) or 'no answer in time'}; is the "
            "cluster up, and is it the right one? `kubectl config current-context` tells which it is"
        )
        return ClusterError(Trouble.UNREACHABLE, text)

    async def close(self) -> None:
        await self._rest.close()


@asynccontextmanager
async def connected(
    kubeconfig: Path | None, context: str | None, environment: Mapping[str, str]
) -> AsyncIterator[Connection]:
    """By `kubeconfig`, else by KUBECONFIG, else ~/.kube/config, else the service account of this pod.

    Raises ClusterError.
    """
    files = str(kubeconfig) if kubeconfig else environment.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    namespace = _namespace_of_this_pod() if kubeconfig is None and context is None else None
    try:
        if _any_exists(files):
            connection = await _by_kubeconfig(files, context)
        elif namespace is not None:
            connection = await _by_service_account(namespace)
        else:
            raise ClusterError(
                Trouble.UNUSABLE,
                f"no kubeconfig: looked for {files}; name it with --kubeconfig or the variable KUBECONFIG",
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, ssl.SSLError) as error:
        raise ClusterError(Trouble.UNUSABLE, f"the kubeconfig {files} cannot be used: {error}") from None
    try:
        yield connection
    finally:
        await connection.close()


def _any_exists(files: str) -> bool:
    return any(Path(one).expanduser().is_file() for one in files.split(os.pathsep) if one)


def _namespace_of_this_pod() -> str | None:
    return _IN_POD.read_text().strip() if _IN_POD.is_file() else None


async def _by_kubeconfig(files: str, context: str | None) -> Connection:
    from kubernetes.aio import client, config  # noqa: PLC0415 -- see above

    settings = client.Configuration()
    try:
        loader = await config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=files, context=context, client_configuration=settings, persist_config=False
        )
    except config.ConfigException as error:
        raise ClusterError(
            Trouble.UNUSABLE,
            f"the kubeconfig {files} cannot be used: {_said(error)}; `kubectl config get-contexts` lists what it has",
        ) from None
    chosen = loader.current_context.get("context") or {}
    return Connection(settings, chosen.get("namespace") or DEFAULT_NAMESPACE)


def _said(error: Exception) -> str:
    return str(error).removeprefix("Invalid kube-config file. ")


async def _by_service_account(namespace: str) -> Connection:
    from kubernetes.aio import client, config  # noqa: PLC0415 -- see above

    settings = client.Configuration()
    config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
    return Connection(settings, namespace)
