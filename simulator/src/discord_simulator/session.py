"""A session: what Discord keeps for one shard while sockets come and go.

It numbers what it dispatches, keeps the last of it for a Resume, and goes on numbering while no socket is there.
It knows neither sockets nor other sessions.
"""

from collections import deque
from enum import Enum
from typing import Protocol

from discord_simulator.events import Event
from discord_simulator.tampering import Tampering

# Replay buffer in events, by guilds of the shard (staff formula of 2016, discord-api-docs issue 24).
_REPLAY_MINIMUM, _REPLAY_MAXIMUM, _REPLAY_PER_GUILD = 100, 3500, 75


def default_replay_size(guilds: int) -> int:
    return max(_REPLAY_MINIMUM, min(_REPLAY_MAXIMUM, guilds * _REPLAY_PER_GUILD))


class SessionState(Enum):
    """CONNECTED has a socket; DISCONNECTED waits for a Resume and buffers; ENDED can never be resumed."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    ENDED = "ended"


class Line(Protocol):
    """The connection a session speaks through at the moment."""

    def send(self, payload: bytes) -> None: ...

    def close(self, code: int, reason: str) -> None: ...

    def enter(self, session: "Session") -> None:
        """Hear which session speaks through it from now on, before the session's first word."""


class ReplayOverflowError(Exception):
    """What a Resume asked for has left the buffer."""


class SequenceAheadError(Exception):
    """A Resume named a sequence number that was never sent."""


class Session:
    """One session of shard `(shard_id, shard_count)`. `delay` is in seconds and holds back all it is sent."""

    def __init__(self, session_id: str, shard_id: int, shard_count: int, intents: int, replay_size: int) -> None:
        self.id = session_id
        self.shard_id = shard_id
        self.shard_count = shard_count
        self.intents = intents
        self.seq = 0
        self.delay = 0.0
        self.tampering: Tampering | None = None
        self.state = SessionState.DISCONNECTED
        self.line: Line | None = None
        self.disconnected_at = float("-inf")
        self.gaps: list[tuple[float, float]] = []
        """When it was left without a socket, and for how many seconds, once it has one again."""
        self._replay: deque[tuple[int, Event]] = deque(maxlen=replay_size)
        self._replay_lost = False

    @property
    def shard(self) -> tuple[int, int]:
        return self.shard_id, self.shard_count

    def wants(self, intent: int) -> bool:
        """Say whether an event that needs `intent` (0: none) passes the intents of the Identify."""
        return not intent or bool(self.intents & intent)

    def dispatch(self, event: Event) -> int:
        """Number the event for this session, keep it for replay, send it if there is a socket; give its `s`."""
        self.seq += 1
        self._replay.append((self.seq, event))
        if self.line is not None:
            self.line.send(event.payload(self.seq))
        return self.seq

    def missed_since(self, seq: int) -> list[bytes]:
        """Give what was dispatched after `seq`.

        Raises `SequenceAheadError` or `ReplayOverflowError` before anything is given.
        """
        if seq > self.seq:
            raise SequenceAheadError
        if self._replay_lost:
            raise ReplayOverflowError
        first_kept = self._replay[0][0] if self._replay else self.seq + 1
        if seq + 1 < first_kept:
            raise ReplayOverflowError
        return [event.payload(number) for number, event in self._replay if number > seq]

    def tamper(self, seed: int) -> Tampering:
        """Give what is done to its events on purpose, to be changed."""
        if self.tampering is None:
            self.tampering = Tampering(f"{seed}/{self.id}")
        return self.tampering

    def overflow(self) -> None:
        """Lose the replay buffer for good: no Resume can succeed any more."""
        self._replay_lost = True

    def attach(self, line: Line, now: float) -> None:
        """Speak through `line` from `now` on."""
        if self.state is SessionState.DISCONNECTED and self.disconnected_at >= 0.0:
            self.gaps.append((self.disconnected_at, now - self.disconnected_at))
        self.line = line
        self.state = SessionState.CONNECTED
        line.enter(self)

    def detach(self, now: float) -> None:
        """Lose the socket; from `now` on the session can be resumed until its time is over, unless it has ended."""
        if self.state is SessionState.ENDED:
            return
        if self.state is SessionState.CONNECTED:
            self.disconnected_at = now
        self.line = None
        self.state = SessionState.DISCONNECTED

    def end(self) -> None:
        self.line = None
        self.state = SessionState.ENDED
        self._replay.clear()

    def expired(self, now: float, time_to_live: float) -> bool:
        return self.state is SessionState.DISCONNECTED and now - self.disconnected_at >= time_to_live
