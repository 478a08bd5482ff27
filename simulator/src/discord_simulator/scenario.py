"""One run: a `Discord`, the load on it, and what the control API or a test does to it. No sockets, no clock."""

from dataclasses import dataclass

from discord_simulator.discord import Discord
from discord_simulator.fault_requests import FaultRequest
from discord_simulator.faults import Fault, UnknownTargetError, disturb, find_sessions
from discord_simulator.generator import EventGenerator
from discord_simulator.guild_life import GuildLife, LoadLife
from discord_simulator.injector import Injector
from discord_simulator.ledger import Incident
from discord_simulator.load import Load
from discord_simulator.session import Session, SessionState
from discord_simulator.settings import LoadSettings
from discord_simulator.timeline import Timeline
from discord_simulator.wrong_input import WrongInputError

_MAX_EVENTS_PER_TICK = 250  # a machine that falls behind catches up in steps, and answers heartbeats in between


class LoadRunningError(Exception):
    """There is one load at a time."""


@dataclass(slots=True)
class _Playing:
    timeline: Timeline
    started: float
    done_until: float = -1.0  # before an entry at 0

    def due(self, now: float) -> list[FaultRequest]:
        elapsed = now - self.started
        due = self.timeline.between(self.done_until, elapsed)
        self.done_until = elapsed
        return due

    @property
    def over(self) -> bool:
        return self.done_until >= self.timeline.end


class Scenario:
    """Drives `discord`. Every method takes `now`, in seconds since the start."""

    def __init__(self, discord: Discord) -> None:
        self.discord = discord
        self.load: Load | None = None
        self._generator: EventGenerator | None = None
        self._loads = 0
        self._automatic = discord.settings.load
        self.life = GuildLife(discord)
        self._load_life: LoadLife | None = None
        self._injector = Injector(discord, self.life)
        self._playing: list[_Playing] = []
        self._automatic_timeline = discord.settings.timeline

    def tick(self, now: float) -> None:
        self.discord.tick(now)
        if self._automatic is not None and self.discord.ready_sessions() >= self.discord.settings.start_load_after:
            settings, self._automatic = self._automatic, None
            if self.load is None:
                self.start_load(settings, now)
        if (
            self._automatic_timeline is not None
            and self.discord.ready_sessions() >= self.discord.settings.start_timeline_after
        ):
            self.play(self._automatic_timeline, now)
            self._automatic_timeline = None
        self._inject_due(now)
        self.life.tick(now)
        self._publish_due(now)

    def start_load(self, settings: LoadSettings, now: float) -> None:
        """Begin a load; raises `LoadRunningError`, or `MixError`."""
        if self.load is not None and not self.load.done:
            raise LoadRunningError("a load is running; stop it first")
        seed = f"load/{self.discord.settings.seed}/{self._loads}"
        self._generator = EventGenerator(
            self.discord.guilds.available_ids,
            seed,
            settings.mix,
            look_alikes=settings.look_alikes,
            stories=settings.stories,
        )
        self._load_life = LoadLife(self.life, self.discord, settings.life) if settings.life else None
        self.load = Load(settings, now)
        self._loads += 1

    def stop_load(self) -> None:
        if self.load is not None:
            self.load.stopped = True
            self._finish_life()

    def _inject_due(self, now: float) -> None:
        for playing in self._playing:
            for request in playing.due(now):
                try:
                    self._injector.inject(request, now)
                except (UnknownTargetError, WrongInputError) as error:
                    # The target may have gone by now: the run goes on, and the ledger tells.
                    self.discord.note(Incident("timeline", 0, str(error), now))
        self._playing = [playing for playing in self._playing if not playing.over]

    def _publish_due(self, now: float) -> None:
        if self.load is None or self._generator is None:
            return
        for _ in range(min(self.load.due(now), _MAX_EVENTS_PER_TICK)):
            if self._load_life is not None:
                self._load_life.advance(self.load.published / self.load.settings.rate, now)
            self.discord.publish(self._generator.next())
            self.load.published += 1
        if self.load.done:
            self._finish_life()

    def _finish_life(self) -> None:
        if self._load_life is not None:
            self._load_life.finish()
            self._load_life = None

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

    def inject(self, request: FaultRequest, now: float) -> dict[str, object]:
        """Do a fault; raises `UnknownTargetError`, or `WrongInputError`."""
        return self._injector.inject(request, now)

    def play(self, timeline: Timeline, now: float) -> None:
        """Let the faults of `timeline` happen, counted from now; several may run at a time."""
        self._playing.append(_Playing(timeline, now))

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
