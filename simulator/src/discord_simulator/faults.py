"""Misbehaviour on request: what networks and Discord do to sessions sooner or later."""

from enum import Enum

from discord_simulator.connection import Connection
from discord_simulator.discord import Discord
from discord_simulator.session import Session, SessionState
from discord_simulator.wrong_input import WrongInputError


class Fault(Enum):
    """How a session is disturbed."""

    TCP_RESET = "tcp-reset"
    CLOSE = "close"
    RECONNECT = "reconnect"
    INVALID_SESSION = "invalid-session"
    HEARTBEAT_REQUEST = "heartbeat-request"


ALL = "all"
"""The target that means every session, even if there is none."""


class UnknownTargetError(LookupError):
    """Neither a session id nor a shard with sessions."""


def find_sessions(discord: Discord, target: str) -> list[Session]:
    """Give the session with this id, or all live sessions of a shard written `0/4`, or of `all`.

    Raises `UnknownTargetError`.
    """
    if target == ALL:
        return discord.sessions
    found = [
        session for session in discord.sessions if target in (session.id, f"{session.shard_id}/{session.shard_count}")
    ]
    if not found:
        known = ", ".join(f"{session.id} ({session.shard_id}/{session.shard_count})" for session in discord.sessions)
        raise UnknownTargetError(f"no session or shard {target!r}; there are: {known or 'none'}")
    return found


def parse_shard(target: str) -> tuple[int, int]:
    """Read a shard written `0/4`; raises `WrongInputError`."""
    shard_id, _, shard_count = target.partition("/")
    if shard_id.isdecimal() and shard_count.isdecimal() and int(shard_id) < int(shard_count):
        return int(shard_id), int(shard_count)
    raise WrongInputError("target", f"{target!r} is no shard", "all, or a shard such as 0/4")


def disturb(discord: Discord, session: Session, fault: Fault, *, code: int, resumable: bool, now: float) -> bool:
    """Do `fault` to a session; without `resumable` it is over. Says whether there was a connection to disturb.

    `code` is the close code of `Fault.CLOSE`.
    """
    connection = session.line if isinstance(session.line, Connection) else None
    keeps_line = fault in {Fault.RECONNECT, Fault.HEARTBEAT_REQUEST}
    if connection is not None:
        _act(connection, fault, code=code, resumable=resumable, now=now)
    if not resumable:
        discord.end(session)
    elif not keeps_line and session.state is SessionState.CONNECTED:
        discord.detach(session, now)
    return connection is not None


def _act(connection: Connection, fault: Fault, *, code: int, resumable: bool, now: float) -> None:
    match fault:
        case Fault.TCP_RESET:
            connection.reset()
        case Fault.CLOSE:
            connection.close(code, "Closed on request.")
        case Fault.RECONNECT:
            connection.ask_to_reconnect(now)
        case Fault.INVALID_SESSION:
            connection.invalidate(resumable=resumable)
        case Fault.HEARTBEAT_REQUEST:
            connection.ask_for_heartbeat()
