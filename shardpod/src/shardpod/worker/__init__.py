"""Drives shards on one event loop: from the socket to the queue, and from the queue to the sink."""

from .permits import Granted, Permits, Wait
from .report import ShardReport, WorkerReport
from .settings import SinkSettings, WorkerSettings
from .worker import Worker

__all__ = ["Granted", "Permits", "ShardReport", "SinkSettings", "Wait", "Worker", "WorkerReport", "WorkerSettings"]
