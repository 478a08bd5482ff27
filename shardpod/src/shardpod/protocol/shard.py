"""One shard's side of the gateway as a state machine (Discord docs, Gateway: Connection Lifecycle).

Its driver opens sockets, tells it what came in and what time it is, and carries out the `effects` it collects.
It decides everything else: when to beat, resume, identify (only by permit), wait or give up.
"""

from random import Random

from .close_codes import CLOSE_RESUMABLE, RATE_LIMITED, AfterClose, after_close
from .compression import decompressor
from .effects import Close, Connect, Effect, IdentifySent, Send, SessionEnded
from .envelope import Envelope, Routing, guild_of, read_envelope, read_heartbeat_interval, read_ready
from .errors import ProtocolError
from .event import Event, Session
from .guilds import Guilds
from .hearing import Hearing
from .heartbeat import Heartbeat
from .opcodes import Op
from .outgoing import SessionSettings, connect_url, heartbeat, identify, resume
from .reconnect import Reconnect
from .state import ShardState

HELLO_TIMEOUT = 20.0
"""Seconds for opening a socket and receiving Hello; Discord documents none, libraries use 10 to 60 s."""
ANSWER_TIMEOUT = 60.0
"""Seconds without READY or RESUMED, nor any replayed event, after which the connection is given up."""
MAX_FAILED_RESUMES = 3
"""Resumes in a row that Discord may turn down, or that may end before anything was replayed, before the session counts
as gone (fact sheet, section 3)."""

# Looked up once: an attribute of an enumeration costs more than the comparison, and these are in the hot path.
_DISPATCH = int(Op.DISPATCH)
_CONNECTED = ShardState.CONNECTED


class ShardProtocol:
    """The protocol of one shard over all its connections and sessions.

    Call `start`, then report what happens; after every call carry out and clear `effects`, and see to it that
    `tick` is called at `timer`. `received` returns the event that a message completed, if any.

    `session`: one to resume, from a checkpoint. With `awaits_transfer` a peer may hold the session: after Hello the
    protocol waits for `adopt` or `nothing_to_adopt`. While `reading_paused` silence says nothing about Discord.
    `hearing` is in doubt from the end of a connection until RESUMED, and from a question for a sign until its answer.
    """

    def __init__(
        self,
        shard_id: int,
        shard_count: int,
        settings: SessionSettings,
        *,
        random: Random,
        session: Session | None = None,
    ) -> None:
        self.shard_id = shard_id
        self.shard_count = shard_count
        self.state = ShardState.DISCONNECTED
        self.session = session
        self.awaits_transfer = False
        self.reading_paused = False
        self.guilds = Guilds()
        self.effects: list[Effect] = []
        self.latency: float | None = None
        self.hearing = Hearing()
        self.close_code: int | None = None
        self.problem: str | None = None
        self.repeated = 0
        self._settings = settings
        self._random = random
        self._reconnect = Reconnect(random)
        self._decompressor = decompressor("none")
        self._heartbeat: Heartbeat | None = None
        self._deadline: float | None = None
        self._failed_resumes = 0
        self._resumed_from, self._resumed_at = 0, 0.0

    @property
    def timer(self) -> float | None:
        """When `tick` has to be called next, on the clock of the `now` that is passed in; None for never."""
        if self._heartbeat is None:
            return self._deadline
        if self._deadline is None:
            return self._heartbeat.next_at
        return min(self._deadline, self._heartbeat.next_at)

    # What the driver reports.

    def start(self) -> None:
        """Begin: connect at once."""
        self._connect()

    def stop(self) -> None:
        """End for good; the session stays resumable at Discord for a few minutes."""
        if self.state is ShardState.REFUSED:
            return
        if self.state is not ShardState.DISCONNECTED:
            self.effects.append(Close(CLOSE_RESUMABLE))
            self.problem = "stopped"
        self._disconnected()

    def dialling(self, now: float) -> None:
        """Note that the driver has begun to open the socket that `Connect` asked for."""
        if self.state is ShardState.CONNECTING:
            self._deadline = now + HELLO_TIMEOUT
            self._decompressor = decompressor(self._settings.compression)

    def connection_failed(self, reason: str, now: float) -> None:
        """No socket could be opened. A resume host that can't be reached is given up for the main one."""
        if self.state is not ShardState.CONNECTING:
            return
        self._give_up_resume_host()
        self.problem = f"cannot connect: {reason}"
        self._wait(self._delay(now), now)

    def connection_closed(self, code: int | None, now: float) -> None:
        """The other side ended the connection; None: without a close code."""
        if self.state in (ShardState.DISCONNECTED, ShardState.REFUSED):
            return
        self.close_code = code
        self.problem = f"closed by Discord with {code}" if code is not None else "the connection broke"
        if code is not None:
            self._count_fruitless_resume()
        action = after_close(code)
        if action is AfterClose.STOP:
            self._disconnected()
            self.state = ShardState.REFUSED
            return
        if action is AfterClose.IDENTIFY:
            self._end_session(f"closed with {code}")
        self._wait(self._delay(now, hurry=code != RATE_LIMITED), now)

    def permit(self, now: float) -> bool:
        """Leave to identify. False when the shard no longer waits for it; then the permit is unused."""
        if self.state is not ShardState.AWAITING_PERMIT:
            return False
        self._send(identify(self._settings, self.shard_id, self.shard_count))
        self.effects.append(IdentifySent())
        self.state = ShardState.IDENTIFYING
        self._deadline = now + ANSWER_TIMEOUT
        return True

    def adopt(self, session: Session, now: float) -> None:
        """Go on with a session that its holder has given up: resume it on the open socket, or on the next."""
        self.session = session
        self.awaits_transfer = False
        if self.state is ShardState.AWAITING_TRANSFER:
            self._resume(now)

    def nothing_to_adopt(self) -> None:
        """No peer has a session for this shard: it needs one of its own, with a permit."""
        self.awaits_transfer = False
        if self.state is ShardState.AWAITING_TRANSFER:
            self.state = ShardState.AWAITING_PERMIT

    def release(self) -> Session | None:
        """Let go of the session for a successor to resume: the connection ends, resumably; nothing more is read."""
        session, self.session = self.session, None
        self.stop()
        self._failed_resumes = 0
        return session

    def heard(self) -> None:
        """Reading goes on: what came meanwhile is read only now, so that silence until here means nothing."""
        if self._heartbeat is not None:
            self._heartbeat.heard = True

    def ask_for_a_sign(self, now: float, prompt: float) -> None:
        """Beat out of turn: Discord answers at once (docs, Gateway: Sending Heartbeats), if the connection lives.

        Until then whatever comes proves nothing: it may have been held up on its way, with more behind it. So may an
        answer that takes longer than `prompt` seconds: it tells of what came before the question, and no more.
        """
        self.hearing.prompt = prompt
        if self.state is ShardState.CONNECTED and self._heartbeat is not None:
            self.hearing.doubt()
            self._heartbeat.ask()
            self._send_heartbeat(now)

    def tick(self, now: float) -> None:
        """Do what is due at `now`."""
        if self._deadline is not None and now >= self._deadline:
            self._deadline_passed(now)
        elif self._heartbeat is not None and now >= self._heartbeat.next_at:
            self._beat(now)

    def received(self, message: bytes, now: float) -> Event | None:
        """Take one WebSocket message; return the event that it completed, if it did.

        Never raises: what is no gateway protocol closes the connection, resumably.
        """
        if self._heartbeat is not None:
            self._heartbeat.heard = True
        hearing = self.hearing
        if hearing.silent_since is None and self.state is _CONNECTED:
            hearing.heard_at = now
        try:
            payload = self._decompressor.decompress(message)
            if payload is None:
                return None
            envelope = read_envelope(payload)
            if envelope.op == _DISPATCH:
                return self._dispatch(envelope, payload, now)
            self._control(envelope, payload, now)
        except ProtocolError as error:
            self._give_up_connection(str(error), now)
        return None

    # Dispatches.

    def _dispatch(self, envelope: Envelope, payload: bytes, now: float) -> Event | None:
        seq, event_type = envelope.s, envelope.t
        if seq is None or event_type is None:
            self._dispatch_without_key(event_type, now)
            return None
        routing = envelope.d if isinstance(envelope.d, Routing) else None
        if self.state is not _CONNECTED:
            self._dispatch_before_connected(event_type, payload, now)
        session = self.session
        if session is None:
            raise ProtocolError("a dispatch before READY")
        if seq <= session.seq:
            # The same key again: the first is already on its way to the bot.
            self.repeated += 1
            return None
        session.seq = seq
        guild_id = guild_of(event_type, routing)
        event = Event(event_type, seq, guild_id, self.shard_id, session.session_id, now, payload)
        if guild_id is not None and routing is not None and event_type in ("GUILD_CREATE", "GUILD_DELETE"):
            event.initial = self._guild_changed(event_type, guild_id, unavailable=routing.unavailable is True, now=now)
        return event

    def _dispatch_before_connected(self, event_type: str, payload: bytes, now: float) -> None:
        if self.state is ShardState.IDENTIFYING and event_type == "READY":
            ready = read_ready(payload)
            self.session = Session(ready.session_id, ready.resume_gateway_url, 0)
            self.guilds.ready((str(guild.id) for guild in ready.guilds), now)
            self._connected(now, now)
        elif self.state is ShardState.RESUMING:
            self._deadline = now + ANSWER_TIMEOUT
            if event_type == "RESUMED":
                self._connected(self._resumed_at, now)
        else:
            raise ProtocolError(f"{event_type} while {self.state}")

    def _dispatch_without_key(self, event_type: str | None, now: float) -> None:
        """Take RESUMED for what it says even without `s`. It cannot be delivered: an event's key is its `s`."""
        if event_type != "RESUMED" or self.state is not ShardState.RESUMING:
            raise ProtocolError("a dispatch without a sequence number or type")
        self._connected(self._resumed_at, now)

    def _guild_changed(self, event_type: str, guild_id: str, *, unavailable: bool, now: float) -> bool:
        """Whether this is the first that the session tells of a guild which READY had listed."""
        if event_type == "GUILD_CREATE":
            return self.guilds.created(guild_id, unavailable=unavailable, now=now)
        self.guilds.deleted(guild_id, unavailable=unavailable)
        return False

    def _connected(self, asked_at: float, now: float) -> None:
        self.state = ShardState.CONNECTED
        self.problem = self.close_code = self._deadline = None
        self.hearing.answered(asked_at, now)
        self._failed_resumes = 0
        self._reconnect.connected(now)

    # Everything that is no dispatch.

    def _control(self, envelope: Envelope, payload: bytes, now: float) -> None:
        if self.state in (ShardState.DISCONNECTED, ShardState.REFUSED):
            return
        match envelope.op:
            case Op.HEARTBEAT_ACK:
                self._acknowledged(now)
            case Op.HEARTBEAT:
                self._send_heartbeat(now)
            case Op.HELLO:
                self._hello(payload, now)
            case Op.RECONNECT:
                # May come before or instead of Hello (fact sheet, section 3).
                self._close("Discord asked to reconnect", self._delay(now), now)
            case Op.INVALID_SESSION:
                self._invalid_session(resumable=envelope.d is True, now=now)
            case _:
                pass  # an op of the future is Discord's right, and no reason to drop a session

    def _acknowledged(self, now: float) -> None:
        latency = self._heartbeat.acknowledged(now) if self._heartbeat is not None else None
        if latency is not None:
            self.latency = latency
        if self.state is ShardState.CONNECTED and self._heartbeat is not None and self._heartbeat.is_answered:
            self.hearing.answered(self._heartbeat.answered_from, now)

    def _send_heartbeat(self, now: float) -> None:
        if self._heartbeat is not None:
            self._heartbeat.sent(now)
        self._send(heartbeat(self.session.seq if self.session else None))

    def _hello(self, payload: bytes, now: float) -> None:
        if self.state is not ShardState.CONNECTING:
            raise ProtocolError("a second Hello")
        interval = read_heartbeat_interval(payload)
        self._heartbeat = Heartbeat(interval=interval, first_after=interval * self._random.random(), now=now)
        if self.session is not None:
            self._resume(now)
            return
        self.state = ShardState.AWAITING_TRANSFER if self.awaits_transfer else ShardState.AWAITING_PERMIT
        self._deadline = None

    def _resume(self, now: float) -> None:
        assert self.session is not None
        self.state = ShardState.RESUMING
        self._deadline = now + ANSWER_TIMEOUT
        self._resumed_from, self._resumed_at = self.session.seq, now
        self._send(resume(self._settings.token, self.session))

    def _invalid_session(self, *, resumable: bool, now: float) -> None:
        if self.state is ShardState.RESUMING:
            self._failed_resumes += 1
        if not resumable:
            self._end_session("Discord ended it (op 9)")
        self._close("invalid session", self._delay(now, hurry=False), now)

    # Time.

    def _deadline_passed(self, now: float) -> None:
        if self.state is ShardState.DISCONNECTED:
            self._connect()
            return
        if self.state is ShardState.CONNECTING:
            self._give_up_resume_host()
        self._give_up_connection(f"no answer while {self.state}", now)

    def _beat(self, now: float) -> None:
        assert self._heartbeat is not None
        if self._heartbeat.is_zombie() and not self.reading_paused:
            self._give_up_connection("nothing received since the last heartbeat", now)
            return
        self._heartbeat.beat(now)
        self._send_heartbeat(now)

    # Transitions.

    def _connect(self) -> None:
        if self.session is not None and self._failed_resumes >= MAX_FAILED_RESUMES:
            self._end_session(f"{MAX_FAILED_RESUMES} resumes in a row were turned down")
        self.state = ShardState.CONNECTING
        self._deadline = None
        base = self.session.resume_gateway_url if self.session else self._settings.gateway_url
        to_identify = self.session is None and not self.awaits_transfer
        self.effects.append(Connect(connect_url(base, self._settings.compression), to_identify))

    def _give_up_resume_host(self) -> None:
        """Dial the main URL from now on; a session can be resumed there as well (fact sheet, section 3)."""
        if self.session is not None:
            self.session.resume_gateway_url = self._settings.gateway_url

    def _give_up_connection(self, problem: str, now: float) -> None:
        # No answer, or one that cannot be read: it would be the same after every Resume.
        self._count_fruitless_resume()
        self._close(problem, self._delay(now), now)

    def _count_fruitless_resume(self) -> None:
        """Count a Resume that replayed nothing; one that was cut off later has shown that the session lives."""
        if self.state is ShardState.RESUMING and self.session is not None and self.session.seq == self._resumed_from:
            self._failed_resumes += 1

    def _close(self, problem: str, delay: float, now: float) -> None:
        if self.state in (ShardState.DISCONNECTED, ShardState.REFUSED):
            return
        self.effects.append(Close(CLOSE_RESUMABLE))
        self.problem = problem
        self._wait(delay, now)

    def _delay(self, now: float, *, hurry: bool = True) -> float:
        resumable = self.session is not None
        if hurry:
            return self._reconnect.delay(now, resumable=resumable)
        return self._reconnect.unhurried_delay(now, resumable=resumable)

    def _wait(self, delay: float, now: float) -> None:
        self._disconnected()
        self._deadline = now + delay

    def _disconnected(self) -> None:
        if self.state is ShardState.CONNECTED:
            self.hearing.doubt()
        self.state = ShardState.DISCONNECTED
        self._heartbeat = self._deadline = self.latency = None

    def _end_session(self, reason: str) -> None:
        if self.session is not None:
            self.effects.append(SessionEnded(self.session.session_id, reason))
        self.session = None
        self._failed_resumes = 0

    def _send(self, payload: bytes) -> None:
        self.effects.append(Send(payload))
