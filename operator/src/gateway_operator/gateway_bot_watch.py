"""Keeps the answer of GET /gateway/bot fresh enough to plan with, and asks seldom enough never to be a nuisance.

"Don't cache long; values change as guilds change" (Discord docs, Gateway: Get Gateway Bot), but an operator that
hammers a Discord that is down, or one that refuses its token, gets its address banned for 10,000 refusals
(Discord docs, Rate limits: Invalid Request Limit).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from gateway_operator.core.world import GatewayInfo
from gateway_operator.discord_api import DiscordUnavailableError, RateLimitedError, TokenRefusedError

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

REFRESH = 600.0
"""Seconds between two reads while all is well."""

AT_MOST_EVERY = 180.0
"""Seconds between two reads at least, also when the identify budget resets sooner."""

AFTER_REFUSAL = 600.0
"""Seconds until a refused token is tried again: someone has to act first."""

FIRST_RETRY, LONGEST_RETRY = 2.0, 120.0
"""Seconds between the attempts while Discord cannot be reached, doubling."""


class GatewayBot(Protocol):
    """In production `discord_api.DiscordApi`. Raises TokenRefused, RateLimited or DiscordUnavailable."""

    async def gateway_bot(self) -> GatewayInfo: ...


class GatewayBotWatch:
    """Holds the last `info`, and the `problem` of the last attempt if it failed; `changed` is called after each."""

    def __init__(
        self,
        discord: GatewayBot,
        *,
        changed: Callable[[], None],
        clock: Callable[[], float],
        jitter: random.Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.info: GatewayInfo | None = None
        self.problem: str | None = None
        self._discord = discord
        self._changed = changed
        self._clock = clock
        self._jitter = jitter
        self._sleep = sleep
        self._retry = FIRST_RETRY

    async def read(self) -> float:
        """Read once; the seconds until the next read. Only a refused token raises: nothing here can mend that."""
        try:
            info = await self._discord.gateway_bot()
        except RateLimitedError as limited:
            delay = self._failed(str(limited), max(limited.retry_after, FIRST_RETRY))
        except DiscordUnavailableError as unavailable:
            delay = self._failed(str(unavailable), self._retry)
            self._retry = min(LONGEST_RETRY, 2 * self._retry)
        else:
            self.info, self.problem, self._retry = info, None, FIRST_RETRY
            delay = max(AT_MOST_EVERY, min(REFRESH, info.reset_at - self._clock()))
        self._changed()
        return delay * self._jitter.uniform(1.0, 1.2)

    async def keep_reading(self, delay: float) -> None:
        """Read again after `delay` seconds, and so on for ever. A token refused by now becomes the problem."""
        while True:
            await self._sleep(delay)
            try:
                delay = await self.read()
            except TokenRefusedError as refused:
                delay = self._failed(str(refused), AFTER_REFUSAL)
                self._changed()

    def _failed(self, problem: str, delay: float) -> float:
        self.problem = problem
        # The problem is in the status, which is told when it changes; this is for whoever looks closer.
        logger.debug("cannot read GET /gateway/bot", problem=problem, again_in=round(delay, 1))
        return delay
