"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class GaveUpWaitingError(AssertionError):
    """Its message says for what, how long, and what the condition last gave."""


def wait_until(condition: Callable[[], T], what: str, within_s: float, every_s: float = 0.2) -> T:
    """The first true value of `condition`; raises GaveUpWaitingError after `within_s` seconds of false ones."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise GaveUpWaitingError(f"gave up waiting {within_s:.0f} s for {what}; last seen: {value!r}")
        time.sleep(every_s)
    return value
