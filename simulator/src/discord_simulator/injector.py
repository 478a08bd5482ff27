"""Carries out faults: finds the sessions a request means, changes their state, and writes down what it met.

Refuses to read requests or to know when they are due; `now` is in seconds since the start.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from discord_simulator import fault_requests as ask
from discord_simulator.conditions import HelloFault, Refusal, RestFault
from discord_simulator.connection import Connection
from discord_simulator.discord import Discord
from discord_simulator.faults import ALL, Fault, disturb, find_sessions, parse_shard
from discord_simulator.guild_life import GuildLife
from discord_simulator.ledger import FaultRecord
from discord_simulator.manner import ORDERLY, Manner
from discord_simulator.rules import session_survives
from discord_simulator.session import Session
from discord_simulator.tampering import Interference, Rule, Variation
from discord_simulator.wrong_input import WrongInputError

_FOREVER = float("inf")


class Injector:
    """Faults on `discord` and its connections."""

    def __init__(self, discord: Discord, life: GuildLife) -> None:
        self._discord = discord
        self._life = life

    def inject(self, request: ask.FaultRequest, now: float) -> dict[str, object]:
        """Do it; give what was met, as in the ledger.

        Raises `UnknownTargetError`, or `WrongInputError` for what cannot be right at the moment.
        """
        met = self._handler(request)(request, now)
        self._discord.record_fault(FaultRecord(now, msgspec.to_builtins(request), met))
        return met

    def _handler(self, request: ask.FaultRequest) -> Callable[[Any, float], dict[str, object]]:
        if type(request) in _MOMENTARY:
            return self._disturb
        if isinstance(request, ask.Drop | ask.Duplicate | ask.Reorder):
            return self._tamper
        handlers: dict[type[ask.FaultRequest], Callable[[Any, float], dict[str, object]]] = {
            ask.ReplayOverflow: self._overflow,
            ask.Vary: self._vary,
            ask.Delay: self._delay,
            ask.NoAck: self._no_ack,
            ask.Stall: self._stall,
            ask.Slow: self._slow,
            ask.HalfOpen: self._half_open,
            ask.Split: self._split,
            ask.Heal: self._heal,
            ask.GuildJoin: self._guild_join,
            ask.GuildLeave: self._guild_leave,
            ask.GuildOutage: self._guild_outage,
            ask.GuildReturn: self._guild_return,
            ask.Hello: self._hello,
            ask.RefuseLogin: self._refuse_login,
            ask.DeadResumeHost: self._dead_resume_host,
            ask.LiveResumeSwitch: self._live_resume,
            ask.GatewayBot: self._gateway_bot,
            ask.Rules: self._rules,
        }
        return handlers[type(request)]

    # Sessions, at once

    def _disturb(self, request: Any, now: float) -> dict[str, object]:
        sessions = find_sessions(self._discord, request.target)
        code = getattr(request, "code", 0)
        resumable = getattr(request, "resumable", True)
        if resumable is None:
            resumable = session_survives(code)
        for session in sessions:
            disturb(self._discord, session, _MOMENTARY[type(request)], code=code, resumable=resumable, now=now)
        return _met(sessions)

    def _overflow(self, request: ask.ReplayOverflow, _now: float) -> dict[str, object]:
        sessions = find_sessions(self._discord, request.target)
        for session in sessions:
            session.overflow()
        return _met(sessions)

    # Events of sessions

    def _tamper(self, request: ask.Drop | ask.Duplicate | ask.Reorder, now: float) -> dict[str, object]:
        sessions = find_sessions(self._discord, request.target)
        interference, amount = _interference(request)
        for session in sessions:
            rule = Rule(
                interference=interference,
                types=None if request.events is None else frozenset(request.events),
                share=request.share,
                left=_FOREVER if request.count is None else request.count,
                until=_until(request.seconds, now),
                amount=amount,
            )
            session.tamper(self._discord.settings.seed).rules.append(rule)
        return _met(sessions)

    def _vary(self, request: ask.Vary, now: float) -> dict[str, object]:
        sessions = find_sessions(self._discord, request.target)
        for session in sessions:
            session.tamper(self._discord.settings.seed).variation = Variation(
                key_order=request.key_order, fields=request.fields, until=_until(request.seconds, now)
            )
        return _met(sessions)

    def _delay(self, request: ask.Delay, _now: float) -> dict[str, object]:
        sessions = find_sessions(self._discord, request.target)
        for session in sessions:
            session.delay = request.seconds
        return _met(sessions)

    # Connections

    def _no_ack(self, request: ask.NoAck, now: float) -> dict[str, object]:
        sessions = find_sessions(self._discord, request.target)
        for connection in _connections(sessions):
            connection.stop_acknowledging(_until(request.seconds, now))
        return _met(sessions)

    def _stall(self, request: ask.Stall, now: float) -> dict[str, object]:
        return self._impair(request.target, lambda manner: replace(manner, stalled=True), _until(request.seconds, now))

    def _slow(self, request: ask.Slow, now: float) -> dict[str, object]:
        pace = request.bytes_per_second
        until = _until(request.seconds, now)
        return self._impair(request.target, lambda manner: replace(manner, bytes_per_second=pace), until)

    def _half_open(self, request: ask.HalfOpen, _now: float) -> dict[str, object]:
        return self._impair(request.target, lambda manner: replace(manner, half_open=True), _FOREVER)

    def _split(self, request: ask.Split, _now: float) -> dict[str, object]:
        def split(manner: Manner) -> Manner:
            return replace(manner, parts=request.parts, split_into=request.into)

        if request.target == ALL:
            self._discord.conditions.manner = split(self._discord.conditions.manner)
        return self._impair(request.target, split, _FOREVER)

    def _impair(self, target: str, change: Callable[[Manner], Manner], until: float) -> dict[str, object]:
        sessions = find_sessions(self._discord, target)
        for connection in _connections(sessions):
            connection.impair(change(connection.manner), until)
        return _met(sessions)

    def _heal(self, request: ask.Heal, now: float) -> dict[str, object]:
        conditions = self._discord.conditions
        if request.target == ALL:
            conditions.heal()
        sessions = find_sessions(self._discord, request.target)
        for session in sessions:
            session.delay = 0.0
            if session.tampering is not None:
                session.tampering.heal()
        for connection in _connections(sessions):
            connection.stop_acknowledging(now)
            connection.impair(replace(ORDERLY, half_open=connection.manner.half_open), _FOREVER)
        return _met(sessions)

    # Guilds

    def _guild_join(self, request: ask.GuildJoin, now: float) -> dict[str, object]:
        if request.guilds is None:
            return _met_guilds(self._life.join(request.count, now))
        return _met_guilds(self._life.come_back(_ids(request.guilds)))

    def _guild_leave(self, request: ask.GuildLeave, _now: float) -> dict[str, object]:
        return _met_guilds(self._life.leave(self._chosen(request, self._discord.guilds.ids)))

    def _guild_outage(self, request: ask.GuildOutage, now: float) -> dict[str, object]:
        chosen = self._chosen(request, self._discord.guilds.available_ids)
        return _met_guilds(self._life.fail(chosen, _until(request.seconds, now)))

    def _guild_return(self, request: ask.GuildReturn, _now: float) -> dict[str, object]:
        return _met_guilds(self._life.restore(self._chosen(request, sorted(self._discord.guilds.unavailable))))

    def _chosen(self, request: ask.GuildLeave | ask.GuildOutage | ask.GuildReturn, among: list[int]) -> list[int]:
        if request.guilds is not None:
            return _ids(request.guilds)
        shard = None if request.target == ALL else parse_shard(request.target)
        return self._life.choose(among, request.count, shard)

    # Everyone

    def _hello(self, request: ask.Hello, _now: float) -> dict[str, object]:
        self._discord.conditions.hello = HelloFault(request.mode, request.times)
        return {}

    def _refuse_login(self, request: ask.RefuseLogin, _now: float) -> dict[str, object]:
        shard = None if request.target == ALL else parse_shard(request.target)
        refusal = Refusal(request.code, request.times, request.resumable, shard)
        self._discord.conditions.refusals.append(refusal)
        return {}

    def _dead_resume_host(self, request: ask.DeadResumeHost, _now: float) -> dict[str, object]:
        self._discord.conditions.resume_host_dead = request.on
        return {}

    def _live_resume(self, request: ask.LiveResumeSwitch, _now: float) -> dict[str, object]:
        self._discord.conditions.live_resume = request.mode
        return {}

    def _gateway_bot(self, request: ask.GatewayBot, _now: float) -> dict[str, object]:
        self._discord.conditions.gateway_bot = RestFault(
            status=request.status, times=request.times, retry_after=request.retry_after, answer=request.answer
        )
        return {}

    def _rules(self, request: ask.Rules, now: float) -> dict[str, object]:
        changes = msgspec.structs.asdict(request)
        return dict(
            self._discord.change_rules({name: changes[name] for name in changes if changes[name] is not None}, now)
        )


_MOMENTARY: dict[type[ask.FaultRequest], Fault] = {
    ask.TcpReset: Fault.TCP_RESET,
    ask.Close: Fault.CLOSE,
    ask.Reconnect: Fault.RECONNECT,
    ask.InvalidSession: Fault.INVALID_SESSION,
    ask.HeartbeatRequest: Fault.HEARTBEAT_REQUEST,
}


def _interference(request: ask.Drop | ask.Duplicate | ask.Reorder) -> tuple[Interference, int]:
    match request:
        case ask.Drop():
            return Interference.DROPPED, 1
        case ask.Duplicate():
            return Interference.DUPLICATED, request.copies
        case ask.Reorder():
            return Interference.REORDERED, request.by


def _connections(sessions: list[Session]) -> list[Connection]:
    return [session.line for session in sessions if isinstance(session.line, Connection)]


def _met(sessions: list[Session]) -> dict[str, object]:
    return {"sessions": [session.id for session in sessions]}


def _met_guilds(guild_ids: list[int]) -> dict[str, object]:
    return {"guilds": [str(guild_id) for guild_id in guild_ids]}


def _ids(texts: tuple[str, ...]) -> list[int]:
    wrong = next((text for text in texts if not (text.isascii() and text.isdecimal())), None)
    if wrong is not None:
        raise WrongInputError("guilds", f"{wrong!r} is no id", "ids of digits, as strings")
    return [int(text) for text in texts]


def _until(seconds: float | None, now: float) -> float:
    return _FOREVER if seconds is None else now + seconds
