"""Drives one shard's protocol: opens its sockets, asks for its permits, keeps its timers, carries out its effects."""

import asyncio
from collections.abc import Callable

import structlog

from shardpod.protocol import (
    CLOSE_RESUMABLE,
    Close,
    Connect,
    Effect,
    Event,
    IdentifySent,
    Send,
    Session,
    SessionEnded,
    ShardProtocol,
    ShardState,
    explain_close,
)
from shardpod.transport import Connection, Connector

from .permits import Granted, Permits, Predecessors, Wait

CONNECT_AHEAD = 3.0
"""Seconds before its turn to identify at which a shard opens its socket, so that Hello has come when it is there."""
_LONGEST_WAIT = 30.0
"""A wait for a permit is cut into pieces of this length: turns move up when others give up theirs."""

_WARNING_INTERVAL = 60.0
"""Seconds between warnings of a shard that fails to connect again and again; in between it says so at debug level."""

QUICK_LOSS = 10.0
"""Seconds after RESUMED within which the loss of a connection may mean that another pod resumes the same session."""

_TOO_LATE = Wait(retry_in=1.0, reason="its permit to identify came too late")

logger = structlog.get_logger("shard")


class ShardRunner:
    """Runs one shard from `start` to `stop`.

    `on_event` is called for each event, in the wake-up that read it; `on_change` when the shard's state changed.
    `gap` is for how many seconds nothing was read at the last interruption; one may have begun before, at
    `interrupted_at`, when another runner had the session. `predecessors` is asked if the protocol awaits a transfer.
    `quick_losses` counts the connections in a row that the other side ended soon after they were made.
    """

    def __init__(
        self,
        protocol: ShardProtocol,
        *,
        connector: Connector,
        permits: Permits,
        on_event: Callable[[Event], None],
        on_change: Callable[[], None],
        predecessors: Predecessors | None = None,
        interrupted_at: float | None = None,
    ) -> None:
        self.protocol = protocol
        self.identifies = 0
        self.resumes = 0
        self.sessions_lost = 0
        self.waiting_for: str | None = None
        self.on_event = on_event
        self.interrupted_at = interrupted_at
        self.gap: float | None = None
        self.quick_losses = 0
        self._predecessors = predecessors
        self.reads = True
        self._connector = connector
        self._permits = permits
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self._connection: Connection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._dialled: asyncio.Task[None] | None = None
        self._state = protocol.state
        self._permit = 0
        self._stopping = False
        self._host = ""
        self._failures = 0
        self._warned_at: float | None = None
        self._last_connected: float | None = None
        self._connected_since: float | None = None
        self._log = logger.bind(shard=protocol.shard_id)

    @property
    def reported_state(self) -> ShardState:
        """The protocol's state; but a shard that waits for its turn before it dials awaits its permit."""
        state = self.protocol.state
        if state is ShardState.CONNECTING and self.waiting_for is not None:
            return ShardState.AWAITING_PERMIT
        return state

    def connected_ago(self, now: float) -> float | None:
        """Seconds since the shard was last connected, 0 while it is, None before the first time."""
        if self.protocol.state is ShardState.CONNECTED:
            return 0.0
        return None if self._last_connected is None else now - self._last_connected

    def calm_for(self, now: float) -> float | None:
        """Seconds for which the session has been connected and read without interruption, None while it is not."""
        calm = self.protocol.state is ShardState.CONNECTED and self.reads and self._connected_since is not None
        return now - self._connected_since if calm and self._connected_since is not None else None

    def start(self) -> None:
        self.protocol.start()
        self._settle()

    def stop(self) -> None:
        """End the connection; the session stays resumable."""
        self._stopping = True
        self.protocol.stop()
        self._settle()

    def release(self) -> Session | None:
        """End the connection and let go of the session; it is another's to resume, if there is one."""
        self._stopping = True
        session = self.protocol.release()
        self._settle()
        return session

    def read(self, *, on: bool) -> None:
        """Stop reading events, or go on. A connection that is being made is stopped once it is connected."""
        if on and not self.reads:
            self._connected_since = self._now()  # what was not read came late, as after a reconnect
        self.reads = on
        if self._connection is not None and self.protocol.state is ShardState.CONNECTED:
            self.protocol.reading_paused = not on
            if on:
                self.protocol.heard()
            self._connection.read(on=on)

    def ask_for_a_sign(self, prompt: float) -> None:
        """See to it that a connection that lives is heard of soon: if it answers within `prompt` seconds."""
        self.protocol.ask_for_a_sign(self._now(), prompt)
        self._settle()

    @property
    def can_send(self) -> bool:
        return self._connection is not None and self.protocol.state is ShardState.CONNECTED

    def send(self, payload: bytes) -> None:
        """Send a message that is none of the protocol's own; only while `can_send`."""
        assert self._connection is not None
        self._connection.send(payload)

    # shardpod.transport.Listener

    def opened(self, connection: Connection) -> None:
        if self.protocol.state is ShardState.CONNECTING:
            # Hello may follow in this very wake-up, before the connector has returned: the task that dials has done
            # its work, and must not be cancelled for the next one.
            self._dialled, self._task = self._task, None
            self._connection = connection
        else:
            connection.close(CLOSE_RESUMABLE)  # given up while it was being opened

    def message(self, data: bytes) -> None:
        protocol = self.protocol
        event = protocol.received(data, self._now())
        if event is not None:
            self.on_event(event)
        if protocol.effects or protocol.state is not self._state:
            self._settle()

    def closed(self, code: int | None) -> None:
        self._connection = None
        self.protocol.reading_paused = False
        if self.protocol.state is ShardState.CONNECTED:
            self._count_quick_loss()
        self.protocol.connection_closed(code, self._now())
        self._settle()

    # What follows from any change: effects, log, tasks and the timer.

    def _settle(self) -> None:
        protocol = self.protocol
        while protocol.effects:
            effects, protocol.effects = protocol.effects, []
            for effect in effects:
                self._carry_out(effect)
        if protocol.state is not self._state:
            self._state_changed(self._state, protocol.state)
        self._set_timer(protocol.timer)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(payload):
                if self._connection is not None:
                    self._connection.send(payload)
            case IdentifySent():
                self.identifies += 1
                self._permits.identify_sent(self.protocol.shard_id, self._permit)
            case Close(code):
                if self._connection is not None:
                    self._connection.close(code)
                    self._connection = None
            case Connect(url, to_identify):
                self._host = _host_of(url)
                self._run(self._connect(url, to_identify=to_identify))
            case SessionEnded(_, reason):
                self.sessions_lost += 1
                self._log.warning("session lost, a new one will be opened", reason=reason)

    def _state_changed(self, old: ShardState, new: ShardState) -> None:
        self._state = new
        self.waiting_for = None
        if old is ShardState.CONNECTED:
            self._last_connected = self.interrupted_at = self._now()
        self._note(new)
        self._on_change()
        match new:
            case ShardState.AWAITING_TRANSFER:
                self._run(self._take_over())
            case ShardState.AWAITING_PERMIT:
                self._run(self._obtain_permit())
            case ShardState.RESUMING:
                self.resumes += 1
            case ShardState.CONNECTED:
                self._failures, self._warned_at = 0, None
                how = "resumed" if old is ShardState.RESUMING else "connected"
                self._log.info(f"shard {how}", guilds=self.protocol.guilds.count)
            case ShardState.DISCONNECTED | ShardState.REFUSED:
                self._cancel_task()
                self._log_disconnected(old, new)

    def _note(self, new: ShardState) -> None:
        """What is true before anybody is told of the new state."""
        self.protocol.reading_paused = False
        if new is not ShardState.CONNECTED:
            return
        if self.interrupted_at is not None:
            self.gap, self.interrupted_at = self._now() - self.interrupted_at, None
        if not self.reads:
            self.read(on=False)
        self._connected_since = self._now()

    def _count_quick_loss(self) -> None:
        quick = self._connected_since is not None and self._now() - self._connected_since < QUICK_LOSS
        self.quick_losses = self.quick_losses + 1 if quick else 0

    def _log_disconnected(self, old: ShardState, new: ShardState) -> None:
        code, problem = self.protocol.close_code, self.protocol.problem
        if new is ShardState.REFUSED:
            self._log.error("shard refused", close_code=code, problem=explain_close(code or 0) or problem)
        elif self._stopping:
            self._log.info("shard closed, its session stays resumable")
        elif old is ShardState.CONNECTED:
            self._log.warning("shard disconnected", close_code=code, reason=problem)
        else:
            self._log_failed_attempt(old, code, problem)

    def _log_failed_attempt(self, state: ShardState, code: int | None, problem: str | None) -> None:
        """Warn of the first failure of a row and then now and then; "shard connected" ends the row."""
        self._failures += 1
        now = self._now()
        due = self._warned_at is None or now - self._warned_at >= _WARNING_INTERVAL
        if due:
            self._warned_at = now
        (self._log.warning if due else self._log.debug)(
            "connection attempt failed, trying on",
            host=self._host,
            reason=problem,
            close_code=code,
            state=str(state),
            failures=self._failures,
        )

    def _set_timer(self, at: float | None) -> None:
        if at == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at is None else self._loop.call_at(at, self._tick)

    def _tick(self) -> None:
        self._timer = self._timer_at = None
        self.protocol.tick(self._now())
        self._settle()

    # The one task that a shard has at a time.

    async def _connect(self, url: str, *, to_identify: bool) -> None:
        if to_identify:
            await self._wait_for_turn()
            self.waiting_for = None
        self.protocol.dialling(self._now())
        self._set_timer(self.protocol.timer)
        try:
            await self._connector.connect(url, self)
        except ConnectionError as error:
            self._task = None
            self.protocol.connection_failed(str(error), self._now())
            self._settle()

    async def _wait_for_turn(self) -> None:
        while True:
            answer = await self._permits.ask(self.protocol.shard_id, ready=False)
            if isinstance(answer, Granted) or answer.retry_in <= CONNECT_AHEAD:
                return
            self.waiting_for = answer.reason
            await asyncio.sleep(min(answer.retry_in - CONNECT_AHEAD, _LONGEST_WAIT))

    async def _obtain_permit(self) -> None:
        while True:
            asked_at = self._now()
            answer = await self._permits.ask(self.protocol.shard_id, ready=True)
            if isinstance(answer, Granted):
                # Counted from the asking: the answer may have been long on its way (architecture, permit).
                if self._now() - asked_at < answer.expires_in:
                    break
                answer = _TOO_LATE
            self.waiting_for = answer.reason
            await asyncio.sleep(min(answer.retry_in, _LONGEST_WAIT))
        self._task = None
        self._permit = answer.permit
        self.protocol.permit(self._now())
        self._settle()

    async def _take_over(self) -> None:
        assert self._predecessors is not None, "only a shard that has some awaits a transfer"
        session = await self._predecessors.take(self.protocol.shard_id)
        self._task = None
        if session is None:
            self.protocol.nothing_to_adopt()
        else:
            self.protocol.adopt(session, self._now())
        self._settle()

    def _run(self, coroutine: "asyncio._CoroutineLike[None]") -> None:
        self._cancel_task()
        self._task = self._loop.create_task(coroutine)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None


def _host_of(url: str) -> str:
    """The host and port of a URL that may be wrong in any way; neither its user's name and password nor its path."""
    authority, _, _ = url.split("://", 1)[-1].partition("/")
    return authority.rpartition("@")[2]
