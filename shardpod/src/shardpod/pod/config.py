"""The pod's environment, read once at its start (shardpod.contract.environment has the names)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shardpod.contract import environment as env

_LOG_FORMATS = ("json", "console")
_LOG_LEVELS = ("debug", "info", "warning", "error")


class ConfigError(Exception):
    """A variable of the environment is missing or wrong; the message names it and says what is allowed."""


@dataclass(frozen=True, slots=True)
class PodConfig:
    """Who the pod is, where its operator is, and its secrets, which never show in a repr."""

    pod: str
    control_addresses: tuple[str, ...]
    control_secret: str = field(repr=False)
    token: str = field(repr=False)
    ca_file: Path | None
    sink_authorization: str | None = field(repr=False)
    http_host: str
    http_port: int
    log_format: str | None
    log_level: str

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.control_secret, self.token, self.sink_authorization)))


def read_config(environ: Mapping[str, str]) -> PodConfig:
    """Read the environment; raises ConfigError."""
    host, port = _host_port(environ.get(env.HTTP_ADDRESS, "127.0.0.1:0"))
    ca_file = environ.get(env.DISCORD_CA_FILE)
    return PodConfig(
        pod=_required(environ, env.POD_NAME),
        control_addresses=_control_addresses(_required(environ, env.CONTROL_ADDRESSES)),
        control_secret=_required(environ, env.CONTROL_SECRET),
        token=_required(environ, env.DISCORD_TOKEN),
        ca_file=Path(ca_file) if ca_file else None,
        sink_authorization=environ.get(env.SINK_AUTHORIZATION) or None,
        http_host=host,
        http_port=port,
        log_format=_one_of(environ, env.LOG_FORMAT, _LOG_FORMATS),
        log_level=_one_of(environ, env.LOG_LEVEL, _LOG_LEVELS) or "info",
    )


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise ConfigError(f"{name} is not set. Shard pods are started by the operator, which sets it.")
    return value


def _one_of(environ: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str | None:
    value = environ.get(name) or None
    if value is not None and value not in allowed:
        raise ConfigError(f"{name} is {value!r}, allowed are {', '.join(allowed)}.")
    return value


def _control_addresses(value: str) -> tuple[str, ...]:
    addresses = tuple(part.strip() for part in value.split(",") if part.strip())
    for address in addresses:
        if not address.startswith(("unix:", "ws://", "wss://")):
            raise ConfigError(f"{env.CONTROL_ADDRESSES} has {address!r}, allowed are unix:/path and ws://host:port.")
    return addresses


def _host_port(value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"{env.HTTP_ADDRESS} is {value!r}, expected host:port.")
    return host.strip("[]"), int(port)
