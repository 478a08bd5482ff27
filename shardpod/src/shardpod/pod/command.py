"""The shard pod's process. Started by the operator's adapter; everything it needs to know is in the environment."""

import asyncio
import os
import signal
import sys
from random import Random

import uvloop

from shardpod.logs import configure_logs

from .config import ConfigError, PodConfig, read_config
from .http_endpoints import CannotListenError
from .pod import Pod

_USAGE_ERROR = 2


def main() -> None:
    """Run a pod; exit status 2 for a wrong environment or a port that is taken."""
    try:
        config = read_config(os.environ)
    except ConfigError as error:
        sys.exit(_fail(str(error)))
    configure_logs(log_format=config.log_format, level=config.log_level, secrets=config.secrets, pod=config.instance)
    try:
        uvloop.run(_run(config))
    except CannotListenError as error:
        sys.exit(_fail(str(error)))


async def _run(config: PodConfig) -> None:
    pod = Pod(config, Random())  # noqa: S311 -- jitter, no secret
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, pod.stop)
    # One that came before there was a handler has waited until now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    await pod.run()


def _fail(message: str) -> int:
    print(f"discord-gateway-shardpod: {message}", file=sys.stderr)  # noqa: T201 -- before there are logs
    return _USAGE_ERROR
