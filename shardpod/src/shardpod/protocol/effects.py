"""What the protocol asks its driver to do. The driver carries effects out in order and reports back."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a WebSocket to `url`: call `dialling`, then `received` as messages come, or `connection_failed`.

    With `to_identify` the shard will need a permit, and the driver may wait for its turn before it dials.
    """

    url: str
    to_identify: bool


@dataclass(frozen=True, slots=True)
class Send:
    """Write one text message. Identify and Resume hold the token, so that it never shows in a repr."""

    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class IdentifySent:
    """The message before was the Identify: the permit is used."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection with `code`. The protocol takes it as closed at once; nothing more is read from it."""

    code: int


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The session can't be resumed any more; what Discord still had of it is lost. `reason` in words."""

    session_id: str
    reason: str


Effect = Connect | Send | IdentifySent | Close | SessionEnded
