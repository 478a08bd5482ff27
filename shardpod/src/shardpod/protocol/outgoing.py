"""The messages a shard sends (Discord docs, Gateway Events: Send Events)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from .compression import Compression
from .event import Session
from .opcodes import Op

_LIBRARY = "discord-gateway-operator"


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How a shard's sessions are opened. `gateway_url`: `wss://host`, as GET /gateway/bot gives it."""

    token: str
    gateway_url: str
    compression: Compression
    intents: int
    presence: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        """Leave the token out: settings appear in logs and tracebacks."""
        return f"SessionSettings(gateway_url={self.gateway_url!r}, compression={self.compression!r})"


def connect_url(base: str, compression: Compression) -> str:
    """The URL to dial; a Resume must use the same query parameters as the Identify (fact sheet, section 2)."""
    compress = "" if compression == "none" else f"&compress={compression}"
    return f"{base.rstrip('/')}/?v=10&encoding=json{compress}"


def heartbeat(seq: int | None) -> bytes:
    return _message(Op.HEARTBEAT, seq)


def identify(settings: SessionSettings, shard_id: int, shard_count: int) -> bytes:
    data: dict[str, Any] = {
        "token": settings.token,
        "properties": {"os": "linux", "browser": _LIBRARY, "device": _LIBRARY},
        "intents": settings.intents,
        "shard": [shard_id, shard_count],
    }
    if settings.presence is not None:
        data["presence"] = settings.presence
    return _message(Op.IDENTIFY, data)


def resume(token: str, session: Session) -> bytes:
    return _message(Op.RESUME, {"token": token, "session_id": session.session_id, "seq": session.seq})


def voice_state(guild_id: str, channel_id: str, *, self_mute: bool, self_deaf: bool) -> bytes:
    """Join a voice channel, or take over from another session of the bot that is in it."""
    where = {"guild_id": guild_id, "channel_id": channel_id}
    return _message(Op.VOICE_STATE, {**where, "self_mute": self_mute, "self_deaf": self_deaf})


def _message(op: Op, data: Any) -> bytes:
    return msgspec.json.encode({"op": int(op), "d": data})
