"""Durations as people say them."""

import math

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def spoken_duration(seconds: float) -> str:
    """The two largest units, rounded up: `3 h 20 min`, `45 s`. Never less than a second, never infinite."""
    left = max(1, math.ceil(seconds))
    parts = []
    for size, unit in _UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts[:2])
