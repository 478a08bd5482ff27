"""Discord: numbered events of guilds, sent to the session of every living set, each on a line of its own delay."""

import asyncio
import json
from random import Random

from .start_limit import StartLimit
from .virtual_loop import NOBODY, Process, this_process

HEARTBEAT_MS = 41_250
ALIKE = 0.25
"""The part of the events that look like others of their guild and have no id."""
LATE = 0.3
"""The part of the events that come late by one session: by the allowed skew at most."""
SWAPPED_WITHIN = 0.08
"""Two events change places that are at most so far apart, as a part of the allowed skew: with `LATE` it is kept."""
TRAVEL = 0.01
FIRST_GUILD = 1000


class Session:
    """What was sent to one shard, by `seq`: frames, and the numbers of the events in them (0: none of ours)."""

    def __init__(self, session_id: str, shard_id: int, shard_count: int) -> None:
        self.session_id = session_id
        self.shard_id = shard_id
        self.shard_count = shard_count
        self.frames: list[bytes] = []
        self.numbers: list[int] = []
        self.arrived = 0
        self.late = 0.0
        self.line: Line | None = None
        self.ended = False


class Line:
    """One connection, FIFO. It implements `shardpod.transport.Connection` for the shard that dialled it.

    `dead`: nothing comes through any more, in either direction, and nobody is told.
    """

    def __init__(self, discord: "Discord", listener, process: Process) -> None:
        self.discord = discord
        self.listener = listener
        self.process = process
        self.session: Session | None = None
        self.open = True
        self.dead = False
        self._last = 0.0

    def send(self, payload: bytes) -> None:
        if self.dead:
            return
        asyncio.get_running_loop().call_later(TRAVEL, self.discord.received, self, json.loads(payload), context=NOBODY)

    def close(self, code: int) -> None:
        self.hang_up()

    def read(self, *, on: bool) -> None:
        assert on, "no queue of these runs is full"

    def hang_up(self) -> None:
        self.open = False
        if self.session is not None and self.session.line is self:
            self.session.line = None
        self.session = None

    def lose(self, code: int | None) -> None:
        """Discord ends it, or the network does."""
        if self.open:
            self.hang_up()
            self.process.soon(TRAVEL, self.listener.closed, code)

    def say(self, frame: bytes, delay: float = TRAVEL, seq: int = 0) -> None:
        if self.dead:
            return
        now = asyncio.get_running_loop().time()
        self._last = max(self._last + 1e-6, now + delay)
        self.process.soon(self._last - now, self._arrive, frame, seq)

    def stall(self, seconds: float) -> None:
        """What is sent from now on arrives after that, all at once."""
        self._last = max(self._last, asyncio.get_running_loop().time() + seconds)

    def _arrive(self, frame: bytes, seq: int) -> None:
        if self.open:
            if self.session is not None:
                self.session.arrived = max(self.session.arrived, seq)
            self.listener.message(frame)


class Discord:
    """Implements `Connector`. `events` are what was sent: (number, guild, kind, content, time); numbers from 1.

    `missing`: the part of the events that a set, by its shard count, does not get. `partial`: events that one of the
    sets did not get and never will. `reordered`: the set, by its shard count, whose sessions get events in another
    order.
    """

    def __init__(self, random: Random, *, guilds: int, max_skew: float, limit: StartLimit) -> None:
        self.events: list[tuple[int, int, str, str, float]] = [(0, 0, "", "", 0.0)]
        self.sessions: dict[str, Session] = {}
        self.limit = limit
        self.guilds = [(FIRST_GUILD + random.randrange(10**6)) << 22 | n for n in range(guilds)]
        self.cut_off: set[Process] = set()
        self.missing: dict[int, float] = {}
        self.partial: set[int] = set()
        self.reordered: int | None = None
        self._random = random
        self._max_skew = max_skew
        self._lines: dict[Line, None] = {}  # in the order of their making, so that a seed replays

    # shardpod.transport.Connector

    async def connect(self, url: str, listener) -> None:
        process = this_process()
        await asyncio.sleep(TRAVEL * self._random.uniform(1, 3))
        if self._is_cut_off(process):
            raise ConnectionError("no network")
        line = Line(self, listener, process)
        self._lines[line] = None
        listener.opened(line)
        line.say(b'{"op":10,"d":{"heartbeat_interval":%d},"s":null,"t":null}' % HEARTBEAT_MS)

    def _is_cut_off(self, process: Process) -> bool:
        return any(one is process or process in one.children for one in self.cut_off)

    # What a shard says.

    def received(self, line: Line, message: dict) -> None:
        if not line.open:
            return
        match message["op"]:
            case 1:
                line.say(b'{"op":11,"d":null,"s":null,"t":null}')
            case 2:
                self._identify(line, *message["d"]["shard"])
            case 6:
                self._resume(line, message["d"]["session_id"], message["d"]["seq"])

    def _identify(self, line: Line, shard_id: int, shard_count: int) -> None:
        self.limit.identified(asyncio.get_running_loop().time(), shard_id, shard_count)
        for other in self.sessions.values():
            if (other.shard_id, other.shard_count) == (shard_id, shard_count):
                self.end(other, 4000)
        session = Session(f"{len(self.sessions):032x}", shard_id, shard_count)
        self.sessions[session.session_id] = session
        line.session, session.line = session, line
        mine = [guild for guild in self.guilds if (guild >> 22) % shard_count == shard_id]
        ready = {
            "v": 10,
            "session_id": session.session_id,
            "resume_gateway_url": "wss://resume",
            "guilds": [{"id": str(guild), "unavailable": True} for guild in mine],
        }
        self._dispatch(session, "READY", json.dumps(ready))
        for guild in mine:
            self._dispatch(session, "GUILD_CREATE", f'{{"id":"{guild}"}}')

    def _resume(self, line: Line, session_id: str, seq: int) -> None:
        session = self.sessions.get(session_id)
        if session is None or session.ended:
            line.say(b'{"op":9,"d":false,"s":null,"t":null}')
            return
        if session.line is not None:
            session.line.lose(4000)
        line.session, session.line = session, line
        for number, frame in enumerate(session.frames[seq:], seq + 1):
            line.say(frame, seq=number)
        self._dispatch(session, "RESUMED", "{}")

    # What happens.

    def happen(self) -> None:
        """One event, in one guild, or now and then in none; or two, which the sessions of a set get the other way."""
        random = self._random
        guild = 0 if random.random() < 0.05 else random.choice(self.guilds)
        first, sessions = self._event(guild), self._sessions(guild)
        late = next((one for one in sessions if one.shard_count == self.reordered), None)
        self._send(first, [one for one in sessions if one is not late])
        if late is not None:
            apart = random.choice((0.0, random.uniform(0, SWAPPED_WITHIN * self._max_skew)))
            asyncio.get_running_loop().call_later(apart, self._swap, first, late, context=NOBODY)

    def _swap(self, first: int, session: Session) -> None:
        """What follows in this session comes before `first`: an event of the same guild, or of another."""
        mine = [guild for guild in self.guilds if (guild >> 22) % session.shard_count == session.shard_id]
        same = self.events[first][1]
        guild = self._random.choice((same, *mine)) if self._random.random() < 0.6 else same
        self._send(self._event(guild), self._sessions(guild))
        if session.ended:
            self.partial.add(first)
        else:
            self._send(first, [session])

    def _event(self, guild: int) -> int:
        """The number of a new one."""
        random, number = self._random, len(self.events)
        if random.random() < ALIKE:
            kind, content = "TYPING_START", str(random.randrange(2))
        elif random.random() < 0.5:
            kind, content = "MESSAGE_CREATE", f"m{number}"
        else:
            kind, content = "MESSAGE_UPDATE", f"u{number}"
        self.events.append((number, guild, kind, content, asyncio.get_running_loop().time()))
        self._note_unsent(number, guild >> 22)
        return number

    def _sessions(self, guild: int) -> list[Session]:
        """Of all sets, those that get the guild's events."""
        key = guild >> 22
        return [one for one in self.sessions.values() if not one.ended and key % one.shard_count == one.shard_id]

    def _send(self, number: int, sessions: list[Session]) -> None:
        random = self._random
        _, guild, kind, content, _ = self.events[number]
        fields = [f'"user":"{content}"', f'"id":"{content}"'] + ([f'"guild_id":"{guild}"'] if guild else [])
        for session in sessions:
            if random.random() < self.missing.get(session.shard_count, 0.0):
                self.partial.add(number)
                continue
            random.shuffle(fields)
            late = random.uniform(0, self._max_skew * 0.9) if random.random() < LATE else random.uniform(0.0, 0.02)
            self._dispatch(session, kind, f"{{{','.join(fields)}}}", number, TRAVEL + late)

    def _dispatch(self, session: Session, kind: str, content: str, number: int = 0, delay: float = TRAVEL) -> None:
        frame = f'{{"t":"{kind}","s":{len(session.frames) + 1},"op":0,"d":{content}}}'.encode()
        session.frames.append(frame)
        session.numbers.append(number)
        if session.line is not None:
            session.line.say(frame, delay + session.late, len(session.frames))

    def number_of(self, session_id: str, seq: int) -> int:
        return self.sessions[session_id].numbers[seq - 1]

    def _note_unsent(self, number: int, key: int) -> None:
        """A set that had a session for the guild, and has none now."""
        living = {one.shard_count: one.ended for one in self.sessions.values() if key % one.shard_count == one.shard_id}
        if any(living.values()):
            self.partial.add(number)

    # Faults.

    def of(self, shard_count: int) -> list[Session]:
        """The living sessions of a set."""
        return [one for one in self.sessions.values() if one.shard_count == shard_count and not one.ended]

    def reconnect(self, session: Session) -> None:
        if session.line is not None:
            session.line.say(b'{"op":7,"d":null,"s":null,"t":null}')

    def end(self, session: Session, code: int | None = None) -> None:
        """The session cannot be resumed any more, and its connection breaks."""
        if not session.ended:
            session.ended = True
            self.partial |= set(session.numbers[session.arrived :])
            if session.line is not None:
                session.line.lose(code)

    def cut(self, process: Process) -> None:
        """No network for this process and its children, until `mend`."""
        self.cut_off.add(process)
        for line in self._lines:
            if line.open and (line.process is process or line.process in process.children):
                line.lose(None)

    def mend(self, process: Process) -> None:
        self.cut_off.discard(process)
