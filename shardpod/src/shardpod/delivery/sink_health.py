"""Whether the sink is up. Down, one probe at a time asks for it, with backoff; nothing is dropped, all waits.

One batch that fails while others are acknowledged says something about that batch; only when nothing at all is
acknowledged any more is the bot down (delivery-formats: "Only when no lane is acknowledged is the bot down").
"""

from random import Random

from .sink import SinkError

FAILURES_UNTIL_DOWN = 8
"""Failed batches in a row, over all lanes, after which the sink counts as down."""
_FIRST_PROBE_DELAY = 0.1
_LONGEST_PROBE_DELAY = 5.0
"""Seconds between probes at most: a bot that is back waits no longer than this for its events."""
_LONGEST_RETRY_AFTER = 60.0
"""A sink that asks for more is asked again after this all the same."""
_FIRST_LANE_DELAY = 0.5
_LONGEST_LANE_DELAY = 30.0


class SinkHealth:
    """Up or down, and how long to wait before trying again. `successes` counts acknowledged batches."""

    def __init__(self, random: Random) -> None:
        self.problem: str | None = None
        self.successes = 0
        self._random = random
        self._down = False
        self._failures = 0
        self._probes = 0
        self._retry_after = 0.0

    @property
    def down(self) -> bool:
        return self._down

    def acknowledged(self) -> bool:
        """Note a success; true if it brought the sink back up."""
        self.successes += 1
        if not self._failures:
            return False
        recovered = self._down
        self.forget()
        return recovered

    def forget(self) -> None:
        """Nothing waits for the sink any more, so nothing asks whether it is back: the next event will."""
        self._down = False
        self._failures = self._probes = 0
        self._retry_after = 0.0
        self.problem = None

    def failed(self, error: SinkError, *, probe: bool = False) -> bool:
        """Note a failure; true if it is the one by which the sink counts as down.

        Only probes make the wait longer: the requests that were under way when the sink went down fail all at once,
        and say nothing about how long it is away.
        """
        self._failures += 1
        self.problem = str(error)
        retry_after = min(error.retry_after or 0.0, _LONGEST_RETRY_AFTER)
        self._retry_after = retry_after if probe else max(self._retry_after, retry_after)
        self._probes += probe
        if self._down:
            return False
        self._down = error.unreachable or error.retry_after is not None or self._failures >= FAILURES_UNTIL_DOWN
        return self._down

    def probe_delay(self) -> float:
        """Seconds before the next probe while down."""
        longest = min(_LONGEST_PROBE_DELAY, _FIRST_PROBE_DELAY * 2.0 ** min(self._probes, 10))
        return max(self._retry_after, self._random.uniform(longest / 2, longest))

    def lane_delay(self, attempts: int) -> float:
        """Seconds for which a lane that failed `attempts` times rests while the others go on."""
        longest = min(_LONGEST_LANE_DELAY, _FIRST_LANE_DELAY * 2.0 ** min(attempts - 1, 10))
        return self._random.uniform(longest / 2, longest)
