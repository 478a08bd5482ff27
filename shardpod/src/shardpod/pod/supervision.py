"""Keeps a pod's background tasks alive: a fault that nobody foresaw is told and the task started again, never silence.

Deliveries do not depend on these tasks, so that none of them may end the pod.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

RESTART_PAUSE = 5.0
"""Seconds before a task that failed is started again: a fault that stays fills the log slowly."""

logger = structlog.get_logger("pod")


async def keep_running(task: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run until it returns or is cancelled; after an exception log it with its traceback and run again."""
    while True:
        try:
            await run()
        except Exception:
            logger.exception("a task of the pod failed and will be started again", task=task, pause=RESTART_PAUSE)
            await asyncio.sleep(RESTART_PAUSE)
        else:
            return
