"""What a bot does to its events."""

from .bot import Answer, Taken, always, garbage, silent, slow
from .scenario import Scenario
from .world import Run


async def _down_for_a_minute(run: Run) -> None:
    await run.bot.stop()
    await run.load(60)
    await run.bot.start()


async def _slow(run: Run) -> None:
    run.bot.manner = slow(1.0)
    await run.load(5)
    run.bot.manner = None


async def _silent(run: Run) -> None:
    run.bot.manner = silent
    await run.load(5)
    run.bot.manner = None


async def _answers_500(run: Run) -> None:
    run.bot.manner = always(500)
    await run.load(4)
    run.bot.manner = None


async def _answers_429(run: Run) -> None:
    run.bot.manner = always(429, retry_after=1)
    await run.load(4)
    run.bot.manner = None


async def _answers_garbage(run: Run) -> None:
    run.bot.manner = garbage(seed=1)
    await run.load(4)
    run.bot.manner = None


async def _one_poisonous_event(run: Run) -> None:
    """The first event with a guild that comes; its guild's others have to go on without it."""
    poison: list[Taken] = []

    def refuse_one(taken: list[Taken]) -> Answer:
        if not poison and taken[0].guild_id is not None:
            poison.extend(taken)
        return Answer(status=500 if poison and taken[0].key == poison[0].key else 204)

    async def is_given_up() -> bool:
        status = await run.machine.status()
        return status is not None and status.dead_letters == 1

    run.bot.manner = refuse_one
    await run.until(is_given_up, "the event among the dead letters")
    guild = poison[0].guild_id
    taken = len(run.bot.deliveries)
    await run.until(lambda: guild in {each for _, _, each in run.bot.deliveries[taken:]}, "the guild to go on")
    assert poison[0].key in await run.machine.run("dead-letters", "list")
    assert poison[0].number not in run.bot.numbers

    run.bot.manner = None
    await run.machine.run("dead-letters", "replay", "--all")
    run.replayed.add(poison[0].number)


BOT_FAULTS = (
    Scenario(
        "bot down for 60 s",
        "Nobody listens at the bot's address for a minute, three times as long as Discord could replay. Everything "
        "waits in the pods, on disk too, and arrives in order when the bot is back.",
        _down_for_a_minute,
    ),
    Scenario(
        "bot slow",
        "Each answer takes a second, so that the bot takes a fraction of what comes.",
        _slow,
    ),
    Scenario(
        "bot takes requests and never answers",
        "Requests time out after 2 s (`delivery.timeout`) and are repeated.",
        _silent,
    ),
    Scenario("bot answers 500", "Every request, for 4 s.", _answers_500),
    Scenario("bot answers 429", "Every request, for 4 s, with `Retry-After: 1`.", _answers_429),
    Scenario("bot answers garbage", "Random bytes that are no HTTP, for 4 s.", _answers_garbage),
    Scenario(
        "one event always 500",
        "One event is refused whenever it comes, the others are taken. After `delivery.maxAttempts` it is a dead "
        "letter, and its guild goes on; `discord-gateway dead-letters replay` delivers it once the bot is mended. "
        "(That it comes after its guild's later events then is not counted as a violation of order.)",
        _one_poisonous_event,
    ),
)
