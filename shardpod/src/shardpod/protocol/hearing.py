"""Up to when it is certain that all that Discord had sent is here: by what comes, and by the answers to questions.

A connection that stalls and recovers is never broken: what waited on its way is read as if it were new. Only an answer
tells, as all that was sent before the question comes before it; and it tells of no more.
"""

from math import inf


class Hearing:
    """`heard_at`: when it was last certain. `silent_since`: the same, while it is in doubt; None while it is not.

    What comes in doubt was due at any time after that. An answer that took longer than `prompt` seconds leaves in doubt
    what was sent since its question.
    """

    __slots__ = ("heard_at", "prompt", "silent_since")

    def __init__(self) -> None:
        self.heard_at = 0.0
        self.silent_since: float | None = None
        self.prompt = inf

    def doubt(self) -> None:
        """From now on something may be missing here that was sent since it was last certain."""
        self.silent_since = self.heard_at if self.silent_since is None else self.silent_since

    def answered(self, asked_at: float, now: float) -> None:
        """Discord has answered what it was asked then."""
        prompt = now - asked_at <= self.prompt
        self.silent_since, self.heard_at = (None, now) if prompt else (asked_at, asked_at)
