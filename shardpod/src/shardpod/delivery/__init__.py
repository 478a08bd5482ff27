"""From received to acknowledged: the queue of lanes, the sinks, and what has been acknowledged so far."""

from .delivery import Delivery
from .http_sink import HttpSink
from .lane import Batch
from .lanes import LaneQueue, Ordering, Overflow
from .outstanding import Outstanding
from .sink import Done, Sink, SinkError
from .sink_health import SinkHealth

__all__ = [
    "Batch",
    "Delivery",
    "Done",
    "HttpSink",
    "LaneQueue",
    "Ordering",
    "Outstanding",
    "Overflow",
    "Sink",
    "SinkError",
    "SinkHealth",
]
