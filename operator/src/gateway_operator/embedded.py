"""The embedded mode put together: one gateway's operator with its adapters for this machine.

The one place that knows all the parts; each of them knows only the seams it uses.
"""

import asyncio
import hashlib
import hmac
import random
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import structlog

from shardpod.contract import environment

from .control import ControlServer
from .core.identify_ledger import IdentifyLedger
from .core.leases import LeaseBook
from .core.status_model import GatewayStatus
from .discord_api import DiscordApi, DiscordOfNow, TokenRefusedError, bot_authorization
from .gateway_bot_watch import GatewayBotWatch
from .local.pod_process import PodCommand
from .local.pods import LocalPods
from .local.state_directory import StateDirectory
from .local.status_socket import RestartAnswer, RestartRequest, serving_status
from .model import DiscordGateway
from .operator import CALM, Operator

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

POD_ARGUMENTS = (sys.executable, "-m", "shardpod")

POD_HTTP_ADDRESS = "127.0.0.1:0"
"""Many pods on one machine: each takes a free port and reports it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the manifest only names. `rest_authorization`: a REST proxy's secret, instead of the bot's token."""

    token: str = field(repr=False)
    sink_authorization: str | None = field(default=None, repr=False)
    rest_authorization: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def secrets(self) -> tuple[str, ...]:
        """All that must never be seen in a log."""
        return tuple(filter(None, (self.token, self.sink_authorization, self.rest_authorization)))

    def pod_environment(self) -> dict[str, str]:
        given = {
            environment.DISCORD_TOKEN: self.token,
            environment.SINK_AUTHORIZATION: self.sink_authorization,
            environment.DISCORD_CA_FILE: None if self.ca_file is None else str(self.ca_file.absolute()),
        }
        return {name: value for name, value in given.items() if value is not None}

    def digest(self, key: str) -> str:
        """Changes when a pod started with other credentials could not go on; tells nothing about them."""
        ca = b"" if self.ca_file is None else self.ca_file.read_bytes()
        parts = (self.token.encode(), (self.sink_authorization or "").encode(), ca)
        return hmac.new(key.encode(), b"\0".join(parts), hashlib.sha256).hexdigest()


class UnusableError(Exception):
    """The manifest or the secrets cannot be used; `problems` say why, a line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Stopping(Protocol):
    """The user's two wishes: to stop in order, and not to wait for that any longer."""

    @property
    def asked(self) -> asyncio.Event: ...

    @property
    def hurried(self) -> asyncio.Event: ...


async def run_embedded(
    gateway: DiscordGateway,
    credentials: Credentials,
    directory: StateDirectory,
    *,
    reread: Callable[[], tuple[DiscordGateway, Credentials]],
    fresh: bool,
    pod_logging: Mapping[str, str],
    stop: Stopping,
) -> None:
    """Run the gateway until `stop.asked`, then end its pods. The caller has prepared and locked the directory.

    `reread` gives manifest and secrets anew for a restart, or raises UnusableError; `fresh` forgets the sessions and
    events of the last time. Raises TokenRefusedError if Discord refuses the token at the start, and OSError. After
    an error that is not foreseen pods are left running, for the next operator to take over.
    """
    clock, jitter, changed = asyncio.get_running_loop().time, random.SystemRandom(), asyncio.Event()
    command = _pod_command(credentials, directory, pod_logging)
    pods = LocalPods(directory.pods, directory.scratch, command, clock=clock, jitter=jitter)
    if fresh:
        pods = await _begin_anew(pods, directory, command, clock=clock, jitter=jitter)
    ledger, leases = IdentifyLedger(started_at=clock()), LeaseBook()
    control = ControlServer(
        term=directory.next_term(),
        secret=directory.control_secret(),
        ledger=ledger,
        leases=leases,
        changed=changed,
        clock=clock,
    )
    discord = DiscordOfNow(_discord_api(gateway, credentials))
    watch = GatewayBotWatch(discord, changed=changed.set, clock=clock, jitter=jitter)
    operator = Operator(
        gateway,
        secrets_digest=credentials.digest(key=directory.control_secret()),
        discord=watch,
        pods=pods,
        control=control,
        ledger=ledger,
        leases=leases,
        memory=directory,
        changed=changed,
        clock=clock,
        calendar=lambda: datetime.now(UTC),
    )

    def restart(request: RestartRequest) -> RestartAnswer:
        try:
            new_gateway, new_credentials = reread()
            discord.api = _discord_api(new_gateway, new_credentials)
            digest = new_credentials.digest(key=directory.control_secret())
        except UnusableError as unusable:
            return RestartAnswer(problems=unusable.problems)
        except OSError as error:
            return RestartAnswer(problems=(str(error),))
        pods.command = _pod_command(new_credentials, directory, pod_logging)
        number = operator.restart(new_gateway, secrets_digest=digest, replace_all=request.replace_all)
        logger.info("a restart of the pods was asked for", number=number, all_of_them=request.replace_all)
        return RestartAnswer(restarts=number)

    async with (
        control.listening(directory.control_socket),
        serving_status(directory.status_socket, lambda: _as_json(operator.full_status()), restart, operator),
    ):
        try:
            await _until(stop.asked, _work(operator, watch))
        except TokenRefusedError:
            await _end(operator, pods, hurried=stop.hurried)
            raise
        await _end(operator, pods, hurried=stop.hurried)


async def _begin_anew(
    pods: LocalPods,
    directory: StateDirectory,
    command: PodCommand,
    *,
    clock: Callable[[], float],
    jitter: random.Random,
) -> LocalPods:
    """End at once what an operator before left running, and forget all that could be continued."""
    pods.grace = 0.0
    while running := [name for name, process in (await pods.observe()).items() if process.running]:
        for name in running:
            await pods.stop(name)
        await asyncio.sleep(CALM)
    if files := directory.forget():
        logger.info("beginning anew: deleted sessions and all events not yet delivered", files=files)
    return LocalPods(directory.pods, directory.scratch, command, clock=clock, jitter=jitter)


def _as_json(status: GatewayStatus | None) -> str | None:
    return None if status is None else status.model_dump_json(by_alias=True)


async def _work(operator: Operator, watch: GatewayBotWatch) -> None:
    next_read = await watch.read()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch.keep_reading(next_read))
        tasks.create_task(operator.run())


async def _end(operator: Operator, pods: LocalPods, *, hurried: asyncio.Event) -> None:
    """End every pod; what they hold is kept on disk for the next start."""
    if any(process.running for process in (await pods.observe()).values()):
        logger.info("stopping: waiting for the pods to end (Ctrl-C again to end them at once)")
    await _until(hurried, operator.stop_pods())
    pods.grace = 0.0
    await operator.stop_pods(hurry=True)


async def _until(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Work until it is done or the event is set; raises what the work raises."""
    tasks = [asyncio.create_task(work), asyncio.create_task(event.wait())]
    try:
        done, _pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _discord_api(gateway: DiscordGateway, credentials: Credentials) -> DiscordApi:
    return DiscordApi(
        base_url=gateway.spec.discord.base_url,
        authorization=credentials.rest_authorization or bot_authorization(credentials.token),
        ca_file=credentials.ca_file,
    )


def _pod_command(credentials: Credentials, directory: StateDirectory, logging: Mapping[str, str]) -> PodCommand:
    control_secret = directory.control_secret()
    return PodCommand(
        arguments=POD_ARGUMENTS,
        environment={
            **credentials.pod_environment(),
            **logging,
            environment.CONTROL_ADDRESSES: f"unix:{directory.control_socket}",
            environment.CONTROL_SECRET: control_secret,
            environment.HTTP_ADDRESS: POD_HTTP_ADDRESS,
        },
    )
