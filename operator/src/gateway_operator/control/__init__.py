"""The operator's side of the control channel: pods dial in, report their state, and are told what to do."""

from .server import ControlServer, PodHeard
from .service import ControlService, Key

__all__ = ["ControlServer", "ControlService", "Key", "PodHeard"]
