"""How a socket is written to: whole and at once, or as bad networks and odd servers do it."""

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise


class SplitInto(Enum):
    """FRAMES are WebSocket fragments of one message. MESSAGES are for zlib-stream alone: Discord docs, Gateway."""

    FRAMES = "frames"
    MESSAGES = "messages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """`parts`: pieces of each message. `stalled`: nothing is written. `half_open`: nothing is written or read."""

    parts: int = 1
    split_into: SplitInto = SplitInto.FRAMES
    bytes_per_second: float | None = None
    stalled: bool = False
    half_open: bool = False


ORDERLY = Manner()


def in_parts(data: bytes, parts: int) -> list[bytes]:
    """Cut into `parts` pieces of nearly the same size, none of them empty; fewer if there are fewer bytes."""
    count = max(1, min(parts, len(data)))
    bounds = [len(data) * index // count for index in range(count + 1)]
    return [data[start:end] for start, end in pairwise(bounds)]
