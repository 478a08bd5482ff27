"""The pod's environment, read once at its start (shardpod.contract.environment has the names)."""

import math
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shardpod.contract import environment as env

_HIGHEST_PORT = 65535
_LOG_FORMATS = ("json", "console")
_LOG_LEVELS = ("debug", "info", "warning", "error")


class ConfigError(Exception):
    """A variable of the environment is missing or wrong; the message names it and says what is allowed."""


@dataclass(frozen=True, slots=True)
class PodConfig:
    """Who the pod is, where its operator is, and its secrets, which never show in a repr."""

    pod: str
    instance: str
    scratch: Path | None
    termination_grace: float
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
    return PodConfig(
        pod=_required(environ, env.POD_NAME),
        instance=environ.get(env.POD_INSTANCE, "").strip() or _required(environ, env.POD_NAME),
        scratch=_scratch(environ),
        termination_grace=_seconds(environ, env.TERMINATION_GRACE, default=30.0),
        control_addresses=_control_addresses(_required(environ, env.CONTROL_ADDRESSES)),
        control_secret=_one_line(env.CONTROL_SECRET, _required(environ, env.CONTROL_SECRET)),
        token=_one_line(env.DISCORD_TOKEN, _required(environ, env.DISCORD_TOKEN)),
        ca_file=_ca_file(environ),
        sink_authorization=_one_line(env.SINK_AUTHORIZATION, environ.get(env.SINK_AUTHORIZATION, "").strip()) or None,
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


def _one_line(name: str, secret: str) -> str:
    """Refuse what would break out of the header or message it is sent in, without showing it."""
    if not secret.isprintable():
        raise ConfigError(f"{name} holds a line break or another character that cannot be sent.")
    return secret


def _ca_file(environ: Mapping[str, str]) -> Path | None:
    value = environ.get(env.DISCORD_CA_FILE)
    if not value:
        return None
    try:
        ssl.create_default_context(cafile=value)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"{env.DISCORD_CA_FILE} is {value!r}, expected a PEM file of a CA: {error}") from error
    return Path(value)


def _scratch(environ: Mapping[str, str]) -> Path | None:
    value = environ.get(env.SCRATCH)
    if not value:
        return None
    path = Path(value)
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"{env.SCRATCH} is {value!r}, expected a directory that can be written to.")
    return path


def _seconds(environ: Mapping[str, str], name: str, *, default: float) -> float:
    value = environ.get(name)
    if not value:
        return default
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < math.inf:
        raise ConfigError(f"{name} is {value!r}, expected seconds such as 30.")
    return seconds


def _one_of(environ: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str | None:
    value = environ.get(name) or None
    if value is not None and value not in allowed:
        raise ConfigError(f"{name} is {value!r}, allowed are {', '.join(allowed)}.")
    return value


def _control_addresses(value: str) -> tuple[str, ...]:
    addresses = tuple(part.strip() for part in value.split(",") if part.strip())
    if not addresses:
        raise ConfigError(f"{env.CONTROL_ADDRESSES} names no address.")
    for address in addresses:
        if not address.startswith(("unix:", "ws://", "wss://")):
            raise ConfigError(f"{env.CONTROL_ADDRESSES} has {address!r}, allowed are unix:/path and ws://host:port.")
    return addresses


def _host_port(value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _HIGHEST_PORT:
        raise ConfigError(f"{env.HTTP_ADDRESS} is {value!r}, expected host:port.")
    return host.strip("[]"), int(port)
