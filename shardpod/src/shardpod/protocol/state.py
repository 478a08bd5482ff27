"""The states of a shard. Each names what the shard waits for."""

from enum import StrEnum


class ShardState(StrEnum):
    """Where one shard stands between "no connection" and "receiving events"."""

    DISCONNECTED = "disconnected"
    """No connection; a timer says when the next is opened."""

    CONNECTING = "connecting"
    """The socket is being opened, or is open and Hello has not come."""

    AWAITING_PERMIT = "awaiting_permit"
    """Hello has come and there is no session to resume: Identify may be sent only with a permit."""

    AWAITING_TRANSFER = "awaiting_transfer"
    """A peer holds the session, or may: it is asked for it when Hello has come."""

    IDENTIFYING = "identifying"
    """Identify is sent; READY, or op 9, will answer."""

    RESUMING = "resuming"
    """Resume is sent; missed events are replayed until RESUMED."""

    CONNECTED = "connected"
    """READY or RESUMED has come: events are live."""

    REFUSED = "refused"
    """Discord closed with a code after which trying again is wrong (4004, 4010-4014). A person has to act."""

    RELEASED = "released"
    """The session was given to a successor, which has confirmed it."""
