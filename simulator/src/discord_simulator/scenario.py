"""One run: a `Discord`, the load on it, and what the control API or a test does to it. No sockets, no clock."""

from collections.abc import Mapping

from discord_simulator.discord import Discord
from discord_simulator.faults import Fault, disturb, find_sessions
from discord_simulator.generator import EventGenerator
from discord_simulator.load import Load
from discord_simulator.session import Session, SessionState
from discord_simulator.settings import LoadSettings

_MAX_EVENTS_PER_TICK = 250  # a machine that falls behind catches up in steps, and answers heartbeats in between


class LoadRunningError(Exception):
    """There is one load at a time."""


class Scenario:
    """Drives `discord`. Every method takes `now`, in seconds since the start."""

    def __init__(self, discord: Discord) -> None:
        self.discord = discord
        self.load: Load | None = None
        self._generator: EventGenerator | None = None
        self._loads = 0
        self._automatic = discord.settings.load

    def tick(self, now: float) -> None:
        self.discord.tick(now)
        if self._automatic is not None and self.discord.ready_sessions() >= self.discord.settings.start_load_after:
            settings, self._automatic = self._automatic, None
            if self.load is None:
                self.start_load(settings, now)
        self._publish_due(now)

    def start_load(self, settings: LoadSettings, now: float) -> None:
        """Begin a load; raises `LoadRunningError`, or `MixError`."""
        if self.load is not None and not self.load.done:
            raise LoadRunningError("a load is running; stop it first")
        seed = f"load/{self.discord.settings.seed}/{self._loads}"
        self._generator = EventGenerator(self.discord.guilds.ids, seed, settings.mix)
        self.load = Load(settings, now)
        self._loads += 1

    def stop_load(self) -> None:
        if self.load is not None:
            self.load.stopped = True

    def _publish_due(self, now: float) -> None:
        if self.load is None or self._generator is None:
            return
        for _ in range(min(self.load.due(now), _MAX_EVENTS_PER_TICK)):
            self.discord.publish(self._generator.next())
            self.load.published += 1

    def kill(self, target: str, fault: Fault, *, code: int, resumable: bool, now: float) -> list[dict[str, object]]:
        """Disturb a session, or all of a shard; tell for each whether it had a connection."""
        return [
            {
                "session_id": session.id,
                "was_connected": disturb(self.discord, session, fault, code=code, resumable=resumable, now=now),
            }
            for session in find_sessions(self.discord, target)
        ]

    def delay(self, target: str, seconds: float) -> list[dict[str, object]]:
        """Hold back everything sent to a session, or all of a shard, in order; 0 ends it."""
        found = find_sessions(self.discord, target)
        for session in found:
            session.delay = seconds
        return [{"session_id": session.id, "delay": seconds} for session in found]

    def change_rules(self, changes: Mapping[str, int], now: float) -> dict[str, int]:
        """Change `shards`, `max_concurrency` or `remaining` from now on; give all three as they are."""
        if "shards" in changes:
            self.discord.recommended_shards = changes["shards"]
        if "max_concurrency" in changes:
            self.discord.buckets.max_concurrency = changes["max_concurrency"]
        if "remaining" in changes:
            self.discord.budget.set_remaining(changes["remaining"], now)
        return {
            "shards": self.discord.recommended_shards,
            "max_concurrency": self.discord.buckets.max_concurrency,
            "remaining": self.discord.budget.remaining(now),
        }

    def describe_sessions(self) -> list[dict[str, object]]:
        """All sessions that live, ready for JSON."""
        return [_describe(session) for session in self.discord.sessions]

    def describe_load(self) -> dict[str, object]:
        if self.load is None:
            return {"running": False, "done": False, "published": 0, "total": None}
        return {
            "running": not self.load.done,
            "done": self.load.done,
            "published": self.load.published,
            "total": self.load.total,
        }


def _describe(session: Session) -> dict[str, object]:
    return {
        "session_id": session.id,
        "shard": list(session.shard),
        "connected": session.state is SessionState.CONNECTED,
        "seq": session.seq,
        "intents": session.intents,
        "delay": session.delay,
    }
