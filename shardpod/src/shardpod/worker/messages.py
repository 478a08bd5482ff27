"""What a worker's process and its supervisor say to each other, and pods among themselves in a transfer.

msgpack frames of these structs, told apart by their type. Unknown fields are ignored and fields are only ever added
with a default, so that a pod hands its shards to one of another version.
"""

import msgspec

from shardpod.handover import Orders, Tail
from shardpod.protocol import Event
from shardpod.spool import StoredSession

from .report import WorkerReport
from .settings import WorkerSettings


class Message(msgspec.Struct, tag=True):
    """The base of all: its class is its kind."""


# From the supervisor.


class Begin(Message):
    """The first message: hold these shards."""

    settings: WorkerSettings
    neighbours: "Neighbours"


class Neighbour(msgspec.Struct, frozen=True):
    """A peer that may hold shards of this pod's range; `address` is None while it is not known."""

    instance: str
    address: str | None
    first_shard_id: int
    last_shard_id: int

    def covers(self, shard_id: int) -> bool:
        return self.first_shard_id <= shard_id <= self.last_shard_id


class Neighbours(Message):
    """Who holds shards that `instance`, this one, is to have; and whether it may itself give away what it has.

    `checkpoints`: by shard, what the operator knows of sessions that nobody holds any more. `cut_off`: no operator can
    be reached, which may have given this instance's sessions to another. `orders` and `counterparts`, the instances of
    the other shard set that see the same guilds, are there while a reshard runs. `rejoin_voice`: bring the bot's voice
    connections over to these sessions, for those that made them are to end. `announce`: tell the bot that it is the
    pending set that delivers. `inherits`: the other set, which is about to end, still has dead letters.
    """

    instance: str = ""
    takes_from: tuple[Neighbour, ...] = ()
    checkpoints: dict[int, StoredSession] = {}
    cut_off: bool = False
    may_release: bool = False
    orders: Orders | None = None
    counterparts: tuple[Neighbour, ...] = ()
    rejoin_voice: bool = False
    announce: bool = False
    inherits: bool = False


class Lease(Message):
    """Deliver the range of handover `number` until then, on the clock that all processes of a machine share."""

    number: int
    until: float


class Stop(Message):
    """Close all sessions resumably, give the queue `drain_for` seconds, write the rest to disk, and end."""

    drain_for: float


class ListDeadLetters(Message):
    pass


class DeadLetterView(msgspec.Struct, frozen=True):
    """A dead letter as it is listed: all but its payload."""

    key: str
    shard_id: int
    type: str
    guild_id: str | None
    problem: str
    attempts: int
    died_at: float
    bytes: int


class DeadLetters(Message):
    letters: tuple[DeadLetterView, ...]


class SettleDeadLetters(Message):
    """Put these back into the queue, or with `discard` forget them; `keys` None means all."""

    keys: tuple[str, ...] | None
    discard: bool


class Settled(Message):
    """How many dead letters were."""

    count: int


# From the worker.


class Report(Message):
    report: WorkerReport


class AskPermit(Message):
    shard_id: int
    ready: bool


class PermitGiven(Message):
    """Granted with a `permit`; else to be asked for again in `retry_in` seconds."""

    permit: int | None
    expires_in: float = 0.0
    retry_in: float = 0.0
    reason: str = ""


class PermitUsed(Message):
    shard_id: int
    permit: int


class Stopped(Message):
    """The worker's last word: its report at the end."""

    report: WorkerReport


# Between two pods, passed on by their supervisors. `to` is the instance that asks.


class TransferRequest(Message):
    shard_id: int
    to: str


class Release(TransferRequest):
    """Give the session up, for `to` to resume it at once."""


class Resumed(TransferRequest):
    """`to` has the session, or knows that nobody can have it any more."""


class FetchBacklog(TransferRequest):
    """The events that were not delivered, from position `start` on."""

    start: int


class Confirm(TransferRequest):
    """`to` has the backlog on disk, or delivered: the giver can forget it."""


class FetchTail(Message):
    """What the sessions of the peer's epoch saw of the range of handover `number`, or with `go` before their fence.

    Only of guilds that belong to `shard_ids` of `shard_count`, which are the asker's.
    """

    number: int
    go: bool
    shard_count: int
    shard_ids: tuple[int, ...]


class FetchLetters(Message):
    """The dead letters of guilds that belong to `shard_ids` of `shard_count`, for the shard set that stays."""

    shard_count: int
    shard_ids: tuple[int, ...]


class ForgetLetters(Message):
    """The asker has them on disk."""

    keys: tuple[str, ...]


class AskPeer(Message):
    """For the supervisor to carry to `address`."""

    address: str
    request: "Release | Resumed | FetchBacklog | Confirm | FetchTail | FetchLetters | ForgetLetters"


# Answers.


class Busy(Message):
    """Not now; ask again soon."""

    reason: str


class Nothing(Message):
    """The peer has nothing of this shard, and will not have."""


class Released(Message):
    """The session, up to which `seq` it was received, and its guilds; no session when there is none to resume."""

    session_id: str | None
    resume_gateway_url: str = ""
    seq: int = 0
    identity: str = ""
    guilds: bytes = b""


class Yours(Message):
    """The session is the asker's."""


class TakenBack(Message):
    """Too late: the giver resumes the session itself."""


class LetterSent(msgspec.Struct, frozen=True):
    """A dead letter on its way to the successor."""

    event: Event
    problem: str
    attempts: int
    died_wall: float


class Backlog(Message):
    """Part of the backlog, in order of arrival. `ages` in seconds, one an event.

    `next`: where to go on, None at the end. Dead letters come with the last part.
    """

    events: tuple[Event, ...]
    ages: tuple[float, ...]
    next: int | None
    letters: tuple[LetterSent, ...] = ()


class Letters(Message):
    """Dead letters on their way to the shard set that stays."""

    letters: tuple[LetterSent, ...]


class TailPart(Message):
    """A tail as it travels (shardpod.handover.Tail): ages are counted from the moment of the answer.

    `fence_age`: seconds since the fence, if there is one. `last_fence_age`: since the last one of several workers'.
    """

    tail: Tail
    fence_age: float = 0.0
    last_fence_age: float | None = None


class Failed(Message):
    """What was asked for went wrong at the other side, or between the two."""

    problem: str


AnyMessage = (
    Begin
    | Neighbours
    | Lease
    | Stop
    | ListDeadLetters
    | DeadLetters
    | SettleDeadLetters
    | Settled
    | Report
    | AskPermit
    | PermitGiven
    | PermitUsed
    | Stopped
    | Release
    | Resumed
    | FetchBacklog
    | Confirm
    | FetchTail
    | FetchLetters
    | ForgetLetters
    | AskPeer
    | Busy
    | Nothing
    | Released
    | Yours
    | TakenBack
    | Backlog
    | TailPart
    | Letters
    | Failed
)

Transfer = Release | Resumed | FetchBacklog | Confirm | FetchTail | FetchLetters | ForgetLetters
TransferAnswer = Busy | Nothing | Released | Yours | TakenBack | Backlog | TailPart | Letters | Settled | Failed

encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)
decode = _decoder.decode
