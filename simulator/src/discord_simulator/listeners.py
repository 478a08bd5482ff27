"""Opening the five ports: REST and gateway, each plain and with TLS, and the control API."""

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

from discord_simulator.control import Control
from discord_simulator.gateway import Gateway
from discord_simulator.rest import API_PATH, Rest
from discord_simulator.settings import SimulatorSettings

_SHUTDOWN_TIMEOUT_S = 1.0
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what to dial, not what to bind to


class PortUnavailableError(Exception):
    """A listener could not be opened; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a simulator listens. `rest_url` and `rest_url_tls` are for use as `discord.baseURL`."""

    rest_url: str
    rest_url_tls: str
    gateway_url: str
    gateway_url_tls: str
    control_url: str


@dataclass(frozen=True, slots=True)
class Listeners:
    """Opens ports on the host of `settings`; what it opened is closed with `stack`."""

    settings: SimulatorSettings
    tls: ssl.SSLContext
    stack: contextlib.AsyncExitStack

    async def gateway(self, gateway: Gateway) -> dict[str, int]:
        """Give the ports by the scheme of the REST request they are told to."""
        return {
            "http": await self._gateway("gateway-port", gateway, self.settings.gateway_port, None),
            "https": await self._gateway("gateway-tls-port", gateway, self.settings.gateway_tls_port, self.tls),
        }

    async def rest(self, rest: Rest) -> dict[str, int]:
        """Give the ports by scheme."""
        return {
            "http": await self._site("rest-port", rest.application(), self.settings.rest_port, None),
            "https": await self._site("rest-tls-port", rest.application(), self.settings.rest_tls_port, self.tls),
        }

    async def control(self, control: Control) -> int:
        return await self._site("control-port", control.application(), self.settings.control_port, None)

    def addresses(self, gateway: dict[str, int], rest: dict[str, int], control: int) -> Addresses:
        host = _WILDCARDS.get(self.settings.host, _bracketed(self.settings.host))
        return Addresses(
            rest_url=f"http://{host}:{rest['http']}{API_PATH}",
            rest_url_tls=f"https://{host}:{rest['https']}{API_PATH}",
            gateway_url=f"ws://{host}:{gateway['http']}/",
            gateway_url_tls=f"wss://{host}:{gateway['https']}/",
            control_url=f"http://{host}:{control}",
        )

    async def _gateway(self, option: str, gateway: Gateway, port: int, tls: ssl.SSLContext | None) -> int:
        with self._explained(option, port):
            server = await gateway.listen(self.settings.host, port, tls)
        self.stack.push_async_callback(server.wait_closed)
        self.stack.callback(server.close)
        return int(next(iter(server.sockets)).getsockname()[1])

    async def _site(self, option: str, app: web.Application, port: int, tls: ssl.SSLContext | None) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
        await runner.setup()
        self.stack.push_async_callback(runner.cleanup)
        with self._explained(option, port):
            await web.TCPSite(runner, self.settings.host, port, ssl_context=tls).start()
        return int(runner.addresses[0][1])

    @contextlib.contextmanager
    def _explained(self, option: str, port: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = f"{self.settings.host}:{port}"
            raise PortUnavailableError(
                f"cannot listen on {where} ({error.strerror or error}): try --{option} 0"
            ) from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
