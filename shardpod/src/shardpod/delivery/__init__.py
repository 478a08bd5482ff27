"""From received to acknowledged: the queue of lanes, the sinks, and what has been acknowledged so far."""

from .acknowledgements import Acknowledgements
from .delivery import Delivery
from .http_sink import HttpSink
from .lanes import Batch, LaneQueue, Ordering, Overflow
from .sink import Done, Sink, SinkError
from .sink_health import SinkHealth

__all__ = [
    "Acknowledgements",
    "Batch",
    "Delivery",
    "Done",
    "HttpSink",
    "LaneQueue",
    "Ordering",
    "Overflow",
    "Sink",
    "SinkError",
    "SinkHealth",
]
