import asyncio
import random

import pytest

from gateway_operator.core.world import GatewayInfo
from gateway_operator.discord_api import DiscordUnavailableError, RateLimitedError, TokenRefusedError
from gateway_operator.gateway_bot_watch import (
    AFTER_REFUSAL,
    AT_MOST_EVERY,
    FIRST_RETRY,
    LONGEST_RETRY,
    REFRESH,
    GatewayBotWatch,
)


class Discord:
    """Answers with what is scripted, the last for ever, and notes when it was asked."""

    def __init__(self, *answers: Exception | float) -> None:
        self._answers = list(answers)
        self.asked_at: list[float] = []

    async def gateway_bot(self) -> GatewayInfo:
        now = asyncio.get_running_loop().time()
        self.asked_at.append(now)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return GatewayInfo("wss://gateway.example", 1, 1000, 1000, now + answer, 1, now)


class NoJitter(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return a


A_DAY = 86_400.0
"""A budget that is refilled later than anything here happens."""


@pytest.fixture
def watching():
    """Run a watch for some (virtual) seconds; the watch, and how often `changed` was called."""

    async def run(discord: Discord, seconds: float) -> tuple[GatewayBotWatch, int]:
        calls = []
        clock = asyncio.get_running_loop().time
        watch = GatewayBotWatch(discord, changed=lambda: calls.append(clock()), clock=clock, jitter=NoJitter())
        first = await watch.read()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await watch.keep_reading(first)
        return watch, len(calls)

    return run


pytestmark = pytest.mark.looptime(start=1000)


async def test_while_all_is_well_it_asks_seldom(watching):
    discord = Discord(A_DAY)

    watch, changes = await watching(discord, 3 * REFRESH + 1)

    assert [at - 1000 for at in discord.asked_at] == [0, REFRESH, 2 * REFRESH, 3 * REFRESH]
    assert changes == 4
    assert watch.problem is None
    assert watch.info.read_at == discord.asked_at[-1]


async def test_it_asks_when_the_budget_resets(watching):
    discord = Discord(400.0, A_DAY)

    await watching(discord, 401)

    assert [at - 1000 for at in discord.asked_at] == [0, 400]


async def test_a_budget_that_resets_at_once_does_not_make_it_ask_often(watching):
    discord = Discord(1.0)

    await watching(discord, AT_MOST_EVERY + 1)

    assert [at - 1000 for at in discord.asked_at] == [0, AT_MOST_EVERY]


async def test_while_discord_is_away_it_asks_less_and_less_often_and_keeps_the_last_answer(watching):
    discord = Discord(A_DAY, DiscordUnavailableError("no answer"))

    watch, _changes = await watching(discord, REFRESH + 600)

    waits = [later - earlier for earlier, later in zip(discord.asked_at[1:], discord.asked_at[2:], strict=False)]
    assert waits[:4] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY, 8 * FIRST_RETRY]
    assert waits[-1] == LONGEST_RETRY
    assert watch.problem == "no answer"
    assert watch.info is not None


async def test_when_discord_is_back_the_problem_is_over_and_the_next_one_starts_from_the_first_wait(watching):
    away = DiscordUnavailableError("no answer")
    discord = Discord(away, away, A_DAY, away, A_DAY)

    watch, _changes = await watching(discord, REFRESH + 100)

    assert [at - 1000 for at in discord.asked_at] == [0, 2, 6, 606, 608]
    assert watch.problem is None


async def test_a_rate_limit_is_waited_out(watching):
    discord = Discord(RateLimitedError(45.0), A_DAY)

    watch, _changes = await watching(discord, 46)

    assert [at - 1000 for at in discord.asked_at] == [0, 45]
    assert watch.problem is None


async def test_a_token_refused_at_the_start_is_for_the_caller_to_handle(watching):
    with pytest.raises(TokenRefusedError, match="refused"):
        await watching(Discord(TokenRefusedError("refused")), 1)


async def test_a_token_refused_later_is_a_problem_and_is_hardly_tried_again(watching):
    discord = Discord(A_DAY, TokenRefusedError("refused"))

    watch, changes = await watching(discord, REFRESH + AFTER_REFUSAL - 1)

    assert len(discord.asked_at) == 2
    assert changes == 2
    assert watch.problem == "refused"
