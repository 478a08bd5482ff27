"""When to beat, and when silence means that the connection is a zombie (Discord docs, Gateway: heartbeats)."""


class Heartbeat:
    """The beats of one connection.

    Any received payload counts as life, not the ACK alone: under load an ACK queues behind dispatches, so that
    waiting for it would close healthy connections (fact sheet, section 3).
    """

    def __init__(self, *, interval: float, first_after: float, now: float) -> None:
        self.interval = interval
        self.next_at = now + first_after
        self.heard = True
        self._beaten = False
        self._unacknowledged_since: float | None = None
        self._unanswered = 0

    def is_zombie(self) -> bool:
        """Whether a beat was sent and nothing at all was received since."""
        return self._beaten and not self.heard

    @property
    def all_answered(self) -> bool:
        """Whether each beat has its ACK, so that all that was sent before the last of them has been read."""
        return self._unanswered == 0

    def sent(self) -> None:
        """A beat was sent, in turn or not; each has an ACK of its own."""
        self._unanswered += 1

    def beat(self, now: float) -> None:
        """A regular beat is due, and sent."""
        self.next_at = now + self.interval
        self.heard = False
        self._beaten = True
        self._unacknowledged_since = now

    def acknowledged(self, now: float) -> float | None:
        """The latency in seconds, None for an ACK that no regular beat asked for."""
        self._unanswered = max(0, self._unanswered - 1)
        beat_at, self._unacknowledged_since = self._unacknowledged_since, None
        return None if beat_at is None else now - beat_at
