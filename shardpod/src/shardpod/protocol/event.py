"""The two values of the hot path: a session and an event of it."""

import msgspec


class Session(msgspec.Struct, gc=False):
    """What Discord keeps for a shard. `seq` is the last one received, the one a Resume names."""

    session_id: str
    resume_gateway_url: str
    seq: int


class Event(msgspec.Struct, gc=False):
    """One dispatch, with its payload as Discord sent it.

    `raw`: the whole envelope `{"t":...,"s":...,"op":0,"d":...}` in JSON. `guild_id`: the decimal snowflake that
    routes the event, None where it has none. `received_at`: seconds on the driver's monotonic clock.
    `in_flight`: with a sender. `dropped`: given up while it waited. `spool_id`: its number in the spool, 0 for none.
    `initial`: a GUILD_CREATE by which a new session tells what was there before. `held`: it waits for the end of a
    handover. `content`: its fingerprint in hexadecimal, where another shard set may deliver the same after a crash.
    `gc=False`: an event holds only strings, bytes and numbers, so a full queue costs the garbage collector nothing.
    """

    type: str
    seq: int
    guild_id: str | None
    shard_id: int
    session_id: str
    received_at: float
    raw: bytes
    in_flight: bool = False
    dropped: bool = False
    spool_id: int = 0
    initial: bool = False
    held: bool = False
    content: str = ""

    @property
    def key(self) -> str:
        """The idempotency key, the same for each repetition within a session."""
        return f"{self.session_id}:{self.seq}"
