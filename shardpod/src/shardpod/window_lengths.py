"""The windows of time in which two sessions that see the same events are compared: all of them follow from two.

One place for operator and worker: the gate before a fence waits for what the worker then relies on.
"""


class WindowLengths:
    """In seconds. What breaks when one of them is shorter is shown by the tests.

    `max_skew`: the longest by which two healthy sessions may differ in receiving one event. `fence_timeout`: the
    longest that a fence may take.
    """

    __slots__ = ()

    max_skew: float
    fence_timeout: float

    @property
    def ring(self) -> float:
        """For so long payloads are kept: what the other side has not delivered by its fence cannot be older."""
        return self.max_skew + self.fence_timeout

    @property
    def tolerance(self) -> float:
        """Two sightings of one event are at most so far apart: the skew, and what the clocks cannot tell."""
        return self.max_skew + self.fence_timeout

    @property
    def tail(self) -> float:
        """So far back the giver tells what it saw: a look-alike from before it can steal no match that matters."""
        return self.ring + 3 * self.max_skew + 2 * self.fence_timeout

    @property
    def history(self) -> float:
        """For so long fingerprints are remembered: the counterparts of all that is in a tail."""
        return self.tail + self.max_skew + self.fence_timeout

    @property
    def fence_spread(self) -> float:
        """How far apart fences may be: the last one's tail has all of the ring before the first, and its skew."""
        return self.tail - self.ring - self.tolerance + self.fence_timeout / 2

    @property
    def comparison_reach(self) -> float:
        """How long after a comparison the fence may be, so that the next one, at the fence, leaves nothing out between.

        The first says something up to its skew ago, and the next of what came in its tail, less what its edge cuts off,
        and what the clocks cannot tell.
        """
        return self.tail - 2 * self.max_skew - 2 * self.fence_timeout

    @property
    def lease(self) -> float:
        """For so long a taker may deliver after it has asked."""
        return 2 * self.fence_timeout
