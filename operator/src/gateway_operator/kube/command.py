"""The command `discord-gateway-operator`, which the chart's Deployment runs."""

import signal
import socket
import sys
from typing import Literal

import click
import structlog
import uvloop

from gateway_operator import logs
from gateway_operator.logs import LogFormat, LogLevel
from gateway_operator.stop_signals import StopSignals

from .api import ApiError, connect
from .pod_template import CONTROL_PORT, PodSettings
from .process import Options, run_on_kubernetes

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_HELP = """Run the shards of every DiscordGateway resource of a Kubernetes cluster.

Usually the Helm chart runs it, two replicas of which one leads. It finds the cluster by its service account, or by your
kubeconfig. Each option can also be given by the environment variable that is named with it.
"""


@click.command(help=_HELP, context_settings={"max_content_width": 110, "show_default": True})
@click.option(
    "--namespace", envvar="POD_NAMESPACE", default="default", help="Where the operator itself runs.", show_envvar=True
)
@click.option(
    "--replica",
    envvar="POD_NAME",
    default=socket.gethostname,
    show_default="this machine's name",
    help="This replica's own name.",
    show_envvar=True,
)
@click.option(
    "--lease",
    envvar="LEASE_NAME",
    default="discord-gateway-operator",
    help="The Lease by which replicas elect the one that leads.",
    show_envvar=True,
)
@click.option(
    "--watch-namespaces",
    envvar="WATCH_NAMESPACES",
    default="",
    show_default="all",
    help="Namespaces whose gateways are run, comma separated.",
    show_envvar=True,
)
@click.option(
    "--shard-image",
    envvar="SHARD_POD_IMAGE",
    required=True,
    help="Image that new gateways' pods begin with.",
    show_envvar=True,
)
@click.option(
    "--shard-image-pull-policy",
    envvar="SHARD_POD_IMAGE_PULL_POLICY",
    type=click.Choice(["Always", "IfNotPresent", "Never"]),
    help="When nodes pull that image; without, as Kubernetes does.",
    show_envvar=True,
)
@click.option(
    "--control-host", envvar="CONTROL_HOST", required=True, help="Where pods find all replicas.", show_envvar=True
)
@click.option(
    "--control-port",
    envvar="CONTROL_PORT",
    type=click.IntRange(0, 65535),
    default=CONTROL_PORT,
    help="Port where shard pods dial in.",
    show_envvar=True,
)
@click.option(
    "--http-port",
    envvar="HTTP_PORT",
    type=click.IntRange(0, 65535),
    default=8080,
    help="Port of health, metrics and status.",
    show_envvar=True,
)
@click.option(
    "--log-format",
    envvar="LOG_FORMAT",
    type=click.Choice([choice.value for choice in LogFormat]),
    help="[default: console on a terminal, else json]",
    show_envvar=True,
)
@click.option(
    "--log-level",
    envvar="LOG_LEVEL",
    type=click.Choice([choice.value for choice in LogLevel]),
    default=LogLevel.INFO.value,
    show_envvar=True,
)
def main(
    *,
    namespace: str,
    replica: str,
    lease: str,
    watch_namespaces: str,
    shard_image: str,
    shard_image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None,
    control_host: str,
    control_port: int,
    http_port: int,
    log_format: str | None,
    log_level: str,
) -> None:
    chosen = LogFormat(log_format) if log_format else logs.default_format(sys.stderr)
    level = LogLevel(log_level)
    pods = PodSettings(
        image=shard_image,
        control_host=control_host,
        image_pull_policy=shard_image_pull_policy,
        log_level=level.value,
        log_format=LogFormat.JSON.value,
    )
    options = Options(
        namespace=namespace,
        replica=replica,
        lease=lease,
        namespaces=tuple(part.strip() for part in watch_namespaces.split(",") if part.strip()),
        pods=pods,
        control_port=control_port,
        http_port=http_port,
    )
    logs.configure(log_format=chosen, level=level, secrets=())
    try:
        uvloop.run(_run(options, chosen, level))
    except (ApiError, OSError) as error:
        raise click.ClickException(str(error)) from None


async def _run(options: Options, log_format: LogFormat, level: LogLevel) -> None:
    stop = StopSignals()

    def keep_out_of_logs(secrets: tuple[str, ...]) -> None:
        logs.configure(log_format=log_format, level=level, secrets=secrets)

    with stop.heeded():
        # One that came before there was a handler has waited until now (kube.entry).
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        api = await connect()
        await run_on_kubernetes(api, options, stop, keep_out_of_logs)
