"""Where a gateway's state is kept, from what the user has named: nothing, a name, a file or a directory."""

from collections.abc import Mapping
from pathlib import Path

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
    path = Path(file_or_name)
    if path.suffix in _FILE_SUFFIXES or path.is_file() or len(path.parts) > 1:
        return read_manifest(path).metadata.name
    return file_or_name


def known_gateways(environment: Mapping[str, str]) -> list[str]:
    """The names of all gateways that ever ran here at their default place, sorted."""
    base = default_state_directory("any", environment).parent
    if not base.is_dir():
        return []
    return sorted({directory.name.removesuffix(SIMULATED_SUFFIX) for directory in base.iterdir() if directory.is_dir()})
