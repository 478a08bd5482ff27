"""Discord's limits, each as a small value that is told the time.

Refuses to decide what follows from a broken rule: callers close, invalidate or kill the token.
"""

from collections import deque
from enum import IntEnum

SENDS_PER_WINDOW = 120  # Discord docs, Gateway: rate limiting
SEND_WINDOW_S = 60.0
MAX_PAYLOAD_BYTES = 4096  # Discord docs, Gateway: sending events
IDENTIFY_INTERVAL_S = 5.0  # Discord docs, Gateway: max_concurrency
BUDGET_WINDOW_S = 86_400.0  # Discord docs, Gateway: identifying, 1,000 in 24 hours
MEMBER_LIST_INTERVAL_S = 30.0  # Discord docs, change log 2025-08-14: all members of a guild
MAX_GUILDS_PER_SHARD = 2500  # Discord docs, Gateway: sharding
HEARTBEAT_TOLERANCE = 1.5  # intervals; Discord does not publish its own


class Opcode(IntEnum):
    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    PRESENCE = 3
    VOICE_STATE = 4
    RESUME = 6
    RECONNECT = 7
    REQUEST_MEMBERS = 8
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11
    REQUEST_SOUNDBOARD = 31
    REQUEST_CHANNEL_INFO = 43


class CloseCode(IntEnum):
    """Discord docs, Opcodes and status codes: gateway close event codes."""

    NORMAL = 1000
    GOING_AWAY = 1001
    UNKNOWN_ERROR = 4000
    UNKNOWN_OPCODE = 4001
    DECODE_ERROR = 4002
    NOT_AUTHENTICATED = 4003
    AUTHENTICATION_FAILED = 4004
    ALREADY_AUTHENTICATED = 4005
    INVALID_SEQ = 4007
    RATE_LIMITED = 4008
    SESSION_TIMED_OUT = 4009
    INVALID_SHARD = 4010
    SHARDING_REQUIRED = 4011
    INVALID_API_VERSION = 4012
    INVALID_INTENTS = 4013
    DISALLOWED_INTENTS = 4014


# Codes of the server's after which the docs tell a client to identify anew, or to stop.
_SESSION_ENDS = frozenset(
    {
        CloseCode.NOT_AUTHENTICATED,
        CloseCode.AUTHENTICATION_FAILED,
        CloseCode.ALREADY_AUTHENTICATED,
        CloseCode.INVALID_SEQ,
        CloseCode.SESSION_TIMED_OUT,
        CloseCode.INVALID_SHARD,
        CloseCode.SHARDING_REQUIRED,
        CloseCode.INVALID_API_VERSION,
        CloseCode.INVALID_INTENTS,
        CloseCode.DISALLOWED_INTENTS,
    }
)
# A client's close that ends its session (Discord docs, Gateway: disconnecting).
SESSION_ENDS_ON_CLIENT_CLOSE = frozenset({CloseCode.NORMAL, CloseCode.GOING_AWAY})


def session_survives(code: int) -> bool:
    """Say whether a session can be resumed after the server closed with `code`."""
    return code not in _SESSION_ENDS


class RuleBreachError(Exception):
    """A client broke `rule`: the connection is closed with `code`, and `detail` goes to the log."""

    def __init__(self, code: CloseCode, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.code = code
        self.rule = rule
        self.detail = detail


class SendWindow:
    """Sends of one connection in the last 60 s. Heartbeats, Identify and Resume count too."""

    def __init__(self) -> None:
        self._sent: deque[float] = deque()

    def count(self, now: float) -> None:
        """Note one send; raises `RuleBreachError` 4008 if it is one too many."""
        while self._sent and self._sent[0] <= now - SEND_WINDOW_S:
            self._sent.popleft()
        self._sent.append(now)
        if len(self._sent) > SENDS_PER_WINDOW:
            detail = f"more than {SENDS_PER_WINDOW} sends in {SEND_WINDOW_S:g} s"
            raise RuleBreachError(CloseCode.RATE_LIMITED, "send-rate", detail)


class IdentifyBuckets:
    """One Identify per `shard_id % max_concurrency` in `interval` seconds, over all shard sets of the token."""

    def __init__(self, max_concurrency: int, interval: float = IDENTIFY_INTERVAL_S) -> None:
        self.max_concurrency = max_concurrency
        self._interval = interval
        self._last: dict[int, float] = {}

    def admit(self, shard_id: int, now: float) -> bool:
        """Take the bucket's turn, or refuse. A refused Identify does not move the bucket's clock."""
        bucket = shard_id % self.max_concurrency
        if now - self._last.get(bucket, float("-inf")) < self._interval:
            return False
        self._last[bucket] = now
        return True


class IdentifyBudget:
    """The identifies of a token in 24 hours, counted from `started`."""

    def __init__(self, total: int, remaining: int, started: float) -> None:
        self.total = total
        self._remaining = remaining
        self._window_started = started

    def remaining(self, now: float) -> int:
        self._roll(now)
        return self._remaining

    def set_remaining(self, remaining: int, now: float) -> None:
        self._roll(now)
        self._remaining = remaining

    def reset_after(self, now: float) -> float:
        """Seconds until the budget is whole again."""
        self._roll(now)
        return self._window_started + BUDGET_WINDOW_S - now

    def spend(self, now: float) -> bool:
        """Charge one Identify; False if none was left, which costs the token."""
        self._roll(now)
        if self._remaining <= 0:
            return False
        self._remaining -= 1
        return True

    def _roll(self, now: float) -> None:
        windows = int((now - self._window_started) // BUDGET_WINDOW_S)
        if windows > 0:
            self._window_started += windows * BUDGET_WINDOW_S
            self._remaining = self.total


class MemberListLimit:
    """Request Guild Members for all members: one per guild and bot in 30 s."""

    def __init__(self) -> None:
        self._last: dict[int, float] = {}

    def retry_after(self, guild_id: int, now: float) -> float | None:
        """Take the guild's turn and give None, or say how many seconds to wait."""
        wait = self._last.get(guild_id, float("-inf")) + MEMBER_LIST_INTERVAL_S - now
        if wait > 0:
            return wait
        self._last[guild_id] = now
        return None
