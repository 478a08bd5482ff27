"""An event loop on a virtual clock, and processes in it that can be killed in the middle of anything.

Time jumps to the next timer whenever nothing is ready, so a run depends on its seed alone. What runs for a process
carries it in its context; once it is dead nothing of it ever runs again, not even what was scheduled before.
"""

import asyncio
import heapq
import selectors
from asyncio import events
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
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


class _Jump(selectors.BaseSelector):
    """Waits for nothing but the next timer, and not even for that."""

    def __init__(self, jump: Callable[[float | None], None]) -> None:
        self._jump = jump

    def register(self, fileobj, events, data=None):
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj):
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def select(self, timeout=None):
        if timeout != 0:
            self._jump(timeout)
        return []

    def get_map(self):
        return {}


class _Handle(events.Handle):
    def _run(self) -> None:
        process = self._context.get(_process)
        if process is not None and process.halted:
            process.kept_waiting.append(self)
        else:
            super()._run()


class _TimerHandle(_Handle, events.TimerHandle):
    pass


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual_now = 1000.0
        super().__init__(_Jump(self._jump))
        self._clock_resolution = 1e-6
        self.set_exception_handler(self._failed)
        self.failures: list[str] = []
        self.graveyard: set[asyncio.Task[Any]] = set()

    def time(self) -> float:
        return self._virtual_now

    def call_soon(self, callback, *args, context=None):
        process = _process.get() if context is None else context.get(_process)
        handle = _Handle(callback, args, self, context)
        if process is not None and process.dead:
            handle.cancel()
        else:
            self._ready.append(handle)
        return handle

    def call_at(self, when, callback, *args, context=None):
        process = _process.get() if context is None else context.get(_process)
        handle = _TimerHandle(when, callback, args, self, context)
        if process is not None and process.dead:
            handle._cancelled = True
        else:
            heapq.heappush(self._scheduled, handle)
            handle._scheduled = True
        return handle

    def forget_the_dead(self) -> None:
        """Nothing that was scheduled for a dead process is done. Its tasks are kept, as ending them would run them."""
        for handle in (*self._ready, *self._scheduled):
            process = handle._context.get(_process)
            if process is not None and process.dead and not handle._cancelled:
                handle.cancel()
        self.graveyard |= asyncio.all_tasks(self)

    def _jump(self, seconds: float | None) -> None:
        if seconds is None:
            raise StandstillError
        self._virtual_now += seconds

    def _failed(self, loop, context) -> None:
        error = context.get("exception")
        self.failures.append(f"{context['message']}: {error!r}")
