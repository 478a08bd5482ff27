"""What becomes of an event that a session received while two shard sets live."""

from enum import Enum, auto


class Verdict(Enum):
    OURS = auto()
    """It is delivered from here."""
    HELD = auto()
    """Nobody delivers it before the handover of its range is over."""
    NOT_OURS = auto()
    """The other shard set delivers it, or has."""
