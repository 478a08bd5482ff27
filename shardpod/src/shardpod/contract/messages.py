"""What the operator and a shard pod say to each other: state, not orders.

The operator sends a pod its whole `Assignment`, the pod reports its whole `Observed`; either side may restart
and the next exchange puts all right. The only requests are for a permit to identify, and for a lease to deliver what is
being handed over. Each message travels as one JSON text frame, told apart by `kind`.

Unknown fields are ignored, so that an older pod works with a newer operator; a field is never renamed, only
added with a default. Times are seconds, ages are counted by the reporting side: the two clocks are never compared.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from shardpod.window_lengths import WindowLengths

CONTRACT_VERSION = 1


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ShardRange(_Message):
    """Shards `first_shard_id..last_shard_id`, both inclusive."""

    first_shard_id: int = Field(ge=0)
    last_shard_id: int = Field(ge=0)


class Checkpoint(_Message):
    """A session and the `seq` it may resume from: all up to it needs no repeating.

    `identity` tells sessions of another token or other intents, which a pod must not resume, from its own. `guilds`:
    how many the session had; a Resume does not tell.
    """

    shard_id: int
    shard_count: int
    session_id: str
    seq: int
    resume_gateway_url: str
    identity: str = ""
    guilds: int = 0


class Ownership(_Message):
    """Who delivers which guilds: guild g is the pending set's iff its pending shard lies in `handed`."""

    active_epoch: int
    active_shard_count: int
    pending_epoch: int | None = None
    pending_shard_count: int | None = None
    handed: tuple[ShardRange, ...] = ()


class Windows(WindowLengths, _Message):
    """What all windows of a handover follow from, in seconds (docs/resharding.md).

    `max_skew`: the longest by which two healthy sessions may differ. `fence_timeout`: the longest that a fence may
    take.
    """

    max_skew: float = Field(default=5.0, gt=0)
    fence_timeout: float = Field(default=2.0, gt=0)


class Handover(_Message):
    """The one range, in shards of the pending set, that is on its way from one epoch to the other.

    `rehearse`: compare what both sets saw, nothing changes hands. `go`: those of `from_epoch` fence the range and hold
    what follows; those of `to_epoch` ask for a lease, and go live when they have it. It ends with an assignment in
    which it is no more: the range is then whose `Ownership.handed` says it is. `blind`: Discord has refused a giver's
    shard, so that what both sets saw cannot be compared.
    """

    number: int
    range: ShardRange
    from_epoch: int
    to_epoch: int
    step: Literal["rehearse", "go"]
    blind: bool = False


class Peer(_Message):
    """An instance of a pod of the same epoch that may hold shards of this one's range: they come by transfer.

    `address`: where it serves HTTP; None while that is not known, which is a reason to wait, not to identify.
    """

    pod: str
    instance: str
    address: str | None
    range: ShardRange


class DiscordSettings(_Message):
    """How sessions are opened. The token is not here: it reaches the pod by its environment."""

    gateway_url: str
    compression: Literal["zstd-stream", "zlib-stream", "none"]
    intents: int
    presence: dict[str, Any] | None = None


class HttpSinkSettings(_Message):
    """One POST a batch; the Authorization header's value reaches the pod by its environment."""

    url: str
    max_batch_events: int = 1
    max_in_flight: int = 64
    compression: Literal["none", "gzip"] = "none"


class DeliverySettings(_Message):
    http: HttpSinkSettings
    ordering: Literal["guild", "shard", "none"] = "guild"
    timeout: float = 10.0
    max_queued_events: int = 100_000
    max_queued_bytes: int = 256 * 1024 * 1024
    overflow: Literal["dropOldest", "dropNewest", "pause"] = "dropOldest"
    shed_first: tuple[str, ...] = ()
    spool_max_bytes: int = 2 * 1024**3
    max_attempts: int = 10
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


Role = Literal["standby", "active", "draining", "ending"]


class Assignment(_Message):
    """All that one instance of a pod has to do, numbered (term, n); a lower term is ignored.

    `role`: `active` holds its range, taking from `peers` what they hold; `draining` keeps its sessions until a
    successor takes them; `ending` has no successor, and closes its sessions resumably when it is told to stop. While a
    reshard runs, `counterparts` are the instances of the other epoch that hold sessions of this one's guilds.
    `rejoin_voice`: the pending set delivers everything, and is to bring the bot's voice over to its sessions;
    `announce`: and to tell the bot that it does. `inherits`: this set delivers everything, and
    the other one, which is about to end, has dead letters that are to be fetched.
    """

    kind: Literal["assignment"] = "assignment"
    version: int = CONTRACT_VERSION
    term: int
    n: int
    gateway: str
    pod: str
    instance: str = ""
    epoch: int
    shard_count: int
    range: ShardRange
    role: Role
    ownership: Ownership
    windows: Windows = Windows()
    handover: Handover | None = None
    counterparts: tuple[Peer, ...] = ()
    rejoin_voice: bool = False
    announce: bool = False
    inherits: bool = False
    checkpoints: tuple[Checkpoint, ...] = ()
    peers: tuple[Peer, ...] = ()
    shards_per_worker: int = 8
    max_workers: int | None = None
    discord: DiscordSettings
    delivery: DeliverySettings


ShardState = Literal[
    "disconnected",
    "connecting",
    "awaiting_permit",
    "awaiting_transfer",
    "identifying",
    "resuming",
    "connected",
    "refused",
    "released",
]


class ShardObserved(_Message):
    """One shard as its pod sees it. `checkpoint_local`: acknowledged or spooled; `checkpoint_remote`: acknowledged.

    `released`: given to a successor; `backlog`: events that the successor has still to fetch. `gap`: seconds for which
    nothing was read from Discord at the last interruption, None before the first. `calm_for`: seconds for which it has
    been connected without one, None while it is not.
    """

    shard_id: int
    state: ShardState
    guilds: int = 0
    unavailable_guilds: int = 0
    all_guilds_loaded: bool = False
    latency: float | None = None
    session_id: str | None = None
    seq: int | None = None
    acknowledged_seq: int | None = None
    checkpoint_local: Checkpoint | None = None
    checkpoint_remote: Checkpoint | None = None
    backlog: int = 0
    gap: float | None = None
    calm_for: float | None = None
    close_code: int | None = None
    problem: str | None = None


HandoverState = Literal[
    "fencing",
    "fenced",
    "undone",
    "lost",
    "rehearsing",
    "rehearsed",
    "waiting",
    "live",
    "expired",
    "settled",
]


class HandoverObserved(_Message):
    """How far an instance is with the handover of its assignment; `reason` says why it is no further.

    A giver is `fencing` until the bot has acknowledged all that it had taken, then `fenced`; `undone`: that took too
    long, and it delivers again. A taker is `rehearsing` until both sets agree, then `rehearsed`; `waiting` for its
    lease, `live`, and `settled` when all it had kept is acknowledged and stored; `expired`: its lease ran out, and it
    holds. `lost`: it was started again in the middle; a giver then holds all of the range, a taker never goes live.
    """

    number: int
    role: Literal["giver", "taker"]
    state: HandoverState
    reason: str | None = None


class QueueObserved(_Message):
    """What waits in the pod. `events_longest` is the most that ever waited at once since the pod's start."""

    events: int = 0
    bytes: int = 0
    oldest_age: float = 0.0
    events_longest: int = 0


class SpoolObserved(_Message):
    """What of the queue is on disk as well. `problem`: why no more can be written."""

    events: int = 0
    bytes: int = 0
    problem: str | None = None


class SinkObserved(_Message):
    up: bool
    problem: str | None = None


class Counters(_Message):
    """Events since the pod's start."""

    received: int = 0
    delivered: int = 0
    filtered: int = 0
    dropped: dict[str, int] = Field(default_factory=dict)
    dead_lettered: int = 0
    identifies: int = 0
    resumes: int = 0
    transfers: int = 0
    worker_restarts: int = 0


class Observed(_Message):
    """All that one pod knows of itself. `term`, `n`: the assignment in force; 0, 0 before the first.

    `watching_for`: seconds for which all its workers have remembered what they saw, as a handover needs it; None when
    no reshard runs. `loop_lag`: seconds that the slowest worker's loop was late at most in the last seconds.

    `voice`: in how many guilds the bot's voice hangs on a session that is not this pod's, as far as it was told; None
    but for a pending set. `voice_to_rejoin`: those of them still to be brought over, None until the assignment says so.
    """

    kind: Literal["observed"] = "observed"
    version: int = CONTRACT_VERSION
    pod: str
    instance: str = ""
    term: int = 0
    n: int = 0
    epoch: int = 0
    shard_count: int = 0
    range: ShardRange | None = None
    ownership: Ownership | None = None
    ready: bool = False
    why_not_ready: str | None = None
    stopping: bool = False
    http_address: str | None = None
    shards: tuple[ShardObserved, ...] = ()
    queue: QueueObserved = QueueObserved()
    spool: SpoolObserved = SpoolObserved()
    dead_letters: int = 0
    sink: SinkObserved | None = None
    handover: HandoverObserved | None = None
    watching_for: float | None = None
    loop_lag: float = 0.0
    voice: int | None = None
    voice_to_rejoin: int | None = None
    counters: Counters = Counters()


class PermitRequest(_Message):
    """Asks leave to identify one shard. With `ready` false (no Hello yet) only the waiting time is answered."""

    kind: Literal["permit_request"] = "permit_request"
    request: int
    epoch: int
    shard_id: int
    shard_count: int
    ready: bool


class PermitAnswer(_Message):
    """Granted: identify within `expires_in` of the *asking*. Else ask again in `retry_in`; `reason` says why."""

    kind: Literal["permit_answer"] = "permit_answer"
    request: int
    term: int
    permit: int | None = None
    expires_in: float = 0.0
    retry_in: float = 0.0
    reason: str | None = None


class IdentifySent(_Message):
    """The Identify that `permit` allowed has been written to the socket."""

    kind: Literal["identify_sent"] = "identify_sent"
    permit: int
    epoch: int
    shard_id: int


class LeaseRequest(_Message):
    """A taker asks leave to deliver the range of handover `number`; `live`: it had leave before."""

    kind: Literal["lease_request"] = "lease_request"
    request: int
    number: int
    live: bool = False


class LeaseAnswer(_Message):
    """Granted: deliver for `lasts` seconds from the *asking*. Without it ask again soon; `reason` says why."""

    kind: Literal["lease_answer"] = "lease_answer"
    request: int
    term: int
    lasts: float | None = None
    reason: str | None = None


class NotLeader(_Message):
    """The control service's replica that answered does not lead: try another address."""

    kind: Literal["not_leader"] = "not_leader"


FromPod = Annotated[Observed | PermitRequest | IdentifySent | LeaseRequest, Field(discriminator="kind")]
FromOperator = Annotated[Assignment | PermitAnswer | LeaseAnswer | NotLeader, Field(discriminator="kind")]

from_pod: TypeAdapter[Observed | PermitRequest | IdentifySent | LeaseRequest] = TypeAdapter(FromPod)
from_operator: TypeAdapter[Assignment | PermitAnswer | LeaseAnswer | NotLeader] = TypeAdapter(FromOperator)
