"""What to do after each close code (Discord docs, "Opcodes and Status Codes": Gateway Close Event Codes)."""

from enum import Enum, auto

CLOSE_RESUMABLE = 4900
"""Our own close. Any code but 1000 and 1001 keeps the session for a few minutes (Discord docs, Gateway)."""


RATE_LIMITED = 4008
"""Too many sends: back off before the next connection (fact sheet, section 3)."""


class AfterClose(Enum):
    """The next step after a connection has ended."""

    RESUME = auto()
    """Connect again and resume the session."""

    IDENTIFY = auto()
    """The session is gone: connect again and identify, with a permit."""

    STOP = auto()
    """Trying again is wrong and can cost the token; a person has to act."""


# 4006 left Discord's list but still means an invalid session. 4009 is documented as "start a new session"; a Resume
# is not identify-limited and answered by op 9 at worst, yet the documented rule is kept.
_SESSION_GONE = frozenset({4003, 4005, 4006, 4007, 4009})

_REFUSED = {
    4004: 'Discord refused the token. Check that it is this bot\'s current token, without "Bot " in front.',
    4010: (
        "Discord refused the shard: its id or the number of shards is not valid for this bot. Large bots (over "
        "150,000 guilds) need a multiple of the number Discord assigned; leave out `shards` to follow Discord."
    ),
    4011: (
        "Discord requires more shards: this shard would hold more than 2,500 guilds. Raise `shards`, or leave it "
        "out to follow Discord's recommendation."
    ),
    4012: "Discord no longer accepts this version of its gateway API (v10). Upgrade this program.",
    4013: "Discord refused the intents: the value holds a bit that is no intent. Check `intents`.",
    4014: (
        "Discord refused the intents: a privileged one is not enabled for this bot. Enable it in the Developer "
        "Portal under Bot > Privileged Gateway Intents, or leave it out of `intents`."
    ),
}


def after_close(code: int | None) -> AfterClose:
    """Decide by the close code; None stands for a connection that broke without one.

    Everything unknown is resumed: "if you get a disconnect, try to resume, otherwise reconnect" (Discord staff,
    discord-api-docs #4376). A Resume that fails costs nothing and is answered by op 9.
    """
    if code in _REFUSED:
        return AfterClose.STOP
    if code in _SESSION_GONE:
        return AfterClose.IDENTIFY
    return AfterClose.RESUME


def explain_close(code: int) -> str | None:
    """Say what a refusing close code means and what to do about it; None for all others."""
    return _REFUSED.get(code)
