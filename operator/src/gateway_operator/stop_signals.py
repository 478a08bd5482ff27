"""Turns the signals that end a program into two wishes: to stop in order, and then to stop at once."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """`asked` is set by the first signal, `hurried` by the second."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Listen to the signals inside the block. One that the parent set to be ignored stays so (nohup)."""
        loop = asyncio.get_running_loop()
        heeded = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
        for number in heeded:
            loop.add_signal_handler(number, self._note)
        try:
            yield
        finally:
            for number in heeded:
                loop.remove_signal_handler(number)

    def _note(self) -> None:
        (self.hurried if self.asked.is_set() else self.asked).set()
