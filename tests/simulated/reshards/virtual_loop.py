"""An event loop on a virtual clock, and processes in it that can be killed in the middle of anything.

Time jumps to the next timer whenever nothing is ready, so a run depends on its seed alone. What runs for a process
carries it in its context; once it is dead nothing of it ever runs again, not even what was scheduled before.
"""

import asyncio
import heapq
import selectors
from asyncio import events
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any


class StandstillError(Exception):
    """Nothing is ready and no timer is set: everybody waits for somebody."""


class Process:
    """What runs in it dies with it, and so do its children."""

    def __init__(self, name: str, parent: "Process | None" = None) -> None:
        self.name = name
        self.dead = False
        self.halted = False
        self.kept_waiting: list[events.Handle] = []
        self.children: list[Process] = []
        self.context = Context()
        self.context.run(_process.set, self)
        if parent is not None:
            parent.children.append(self)

    def run(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call something as this process does."""
        return self.context.copy().run(call, *arguments)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work, context=self.context.copy())

    def soon(self, delay: float, call: Callable[..., Any], *arguments: Any) -> None:
        """Have the process called later, if it still lives then."""
        loop = asyncio.get_running_loop()
        loop.call_at(loop.time() + delay, call, *arguments, context=self.context)

    def halt(self) -> None:
        """Let nothing run in it, as if it were stopped by a signal or by its machine."""
        self.halted = True

    def go_on(self) -> None:
        """All that should have run meanwhile runs now."""
        self.halted = False
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        waiting, self.kept_waiting = self.kept_waiting, []
        if not self.dead:
            loop._ready.extend(waiting)

    def kill(self) -> None:
        for one in (self, *self.children):
            if not one.dead and one is not self:
                one.kill()
        self.dead = True
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.forget_the_dead()


_process: ContextVar[Process | None] = ContextVar("process", default=None)

NOBODY = Context()
"""For what is in nobody's hands, such as a message on its way."""


def this_process() -> Process:
    process = _process.get()
    assert process is not None, "called from outside of every process"
    return process


class _Nothing(selectors.BaseSelector):
    """There are no files here."""

    def register(self, fileobj, events, data=None):
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj):
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def select(self, timeout=None):
        return []

    def get_map(self):
        return {}


class _Handle(events.Handle):
    """What is called, and for whom; `_when` only of a timer. Made at once, without asyncio's chain of constructors."""

    __slots__ = ("_process", "_when")

    def __init__(self, callback, args, loop, context: Context | None, when: float = 0.0) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._process = self._context.get(_process)
        self._when = when
        self._repr = self._source_traceback = None
        self._cancelled = self._process is not None and self._process.dead

    def when(self) -> float:
        return self._when

    def _run(self) -> None:
        if self._process is not None and self._process.halted:
            self._process.kept_waiting.append(self)
        else:
            super()._run()


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual_now = 1000.0
        self._timers = 0
        super().__init__(_Nothing())
        self.set_exception_handler(self._failed)
        self.failures: list[str] = []
        self.graveyard: set[asyncio.Task[Any]] = set()

    def time(self) -> float:
        return self._virtual_now

    def call_soon(self, callback, *args, context=None):
        handle = _Handle(callback, args, self, context)
        if not handle._cancelled:
            self._ready.append(handle)
        return handle

    def call_at(self, when, callback, *args, context=None):
        handle = _Handle(callback, args, self, context, when)
        if not handle._cancelled:
            self._timers += 1
            heapq.heappush(self._scheduled, (when, self._timers, handle))
        return handle

    def _run_once(self) -> None:
        """As asyncio's, without anything to select: what is ready, and else the next timer.

        Timers are tuples, which are compared without a call; there are thousands in a run.
        """
        ready, timers = self._ready, self._scheduled
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not ready and not self._stopping:
            if not timers:
                raise StandstillError
            self._virtual_now = max(self._virtual_now, timers[0][0])
        while timers and timers[0][0] <= self._virtual_now:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def forget_the_dead(self) -> None:
        """Nothing that was scheduled for a dead process is done. Its tasks are kept, as ending them would run them."""
        for handle in (*self._ready, *(timer[2] for timer in self._scheduled)):
            if handle._process is not None and handle._process.dead and not handle._cancelled:
                handle.cancel()
        self.graveyard |= asyncio.all_tasks(self)

    def _failed(self, loop, context) -> None:
        error = context.get("exception")
        self.failures.append(f"{context['message']}: {error!r}")
