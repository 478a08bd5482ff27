"""What is wrong with Discord as a whole at the moment: for connections to come, for logins, and for REST.

State that others look at; it does nothing by itself.
"""

from dataclasses import dataclass, field
from enum import Enum

from discord_simulator.manner import ORDERLY, Manner


class LiveResume(Enum):
    """A Resume of a session that still has a connection is undocumented: close the older one, or refuse with op 9."""

    CLOSE_OLDER = "close-older"
    REFUSE = "refuse"


class HelloMode(Enum):
    """Reconnect before or instead of Hello (Discord docs, Gateway events: reconnect), or not a word."""

    RECONNECT_FIRST = "reconnect-first"
    RECONNECT_INSTEAD = "reconnect-instead"
    NEVER = "never"


class RestAnswer(Enum):
    """JSON is Discord's own shape. HTML is what Cloudflare says in front of it. GARBAGE is JSON cut off half-way."""

    JSON = "json"
    HTML = "html"
    GARBAGE = "garbage"


@dataclass(slots=True)
class RestFault:
    """The next `times` answers of GET /gateway/bot have `status`; `retry_after` (seconds) goes with a 429."""

    status: int
    times: int = 1
    retry_after: float = 1.0
    answer: RestAnswer = RestAnswer.JSON


@dataclass(slots=True)
class HelloFault:
    mode: HelloMode
    times: int


@dataclass(slots=True)
class Refusal:
    """The next `times` Identifies or Resumes of `shard` (None: any) are answered with `code`.

    A `code` of 9 is Invalid Session, `resumable` its `d`; others are close codes.
    """

    code: int
    times: int
    resumable: bool
    shard: tuple[int, int] | None = None


@dataclass(slots=True)
class Conditions:
    """`manner` is that of connections to come. `gateway_bot` is the fault of GET /gateway/bot."""

    live_resume: LiveResume
    granted_intents: int
    manner: Manner = ORDERLY
    resume_host_dead: bool = False
    hello: HelloFault | None = None
    gateway_bot: RestFault | None = None
    refusals: list[Refusal] = field(default_factory=list)

    def heal(self) -> None:
        """Make good again what faults changed for everyone, but for switches that have two right positions."""
        self.manner = ORDERLY
        self.resume_host_dead = False
        self.hello = None
        self.gateway_bot = None
        self.refusals.clear()

    def next_hello(self) -> HelloMode | None:
        """Say how the next connection is greeted; None is the usual way."""
        fault = self.hello
        if fault is None:
            return None
        fault.times -= 1
        if fault.times <= 0:
            self.hello = None
        return fault.mode

    def next_rest_fault(self) -> RestFault | None:
        fault = self.gateway_bot
        if fault is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.gateway_bot = None
        return fault

    def next_refusal(self, shard: tuple[int, int] | None) -> Refusal | None:
        """Say whether this login is refused on request; a Resume of an unknown session has no shard."""
        for refusal in self.refusals:
            if refusal.shard is None or refusal.shard == shard:
                refusal.times -= 1
                if refusal.times <= 0:
                    self.refusals.remove(refusal)
                return refusal
        return None
