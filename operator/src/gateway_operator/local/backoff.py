"""How long a pod that ended waits before it is started again."""

import random

FIRST_DELAY = 1.0
"""Seconds before the first restart."""

LONGEST_DELAY = 60.0
"""Seconds the doubling stops at: a mended cause should not wait for minutes to be noticed."""

HEALTHY_AFTER = 60.0
"""Seconds alive after which a pod's earlier failures no longer count."""


class RestartBackoff:
    """Doubles the delay with each end of a process that had not been alive for long; jitter keeps pods apart."""

    def __init__(self, jitter: random.Random) -> None:
        self._jitter = jitter
        self._next = FIRST_DELAY

    def ended_after(self, alive: float) -> float:
        """Seconds to wait, after a process that was alive for `alive` seconds."""
        if alive >= HEALTHY_AFTER:
            self._next = FIRST_DELAY
        delay = self._next
        self._next = min(LONGEST_DELAY, 2 * delay)
        return delay * self._jitter.uniform(0.5, 1.0)
