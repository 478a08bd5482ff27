"""The bot: what it got, from which epoch, when; and how well it is."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from shardpod.delivery import Batch, Done, SinkError
from shardpod.protocol import Event

from .virtual_loop import NOBODY, Process, this_process

OF_SESSIONS = ("READY", "RESUMED", "GUILD_CREATE")


@dataclass(slots=True)
class Taken:
    """One event that the bot has taken. `sent_at`: when the pod began to send it; `content`: its fingerprint."""

    number: int
    epoch: int
    key: str
    sent_at: float
    taken_at: float
    content: str
    process: str


class Bot:
    """`delay` in seconds from sending to taking. `down` until then: requests are refused."""

    def __init__(self, random: Random, number_of: Callable[[str, int], int]) -> None:
        self.taken: list[Taken] = []
        self.delay = 0.01
        self.down = False
        self.forgetful = 0.0
        self._random = random
        self._number_of = number_of

    def take(self, event: Event, epoch: int, sent_at: float, process: str) -> None:
        if event.type not in OF_SESSIONS:
            number = self._number_of(event.session_id, event.seq)
            now = asyncio.get_running_loop().time()
            self.taken.append(Taken(number, epoch, event.key, sent_at, now, event.content, process))

    def travel(self) -> float:
        return self.delay * self._random.uniform(0.5, 1.5)

    def forgets(self) -> bool:
        """Whether the bot dies after it has taken something, before it can say so."""
        return self._random.random() < self.forgetful


class Sink:
    """A worker's line to the bot."""

    def __init__(self, bot: Bot, epoch: int) -> None:
        self._bot = bot
        self._epoch = epoch
        self._process: Process = this_process()
        self._under_way: dict[int, tuple[Batch, Done]] = {}

    def submit(self, batch: Batch, done: Done) -> None:
        loop = asyncio.get_running_loop()
        self._under_way[id(batch)] = (batch, done)
        events = list(batch.events)
        loop.call_later(self._bot.travel(), self._arrive, id(batch), events, loop.time(), context=NOBODY)

    async def close(self) -> None:
        under_way, self._under_way = self._under_way, {}
        for batch, done in under_way.values():
            done(batch, SinkError("closed", unreachable=True))

    def _arrive(self, request: int, events: list[Event], sent_at: float) -> None:
        """At the bot, whatever has become of the worker meanwhile."""
        bot, error = self._bot, None
        if bot.down:
            error = SinkError("connection refused", unreachable=True)
        else:
            for event in events:
                bot.take(event, self._epoch, sent_at, self._process.name)
            if bot.forgets():
                error = SinkError("the connection broke", unreachable=True)
        self._process.soon(bot.travel() / 4, self._answered, request, error)

    def _answered(self, request: int, error: SinkError | None) -> None:
        under_way = self._under_way.pop(request, None)
        if under_way is not None:
            batch, done = under_way
            done(batch, error)
