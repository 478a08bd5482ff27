"""How many identifies Discord still allows, kept between its answers.

Discord's answer is a past: permits granted since it was asked for are not in it, it may come late or from a proxy's
cache, and other programs may use the same token. So within a window of the budget the count only ever falls, to
the least of what any answer and our own permits leave. An error thus costs identifies we might have had, never
ones we did not have, and ends with the window.
"""

import math
from dataclasses import dataclass

from .world import GatewayInfo

PERMIT_LIFETIME = 1.0
"""Seconds in which a permit may be used (architecture: permit)."""

REPORT_GRACE = 30.0
"""Seconds after its expiry until a permit without a report counts as unused: the pod may have to dial again first."""

IN_FLIGHT = 1.0
"""Seconds an Identify takes, from the report of its sending until Discord has counted it."""

ANSWER_AGE = 15.0
"""Seconds an answer may be old when it arrives (discord_api's time-out, or a proxy's short cache), and its `reset_at`
late. Of one kept for longer, the reserve bears what was used meanwhile, if a window ended in that time."""

RESET_MARGIN = 1.0
"""Seconds past `reset_at` before the refilled budget is used: the operator's clock is not Discord's."""

NEW_WINDOW = 3600.0
"""Seconds that `reset_at` moves at least from one window to the next (Discord's have 24 h). It moves a little with
every answer, and steadily while no window has begun."""


@dataclass(slots=True)
class _Charge:
    granted_at: float
    sent_at: float | None = None

    def uncounted_since(self, time: float) -> bool:
        """Whether Discord may not have counted it yet at `time`."""
        return self.sent_at is None or self.sent_at >= time - IN_FLIGHT

    def unused(self, now: float) -> bool:
        return self.sent_at is None and now >= self.granted_at + PERMIT_LIFETIME + REPORT_GRACE


class IdentifyBudget:
    """The budget of one token. Until the first answer is merged it is not `known` and nothing remains."""

    def __init__(self) -> None:
        self.total = 0
        self._window_end = -math.inf
        self._refilled = False
        self._remaining = 0
        self._read_at = -math.inf
        self._charges: dict[int, _Charge] = {}

    @property
    def known(self) -> bool:
        return self._read_at > -math.inf

    @property
    def reset_at(self) -> float:
        """When the budget is refilled; infinite once that is past and Discord has not told when the next window ends.

        A window may begin with its first identify, so the end of one does not give the end of the next.
        """
        return math.inf if self._refilled else self._window_end

    def merge(self, info: GatewayInfo) -> bool:
        """Take in an answer; False if it is not newer than the last one."""
        if info.read_at <= self._read_at:
            return False
        first = not self.known
        self._refill(info.read_at)
        new_window = first or info.reset_at > self._window_end + NEW_WINDOW
        if new_window and self._refilled:  # by the total of the window before: what it has grown by is there as well
            self._remaining += max(0, info.total - self.total)
        self._read_at, self.total = info.read_at, info.total
        old_window = not new_window and (self._refilled or info.reset_at < self._window_end - NEW_WINDOW)
        if new_window and not self._refilled:
            self._remaining = info.remaining - self._uncounted_since(info.read_at - ANSWER_AGE)
        else:
            # The own count is complete from the window's beginning or an earlier answer on: only less is believed.
            self._remaining = min(self._remaining, info.remaining - self._uncounted_since(info.read_at))
        if not old_window:  # believing the end of the window before would refill the budget twice
            self._window_end, self._refilled = info.reset_at, False
        self._forget_counted(info.read_at - ANSWER_AGE)
        return True

    def granted(self, permit: int, now: float) -> None:
        """Count a permit as spent, from its granting on."""
        self._charges[permit] = _Charge(granted_at=now)
        self._remaining -= 1

    def sent(self, permit: int, now: float) -> bool:
        """Note that an Identify went out. False: by a permit not known here, another leader's or one given up."""
        charge = self._charges.get(permit)
        if charge is None:
            self._charges[permit] = _Charge(granted_at=now, sent_at=now)
            self._remaining -= 1
        elif charge.sent_at is None:
            charge.sent_at = now
        return charge is not None

    def remaining(self, now: float) -> int:
        """What is left at `now`; 0 before the first answer."""
        self._refill(now)
        self._give_back_unused(now)
        return max(0, self._remaining)

    def _refill(self, now: float) -> None:
        if self.known and not self._refilled and now >= self._window_end + RESET_MARGIN:
            self._remaining = self.total - self._uncounted_since(self._window_end - ANSWER_AGE)
            self._refilled = True

    def _forget_counted(self, time: float) -> None:
        self._charges = {permit: charge for permit, charge in self._charges.items() if charge.uncounted_since(time)}

    def _give_back_unused(self, now: float) -> None:
        unused = [permit for permit, charge in self._charges.items() if charge.unused(now)]
        for permit in unused:
            del self._charges[permit]
        self._remaining += len(unused)

    def _uncounted_since(self, time: float) -> int:
        return sum(charge.uncounted_since(time) for charge in self._charges.values())
