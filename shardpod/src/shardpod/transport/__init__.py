"""The one seam to WebSockets for the gateway's hot path."""

from .picows import PicowsConnector
from .seam import Connection, Connector, Listener

__all__ = ["Connection", "Connector", "Listener", "PicowsConnector"]
