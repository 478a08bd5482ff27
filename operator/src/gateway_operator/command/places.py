"""Where a gateway's state is kept, from what the user has named: nothing, a name, a file or a directory."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway_operator.local.instance_record import left_running
from gateway_operator.local.state_directory import StateDirectory, default_state_directory

from .manifest_file import read_manifest

SIMULATED_SUFFIX = "+simulator"
"""Keeps what runs on the simulator apart from the real gateway, by a name that no gateway can have."""

_FILE_SUFFIXES = frozenset({".yaml", ".yml", ".json"})


def state_directory(gateway: str, environment: Mapping[str, str], *, simulated: bool) -> StateDirectory:
    """The default place of one gateway."""
    return StateDirectory(default_state_directory(gateway + (SIMULATED_SUFFIX if simulated else ""), environment))


def gateway_name(file_or_name: str) -> str:
    """The name as it is, or that of the gateway in the file; raises UserError."""
    return asked_gateway(file_or_name)[0]


def asked_gateway(file_or_name: str) -> tuple[str, str | None]:
    """The name likewise, and the namespace that the file gives it; raises UserError."""
    path = Path(file_or_name)
    if path.suffix in _FILE_SUFFIXES or path.is_file() or len(path.parts) > 1:
        metadata = read_manifest(path).metadata
        return metadata.name, metadata.namespace
    return file_or_name, None


def known_gateways(environment: Mapping[str, str]) -> list[str]:
    """The names of all gateways that ever ran here at their default place, sorted."""
    base = default_state_directory("any", environment).parent
    if not base.is_dir():
        return []
    return sorted({directory.name.removesuffix(SIMULATED_SUFFIX) for directory in base.iterdir() if directory.is_dir()})


def asked_places(name: str | None, state_dir: Path | None) -> Iterator[tuple[str, StateDirectory]]:
    """Where a gateway that runs may be asked: its name and place, the real gateway before one on the simulator."""
    if state_dir is not None:
        yield name or state_dir.absolute().name, StateDirectory(state_dir)
        return
    for known in [name] if name else known_gateways(os.environ):
        for simulated in (False, True):
            yield known, state_directory(known, os.environ, simulated=simulated)


def left_alone(name: str | None, state_dir: Path | None) -> tuple[str, int] | None:
    """The first gateway whose pods run without an operator, and how many; None if there is none."""
    for found, directory in asked_places(name, state_dir):
        if pods := left_running(directory.pods):
            return found, pods
    return None
