"""Guilds over time: they are joined and left, come back, become unavailable and return.

Each change is an event of its own for every session of the guild (Discord docs, Gateway events: guild create and
delete), and from then on the load leaves out guilds that are not there. All choices follow from the seed.
"""

from collections import deque
from collections.abc import Sequence
from random import Random

from discord_simulator.discord import Discord
from discord_simulator.ledger import Incident
from discord_simulator.settings import FullShards, LifeRates
from discord_simulator.snowflakes import shard_of

_NEVER = float("inf")


class GuildLife:
    """Changes the guilds of `discord`. Every method gives the guilds it changed."""

    def __init__(self, discord: Discord) -> None:
        self._discord = discord
        self._guilds = discord.guilds
        self._random = Random(f"guild-life/{discord.settings.seed}")  # noqa: S311 - repeatable on purpose
        self._returning: list[tuple[float, int]] = []

    def join(self, count: int, now: float) -> list[int]:
        """Add the bot to `count` new guilds, or fewer where their shards are full and Discord blocks that."""
        joined = []
        for _ in range(count):
            guild_id = self._guilds.next_id()
            if self._blocked(guild_id):
                detail = f"guild {guild_id} could not be joined: its shard is full"
                self._discord.note(Incident("full-shard", 0, detail, now))
                continue
            self._guilds.add(guild_id)
            self._discord.publish(self._guilds.creation(guild_id, new=True))
            joined.append(guild_id)
        return joined

    def come_back(self, guild_ids: Sequence[int]) -> list[int]:
        """Join guilds again that were left: they are new, as far as GUILD_CREATE tells."""
        back = [guild_id for guild_id in guild_ids if guild_id in self._guilds.left]
        for guild_id in back:
            self._guilds.add(guild_id)
            self._discord.publish(self._guilds.creation(guild_id, new=True))
        return back

    def leave(self, guild_ids: Sequence[int]) -> list[int]:
        gone = [guild_id for guild_id in guild_ids if self._guilds.has(guild_id)]
        for guild_id in gone:
            self._guilds.remove(guild_id)
            self._discord.publish(self._guilds.deletion(guild_id, unavailable=False))
        return gone

    def fail(self, guild_ids: Sequence[int], until: float = _NEVER) -> list[int]:
        """Let guilds become unavailable; those with an end return by `tick`."""
        failed = [guild_id for guild_id in guild_ids if self._guilds.available(guild_id)]
        for guild_id in failed:
            self._guilds.set_available(guild_id, available=False)
            self._discord.publish(self._guilds.deletion(guild_id, unavailable=True))
            if until < _NEVER:
                self._returning.append((until, guild_id))
        return failed

    def restore(self, guild_ids: Sequence[int]) -> list[int]:
        restored = [guild_id for guild_id in guild_ids if guild_id in self._guilds.unavailable]
        for guild_id in restored:
            self._guilds.set_available(guild_id, available=True)
            self._discord.publish(self._guilds.creation(guild_id))
        self._returning = [entry for entry in self._returning if entry[1] not in restored]
        return restored

    def tick(self, now: float) -> None:
        due = [guild_id for until, guild_id in self._returning if until <= now]
        if due:
            self.restore(due)
            self._returning = [entry for entry in self._returning if entry[0] > now]

    def choose(self, among: Sequence[int], count: int, shard: tuple[int, int] | None = None) -> list[int]:
        """Draw guilds, of one shard if it is named."""
        fitting = [each for each in among if shard is None or shard_of(each, shard[1]) == shard[0]]
        return sorted(self._random.sample(fitting, min(count, len(fitting))))

    def _blocked(self, guild_id: int) -> bool:
        """Discord is said to block joins at 2,500 guilds for each running shard (fact sheet, section 5)."""
        settings = self._discord.settings
        if settings.full_shards is FullShards.ALLOW:
            return False
        return any(
            len(self._guilds.of_shard(shard_of(guild_id, count), count)) >= settings.max_guilds_per_shard
            for count in self._discord.shard_counts
        )


class LoadLife:
    """Guild life at the rates of a load, and on the load's own clock, so that every run mixes both the same way."""

    def __init__(self, life: GuildLife, discord: Discord, rates: LifeRates) -> None:
        self._life = life
        self._discord = discord
        self._rates = rates
        self._done = dict.fromkeys(("joins", "leaves", "comebacks", "outages"), 0)
        self._failed: deque[tuple[float, list[int]]] = deque()

    def advance(self, elapsed: float, now: float) -> None:
        """Do what is due `elapsed` seconds into the load."""
        while self._failed and self._failed[0][0] <= elapsed:
            self._life.restore(self._failed.popleft()[1])
        for name in self._done:
            while self._done[name] < int(elapsed * getattr(self._rates, name)):
                self._done[name] += 1
                self._change(name, elapsed, now)

    def finish(self) -> None:
        """Let what this load made unavailable return."""
        while self._failed:
            self._life.restore(self._failed.popleft()[1])

    def _change(self, name: str, elapsed: float, now: float) -> None:
        guilds = self._discord.guilds
        match name:
            case "joins":
                self._life.join(1, now)
            case "leaves":
                self._life.leave(self._life.choose(guilds.available_ids, 1))
            case "comebacks":
                self._life.come_back(self._life.choose(sorted(guilds.left), 1))
            case _:
                failed = self._life.fail(self._life.choose(guilds.available_ids, 1))
                self._failed.append((elapsed + self._rates.outage_seconds, failed))
