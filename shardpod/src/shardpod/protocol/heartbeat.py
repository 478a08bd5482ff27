"""When to beat, and when silence means that the connection is a zombie (Discord docs, Gateway: heartbeats)."""

from collections import deque


class Heartbeat:
    """The beats of one connection.

    Any received payload counts as life, not the ACK alone: under load an ACK queues behind dispatches, so that
    waiting for it would close healthy connections (fact sheet, section 3). `answered_from`: when the beat was sent that
    was answered last.
    """

    def __init__(self, *, interval: float, first_after: float, now: float) -> None:
        self.interval = interval
        self.next_at = now + first_after
        self.heard = True
        self._beaten = False
        self._unacknowledged_since: float | None = None
        # Beats are answered in order. When those without an answer were sent; and, by their numbers from 1, the last
        # that was sent, that asked, and that was regular.
        self._unanswered: deque[float] = deque()
        self._sent = self._asked_by = self._last_regular = 0
        self.answered_from = now

    def is_zombie(self) -> bool:
        """Whether a beat was sent and nothing at all was received since."""
        return self._beaten and not self.heard

    def ask(self) -> None:
        """The next beat is a question, unless one waits for its answer already."""
        if self.is_answered:
            self._asked_by = self._sent + 1

    @property
    def is_answered(self) -> bool:
        """Whether what was asked has its ACK, so that all that Discord had sent before the question has been read."""
        return self._sent - len(self._unanswered) >= self._asked_by

    def sent(self, now: float) -> None:
        """A beat was sent, in turn or not; each has an ACK of its own."""
        self._sent += 1
        self._unanswered.append(now)

    def beat(self, now: float) -> None:
        """A regular beat is due, and sent."""
        # An ACK that has not come for a whole interval never will, and must not keep later questions from theirs.
        while self._unanswered and self._sent - len(self._unanswered) < self._last_regular:
            self._unanswered.popleft()
        self._last_regular = self._sent + 1
        self.next_at = now + self.interval
        self.heard = False
        self._beaten = True
        self._unacknowledged_since = now

    def acknowledged(self, now: float) -> float | None:
        """The latency in seconds, None for an ACK that no regular beat asked for."""
        if self._unanswered:
            self.answered_from = self._unanswered.popleft()
        beat_at, self._unacknowledged_since = self._unacknowledged_since, None
        return None if beat_at is None else now - beat_at
