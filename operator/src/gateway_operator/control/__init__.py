"""The operator's side of the control channel: pods dial in, report their state, and are told what to do."""

from .server import ControlServer, PodHeard

__all__ = ["ControlServer", "PodHeard"]
