"""One gateway connection's side of the protocol: what it answers, and when it has had enough.

Bytes and times go in, calls on an `Outlet` come out; sockets and compression are the adapter's.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol
from urllib.parse import urlsplit

from discord_simulator import answers
from discord_simulator.conditions import HelloMode
from discord_simulator.discord import Discord
from discord_simulator.events import control_payload
from discord_simulator.ledger import Incident
from discord_simulator.manner import Manner
from discord_simulator.requests import (
    decode,
    read_guild_id,
    read_guild_ids,
    read_heartbeat,
    read_identify,
    read_list,
    read_object,
    read_resume,
)
from discord_simulator.rules import (
    HEARTBEAT_TOLERANCE,
    SESSION_ENDS_ON_CLIENT_CLOSE,
    CloseCode,
    Opcode,
    RuleBreachError,
    SendWindow,
    session_survives,
)
from discord_simulator.session import Session

RECONNECT_GRACE_S = 5.0  # from op 7 to the close; "a few seconds" in Discord docs, Gateway events: reconnect
_ACK = control_payload(Opcode.HEARTBEAT_ACK, None)
_DEAD_PORT = 1  # tcpmux (RFC 1078): a connection to it is refused at once
_CLOSE_REASONS: dict[int, str] = {
    CloseCode.UNKNOWN_OPCODE: "Unknown opcode.",
    CloseCode.DECODE_ERROR: "Error while decoding payload.",
    CloseCode.NOT_AUTHENTICATED: "Not authenticated.",
    CloseCode.AUTHENTICATION_FAILED: "Authentication failed.",
    CloseCode.ALREADY_AUTHENTICATED: "Already authenticated.",
    CloseCode.INVALID_SEQ: "Invalid sequence number.",
    CloseCode.RATE_LIMITED: "You are being rate limited.",
    CloseCode.INVALID_SHARD: "Invalid shard.",
    CloseCode.SHARDING_REQUIRED: "Sharding required.",
    CloseCode.INVALID_API_VERSION: "Invalid API version.",
    CloseCode.INVALID_INTENTS: "Invalid intent(s).",
    CloseCode.DISALLOWED_INTENTS: "Disallowed intent(s).",
}


class Outlet(Protocol):
    """The way to the client. Nothing blocks; `delay` (seconds) holds back without changing the order."""

    manner: Manner  # may be set at any time

    def send(self, payload: bytes, delay: float) -> None: ...

    def close(self, code: int, reason: str, delay: float) -> None: ...

    def abort(self) -> None: ...


class ConnectionState(Enum):
    AWAITING_AUTH = "awaiting-auth"  # Hello is sent; Identify or Resume may come, also after Invalid Session
    IN_SESSION = "in-session"
    CLOSED = "closed"


class Connection:
    """A connection from Hello to its end. `resume_url` is what READY tells this client."""

    def __init__(self, discord: Discord, outlet: Outlet, resume_url: str, now: float) -> None:
        self.state = ConnectionState.AWAITING_AUTH
        self.session: Session | None = None
        self._discord = discord
        self._outlet = outlet
        self._resume_url = resume_url
        self._sends = SendWindow()
        self._last_heartbeat = now
        self._close_at = float("inf")
        self._orderly_at = float("inf")
        self._acknowledges_from = now
        self._greet(now)

    # Towards the client

    def _greet(self, now: float) -> None:
        hello = control_payload(Opcode.HELLO, answers.hello(self._discord.settings.heartbeat_interval_ms))
        match self._discord.conditions.next_hello():
            case None:
                self.send(hello)
            case HelloMode.RECONNECT_FIRST:
                self.ask_to_reconnect(now)
                self.send(hello)
            case HelloMode.RECONNECT_INSTEAD:
                self.ask_to_reconnect(now)
            case HelloMode.NEVER:
                pass

    @property
    def _delay(self) -> float:
        return self.session.delay if self.session is not None else 0.0

    def send(self, payload: bytes) -> None:
        if self.state is not ConnectionState.CLOSED:
            self._outlet.send(payload, self._delay)

    def close(self, code: int, reason: str) -> None:
        """Close with `code`. What becomes of the session is for the caller to say."""
        if self.state is not ConnectionState.CLOSED:
            self.state = ConnectionState.CLOSED
            if self._outlet.manner.half_open:
                self._outlet.abort()
            else:
                self._outlet.close(code, reason, self._delay)
        self.session = None

    def reset(self) -> None:
        """Drop the TCP connection without a word."""
        self.state = ConnectionState.CLOSED
        self.session = None
        self._outlet.abort()

    def too_slow(self, now: float) -> None:
        """Cut off a client that does not read; its session can be resumed."""
        session = self.session
        shard = session.shard if session else None
        detail = "the client reads too slowly, its outgoing queue is full"
        self._discord.note(Incident("slow-client", 0, detail, now, session.id if session else None, shard))
        self.reset()
        if session is not None:
            self._discord.detach(session, now)

    def ask_to_reconnect(self, now: float) -> None:
        self.send(control_payload(Opcode.RECONNECT, None))
        self._close_at = now + RECONNECT_GRACE_S

    def invalidate(self, *, resumable: bool) -> None:
        """Send Invalid Session. The socket stays, and takes a new Identify or Resume."""
        self.send(control_payload(Opcode.INVALID_SESSION, resumable))
        self.state = ConnectionState.AWAITING_AUTH
        self.session = None

    def ask_for_heartbeat(self) -> None:
        self.send(control_payload(Opcode.HEARTBEAT, None))

    def stop_acknowledging(self, until: float) -> None:
        """Leave heartbeats without their ACK; they count as signs of life all the same."""
        self._acknowledges_from = until

    def impair(self, manner: Manner, until: float) -> None:
        """Write to the client in this manner until then, and as before all faults afterwards."""
        self._outlet.manner = manner
        self._orderly_at = until

    @property
    def manner(self) -> Manner:
        return self._outlet.manner

    def enter(self, session: Session) -> None:
        self.session = session
        self.state = ConnectionState.IN_SESSION

    # From the client

    def receive(self, message: str | bytes, now: float) -> None:
        if self.state is ConnectionState.CLOSED or self._outlet.manner.half_open:
            return
        try:
            self._sends.count(now)
            opcode, d = decode(message)
            self._handler(opcode)(d, now)
        except RuleBreachError as breach:
            self.refuse(breach, now)

    def refuse(self, breach: RuleBreachError, now: float) -> None:
        """Close for a broken rule; the session survives where the docs tell clients to resume."""
        session = self.session
        shard = session.shard if session else None
        self._discord.note(
            Incident(breach.rule, breach.code, breach.detail, now, session.id if session else None, shard),
            violation=True,
        )
        self.close(breach.code, _CLOSE_REASONS.get(breach.code, "Unknown error."))
        if session is not None:
            self._let_go(session, now, survives=session_survives(breach.code))

    def lost(self, client_code: int | None, now: float) -> None:
        """Hear that the socket is gone; `client_code` if it was the client who closed, and with a code."""
        session, self.session = self.session, None
        self.state = ConnectionState.CLOSED
        if session is not None:
            self._let_go(session, now, survives=client_code not in SESSION_ENDS_ON_CLIENT_CLOSE)

    def tick(self, now: float) -> None:
        """Close a client that went silent, or that was asked to reconnect and stayed."""
        if self.state is ConnectionState.CLOSED:
            return
        if now >= self._orderly_at:
            self.impair(self._discord.conditions.manner, float("inf"))
        patience = self._discord.settings.heartbeat_interval_ms / 1000 * HEARTBEAT_TOLERANCE
        if now - self._last_heartbeat > patience:
            session = self.session
            incident = Incident(
                "heartbeat",
                self._discord.settings.heartbeat_close_code,
                f"no heartbeat for {patience:g} s",
                now,
                session.id if session else None,
                session.shard if session else None,
            )
            self._discord.note(incident, violation=True)
            self._close_resumable(incident.code, "Heartbeat timeout.", now)
        elif now >= self._close_at:
            self._close_resumable(CloseCode.UNKNOWN_ERROR, "Reconnect.", now)

    def _close_resumable(self, code: int, reason: str, now: float) -> None:
        session = self.session
        self.close(code, reason)
        if session is not None:
            self._let_go(session, now, survives=True)

    def _let_go(self, session: Session, now: float, *, survives: bool) -> None:
        if survives:
            self._discord.detach(session, now)
        else:
            self._discord.end(session)

    # Opcodes

    def _handler(self, opcode: Opcode) -> Callable[[Any, float], None]:
        if opcode is Opcode.HEARTBEAT:
            return self._heartbeat
        if opcode in {Opcode.IDENTIFY, Opcode.RESUME}:
            if self.session is not None:
                raise RuleBreachError(
                    CloseCode.ALREADY_AUTHENTICATED, "already-authenticated", f"op {opcode} in a session"
                )
            return self._identify if opcode is Opcode.IDENTIFY else self._resume
        if self.session is None:
            raise RuleBreachError(CloseCode.NOT_AUTHENTICATED, "not-authenticated", f"op {opcode} before Identify")
        in_session = {
            Opcode.VOICE_STATE: self._voice_state,
            Opcode.REQUEST_MEMBERS: self._request_members,
            Opcode.REQUEST_SOUNDBOARD: self._request_soundboard,
            Opcode.REQUEST_CHANNEL_INFO: self._request_channel_info,
        }
        return in_session.get(opcode, _take_without_answer)

    def _heartbeat(self, d: Any, now: float) -> None:
        read_heartbeat(d)
        self._last_heartbeat = now
        if now >= self._acknowledges_from:
            self.send(_ACK)

    def _identify(self, d: Any, now: float) -> None:
        request = read_identify(d)
        if self._refused_on_request((request.shard_id, request.shard_count), None, now):
            return
        dead = self._discord.conditions.resume_host_dead
        resume_url = _dead_url(self._resume_url) if dead else self._resume_url
        if self._discord.identify(request, self, resume_url, now) is None:
            self.invalidate(resumable=False)

    def _resume(self, d: Any, now: float) -> None:
        request = read_resume(d)
        session = self._discord.session(request.session_id)
        if self._refused_on_request(session.shard if session else None, session, now):
            return
        if self._discord.resume(request, self, now) is None:
            self.invalidate(resumable=False)

    def _refused_on_request(self, shard: tuple[int, int] | None, session: Session | None, now: float) -> bool:
        """Answer this login as a fault says, and say whether one did. The session ends where Discord's would."""
        refusal = self._discord.conditions.next_refusal(shard)
        if refusal is None:
            return False
        session_id = session.id if session else None
        self._discord.note(Incident("refused-on-request", refusal.code, "a fault says so", now, session_id, shard))
        if refusal.code == Opcode.INVALID_SESSION:
            survives = refusal.resumable
            self.invalidate(resumable=survives)
        else:
            survives = session_survives(refusal.code)
            self.close(refusal.code, _CLOSE_REASONS.get(refusal.code, "Closed on request."))
        if session is not None and not survives:
            self._discord.end(session)
        return True

    def _voice_state(self, d: Any, _now: float) -> None:
        assert self.session is not None
        request = read_object(d, "Voice State Update")
        self._discord.voice_state(self.session, read_guild_id(request), request)

    def _request_members(self, d: Any, now: float) -> None:
        assert self.session is not None
        request = read_object(d, "Request Guild Members")
        guild_id = read_guild_id(request)
        whole_guild = request.get("query") == "" and not request.get("limit") and not request.get("user_ids")
        wait = self._discord.member_lists.retry_after(guild_id, now) if whole_guild else None
        if wait is not None:
            limited = answers.rate_limited(Opcode.REQUEST_MEMBERS, wait, guild_id, request.get("nonce"))
            self._discord.tell(self.session, limited)
            return
        settings = self._discord.settings
        for chunk in answers.members_chunks(guild_id, request, settings.seed, settings.guild_members):
            self._discord.tell(self.session, chunk)

    def _request_soundboard(self, d: Any, _now: float) -> None:
        assert self.session is not None
        for guild_id in read_guild_ids(read_object(d, "Request Soundboard Sounds")):
            self._discord.tell(self.session, answers.soundboard_sounds(guild_id))

    def _request_channel_info(self, d: Any, _now: float) -> None:
        assert self.session is not None
        request = read_object(d, "Request Channel Info")
        self._discord.tell(self.session, answers.channel_info(read_guild_id(request), read_list(request, "fields")))


def _dead_url(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{_DEAD_PORT}"


def _take_without_answer(d: Any, _now: float) -> None:
    """A presence is counted and checked for form, no more."""
    read_object(d, "this opcode")
