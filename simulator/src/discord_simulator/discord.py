"""Discord itself, without sockets and clock: who may begin a session, and which session gets which event.

Everything happens inside a call and at the time the caller names (`now`, seconds since the start). What clients did
wrong is written to the ledger and told to the journal.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from discord_simulator import answers
from discord_simulator.conditions import Conditions, LiveResume
from discord_simulator.events import SHARD_0_TYPES, Event, EventDraft, EventKind, number_event
from discord_simulator.guilds import Guilds
from discord_simulator.intents import PRIVILEGED_INTENTS, required_intent
from discord_simulator.journal import Journal
from discord_simulator.ledger import FaultRecord, Incident, Ledger
from discord_simulator.message_content import may_see_content, without_content
from discord_simulator.requests import Identify, Resume
from discord_simulator.rules import (
    CloseCode,
    IdentifyBuckets,
    IdentifyBudget,
    MemberListLimit,
    Opcode,
    RuleBreachError,
)
from discord_simulator.session import (
    Line,
    ReplayOverflowError,
    SequenceAheadError,
    Session,
    SessionState,
    default_replay_size,
)
from discord_simulator.settings import SimulatorSettings
from discord_simulator.snowflakes import shard_of
from discord_simulator.tampering import Interference

_GUILD_CHANGES = frozenset({"GUILD_CREATE", "GUILD_DELETE"})
APPLICATION_ID = 1_100_000_000_000_000_001


class Discord:
    """One bot token's Discord. What happens is told to `journal`."""

    def __init__(self, settings: SimulatorSettings, journal: Journal) -> None:
        remaining = settings.identify_total if settings.identify_remaining is None else settings.identify_remaining
        self.settings = settings
        self._recommended_shards: int | None = None
        self.buckets = IdentifyBuckets(settings.max_concurrency, settings.identify_interval)
        self.budget = IdentifyBudget(settings.identify_total, remaining, started=0.0)
        self.member_lists = MemberListLimit()
        self.guilds = Guilds(settings.guilds, settings.seed, APPLICATION_ID, settings.guild_members)
        self.ledger = Ledger()
        self.conditions = Conditions(settings.live_resume, settings.granted_intents)
        self.token_dead = False
        self.rng = Random(f"discord/{settings.seed}")  # noqa: S311 - repeatable on purpose, keeps no secret
        self._journal = journal
        self._sessions: dict[str, Session] = {}
        self._by_count: dict[int, dict[int, list[Session]]] = {}
        self._guilds_to_come: dict[str, deque[int]] = {}
        self._streamed_until: dict[str, float] = {}
        self._voice: dict[int, Session] = {}

    # Sessions

    @property
    def sessions(self) -> list[Session]:
        """All sessions that have a socket or can still be resumed."""
        return list(self._sessions.values())

    @property
    def shard_counts(self) -> list[int]:
        """The `num_shards` of the shard sets that have sessions."""
        return [count for count, shards in self._by_count.items() if any(shards.values())]

    @property
    def recommended_shards(self) -> int:
        """What GET /gateway/bot says; without an order it grows with the guilds."""
        return self._recommended_shards or self.settings.shards_for(len(self.guilds.ids))

    def ready_sessions(self) -> int:
        """Count connected sessions that have all their guilds."""
        return sum(
            session.state is SessionState.CONNECTED and session.id not in self._guilds_to_come
            for session in self._sessions.values()
        )

    def token_valid(self, token: str) -> bool:
        return not self.token_dead and (self.settings.any_token or token == self.settings.token)

    def identify(self, request: Identify, line: Line, resume_url: str, now: float) -> Session | None:
        """Begin a session on `line` and send READY; None stands for Invalid Session (op 9, false).

        Raises `RuleBreachError` with 4004, 4010, 4011 or 4014.
        """
        self._check_identify(request)
        self.ledger.identifies += 1
        admitted = self.buckets.admit(request.shard_id, now)
        charged = admitted or self.settings.charge_refused_identifies
        if charged and not self.budget.spend(now):
            self._kill_token(now)
            raise RuleBreachError(CloseCode.AUTHENTICATION_FAILED, "identify-budget", "no identifies left today")
        if not admitted:
            bucket = f"{request.shard_id} % {self.buckets.max_concurrency}"
            detail = f"bucket {bucket} had an Identify less than {self.settings.identify_interval:g} s ago"
            shard = (request.shard_id, request.shard_count)
            self.note(
                Incident("identify-concurrency", Opcode.INVALID_SESSION, detail, now, shard=shard), violation=True
            )
            return None
        return self._begin(request, line, resume_url, now)

    def _check_identify(self, request: Identify) -> None:
        if not self.token_valid(request.token):
            raise RuleBreachError(CloseCode.AUTHENTICATION_FAILED, "token", "Identify with a wrong or dead token")
        if request.shard_count % self.settings.shard_multiple:
            detail = f"num_shards {request.shard_count} is no multiple of {self.settings.shard_multiple}"
            raise RuleBreachError(CloseCode.INVALID_SHARD, "shard", detail)
        refused = request.intents & PRIVILEGED_INTENTS & ~self.conditions.granted_intents
        if refused:
            detail = f"privileged intents {refused} are not granted to this bot"
            raise RuleBreachError(CloseCode.DISALLOWED_INTENTS, "disallowed-intents", detail)
        guilds = len(self.guilds.of_shard(request.shard_id, request.shard_count))
        if guilds > self.settings.max_guilds_per_shard:
            detail = f"the shard would hold {guilds} guilds; {self.settings.max_guilds_per_shard} are allowed"
            raise RuleBreachError(CloseCode.SHARDING_REQUIRED, "sharding-required", detail)

    def _begin(self, request: Identify, line: Line, resume_url: str, now: float) -> Session:
        guild_ids = self.guilds.of_shard(request.shard_id, request.shard_count)
        size = default_replay_size(len(guild_ids)) if self.settings.replay_size is None else self.settings.replay_size
        session_id = f"{self.rng.getrandbits(128):032x}"
        session = Session(session_id, request.shard_id, request.shard_count, request.intents, size)
        self._sessions[session_id] = session
        self._by_count.setdefault(session.shard_count, {}).setdefault(session.shard_id, []).append(session)
        self.ledger.add_session(session)
        session.attach(line, now)
        self.tell(session, answers.ready(session, guild_ids, APPLICATION_ID, resume_url))
        self._journal.session(session, "begun")
        if guild_ids:
            self._guilds_to_come[session_id] = deque(guild_ids)
            self._streamed_until[session_id] = now
        return session

    def resume(self, request: Resume, line: Line, now: float) -> Session | None:
        """Take a session up again on `line`, replay and send RESUMED; None stands for op 9, false.

        Raises `RuleBreachError` 4004 for the token and 4007 for a `seq` that was never sent.
        """
        if not self.token_valid(request.token):
            raise RuleBreachError(CloseCode.AUTHENTICATION_FAILED, "token", "Resume with a wrong or dead token")
        session = self._sessions.get(request.session_id)
        if session is None or session.expired(now, self.settings.replay_ttl):
            detail = "Resume of an unknown, ended or expired session"
            self.note(Incident("unknown-session", Opcode.INVALID_SESSION, detail, now, request.session_id))
            return None
        try:
            missed = session.missed_since(request.seq)
        except SequenceAheadError:
            detail = f"Resume from {request.seq}, but {session.seq} was the last sent"
            self.end(session)
            raise RuleBreachError(CloseCode.INVALID_SEQ, "sequence", detail) from None
        except ReplayOverflowError:
            detail = f"Resume from {request.seq}, which has left the replay buffer ({session.seq} sent)"
            self._note_session(session, "replay-overflow", Opcode.INVALID_SESSION, detail, now)
            self.end(session)
            return None
        return self._take_up(session, line, missed, now)

    def _take_up(self, session: Session, line: Line, missed: list[bytes], now: float) -> Session | None:
        older = session.line
        if older is not None:
            refuse = self.conditions.live_resume is LiveResume.REFUSE
            self._note_session(session, "live-resume", 0, "Resume of a session that still has a connection", now)
            if refuse:
                return None
            older.close(CloseCode.UNKNOWN_ERROR, "Session resumed elsewhere.")
        self.ledger.resumes += 1
        session.attach(line, now)
        for payload in missed:
            line.send(payload)
        self.tell(session, answers.resumed())
        self._journal.session(session, "resumed")
        return session

    def detach(self, session: Session, now: float) -> None:
        """Take a session's socket away; it can be resumed for a while, unless it has ended."""
        was_connected = session.line is not None
        session.detach(now)
        if was_connected:
            self._journal.session(session, "disconnected")

    def session(self, session_id: str) -> Session | None:
        return self._sessions.get(session_id)

    def end(self, session: Session) -> None:
        """End a session for good: it gets no events and cannot be resumed."""
        if self._sessions.pop(session.id, None) is None:
            return
        self._by_count[session.shard_count][session.shard_id].remove(session)
        self._guilds_to_come.pop(session.id, None)
        self._streamed_until.pop(session.id, None)
        if session.tampering is not None:
            for event in session.tampering.abandon():
                self.ledger.interfere(event.number, session, Interference.DROPPED)
        session.end()
        self._journal.session(session, "ended")
        for guild_id in [guild_id for guild_id, owner in self._voice.items() if owner is session]:
            # Fact sheet, open points: a voice connection dies with the gateway session that made it.
            self.voice_state(session, guild_id, {})

    def voice_state(self, session: Session, guild_id: int, request: Mapping[str, Any]) -> None:
        """Tell every session of the guild; only the one that asked, and joined a channel, gets a voice server."""
        self._voice.pop(guild_id, None)
        draft = answers.voice_state(session, guild_id, request, APPLICATION_ID)
        self.guilds.bot_in_voice(guild_id, draft.d)
        self.publish(draft)
        if request.get("channel_id") is not None:
            self._voice[guild_id] = session
            self.tell(session, answers.voice_server(guild_id, self.rng))

    def _kill_token(self, now: float) -> None:
        """Discord docs, Gateway: at the end of the budget all sessions end and the token is reset."""
        self.token_dead = True
        for session in self.sessions:
            line = session.line
            self.end(session)
            if line is not None:
                line.close(CloseCode.AUTHENTICATION_FAILED, "Authentication failed.")
        self.note(Incident("token-reset", CloseCode.AUTHENTICATION_FAILED, "the token is dead from now on", now))

    # Events

    def publish(self, draft: EventDraft) -> Event:
        """Send an event to every session whose shard and intents match, connected or waiting for its Resume."""
        if draft.type in _GUILD_CHANGES and draft.guild_id is not None:
            self._forget_coming(draft.guild_id)
        event = self._numbered(draft, self.ledger.next_number, EventKind.LOAD)
        intent = required_intent(draft.type, draft.guild_id)
        receivers = [
            session
            for session in self._matching(None if draft.type in SHARD_0_TYPES else draft.guild_id)
            if session.wants(intent)
        ]
        bare = event if all(map(self._sees_content, receivers)) else self._without_content(draft, event)
        deliveries = [
            delivery
            for session in receivers
            for delivery in self._dispatch(session, event if self._sees_content(session) else bare)
        ]
        self.ledger.record(event, deliveries)
        return event

    def _sees_content(self, session: Session) -> bool:
        return may_see_content(session.intents & self.conditions.granted_intents)

    def _without_content(self, draft: EventDraft, event: Event) -> Event:
        shown = without_content(draft, APPLICATION_ID)
        return event if shown is draft else self._numbered(shown, event.number, event.kind)

    def _numbered(self, draft: EventDraft, number: int, kind: EventKind) -> Event:
        return number_event(draft, number, kind, shown=self.settings.event_numbers)

    def tell(self, session: Session, draft: EventDraft) -> Event:
        """Send an event that belongs to one session alone."""
        event = self._numbered(draft, self.ledger.next_number, EventKind.SESSION)
        self.ledger.record(event, self._dispatch(session, event))
        return event

    def _dispatch(self, session: Session, event: Event) -> list[tuple[Session, int]]:
        """Pass an event on to a session, as its faults allow; give where it went at once."""
        tampering = session.tampering
        if tampering is None:
            return [(session, session.dispatch(event))]
        outgoing, interference = tampering.take(event)
        if interference is not None:
            self.ledger.interfere(event.number, session, interference)
        deliveries = [(session, session.dispatch(each)) for each in outgoing if each.number == event.number]
        self._dispatch_late(session, [each for each in outgoing if each.number != event.number])
        return deliveries

    def _dispatch_late(self, session: Session, held: list[Event]) -> None:
        for event in held:
            self.ledger.record_later(event.number, session, session.dispatch(event))

    def _matching(self, guild_id: int | None) -> Iterator[Session]:
        for shard_count, shards in self._by_count.items():
            yield from shards.get(shard_of(guild_id, shard_count), ())

    # Time

    def tick(self, now: float) -> None:
        """Do what is due: the initial GUILD_CREATE streams, and the end of sessions nobody resumed."""
        for session_id in list(self._guilds_to_come):
            self._stream_guilds(self._sessions[session_id], now)
        for session in self.sessions:
            if session.tampering is not None:
                self._dispatch_late(session, session.tampering.tick(now))
            if session.expired(now, self.settings.replay_ttl):
                self.end(session)

    def _stream_guilds(self, session: Session, now: float) -> None:
        pace = self.settings.guild_create_rate
        due = int((now - self._streamed_until[session.id]) * pace)
        self._streamed_until[session.id] += due / pace
        waiting = self._guilds_to_come[session.id]
        for _ in range(min(due, len(waiting))):
            draft = self.guilds.arrival(waiting.popleft())
            if session.wants(required_intent(draft.type, draft.guild_id)):
                self.tell(session, draft)
        if not waiting:
            del self._guilds_to_come[session.id], self._streamed_until[session.id]

    def _forget_coming(self, guild_id: int) -> None:
        """What a guild's change tells a session needs no initial GUILD_CREATE any more."""
        for waiting in self._guilds_to_come.values():
            if guild_id in waiting:
                waiting.remove(guild_id)

    # Rules and records

    def change_rules(self, changes: Mapping[str, int], now: float) -> dict[str, int]:
        """Change `shards`, `max_concurrency`, `remaining` or `granted_intents` from now on; give all as they are."""
        if "shards" in changes:
            self._recommended_shards = changes["shards"]
        if "max_concurrency" in changes:
            self.buckets.max_concurrency = changes["max_concurrency"]
        if "remaining" in changes:
            self.budget.set_remaining(changes["remaining"], now)
        if "granted_intents" in changes:
            self.conditions.granted_intents = changes["granted_intents"]
        return {
            "shards": self.recommended_shards,
            "max_concurrency": self.buckets.max_concurrency,
            "remaining": self.budget.remaining(now),
            "granted_intents": self.conditions.granted_intents,
        }

    def record_fault(self, fault: FaultRecord) -> None:
        self.ledger.faults.append(fault)
        self._journal.fault(fault)

    def note(self, incident: Incident, *, violation: bool = False) -> None:
        (self.ledger.violations if violation else self.ledger.incidents).append(incident)
        self._journal.incident(incident, violation=violation)

    def _note_session(self, session: Session, rule: str, code: int, detail: str, now: float) -> None:
        self.note(Incident(rule, code, detail, now, session.id, session.shard))
