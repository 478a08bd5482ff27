"""How long to wait before the next connection: at once after a healthy one, else longer each time, with jitter.

The wait stays short while there is a session to resume: what is missed by then is lost.
"""

from random import Random

_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0
LONGEST_DELAY_WITH_SESSION = 5.0
"""Seconds: Discord replays about the last 20 s of a busy session, and keeps one for some 90 s; Resumes and connections
are not limited (fact sheet, section 3: Resume, Resume window)."""
_HEALTHY_AFTER = 10.0
"""Seconds a shard must have been connected for its next connection to be tried at once."""
_UNHURRIED_DELAY = (1.0, 5.0)
"""Random wait after op 9 (Discord staff, discord-api-docs #244), and after a close for too many sends."""


class Reconnect:
    """Counts failures in a row and gives the delay before the next try."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures = 0
        self._connected_at: float | None = None

    def connected(self, now: float) -> None:
        self._connected_at = now

    def delay(self, now: float, *, resumable: bool) -> float:
        """Seconds until the next try after a connection that ended now, or never came to be.

        `resumable`: there is a session to resume. Full jitter: the shards of a pod that lost its network do not come
        back in step.
        """
        if self._connected_at is not None and now - self._connected_at >= _HEALTHY_AFTER:
            self._failures = 0
        was_connected, self._connected_at = self._connected_at is not None, None
        self._failures += 1
        if self._failures == 1 and was_connected:
            return 0.0
        longest = LONGEST_DELAY_WITH_SESSION if resumable else _LONGEST_DELAY
        return self._random.uniform(0.1, min(longest, _FIRST_DELAY * 2.0 ** min(self._failures, 10)))

    def unhurried_delay(self, now: float, *, resumable: bool) -> float:
        """As `delay`, but never at once: Discord has asked for patience."""
        return max(self._random.uniform(*_UNHURRIED_DELAY), self.delay(now, resumable=resumable))
