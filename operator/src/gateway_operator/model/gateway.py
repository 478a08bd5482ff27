"""The DiscordGateway resource: everything a user may write, with its bounds and defaults, and nothing else.

The models are the source of the custom resource definition, so every list, map and string is bounded. Fields
typed `NotYet` are part of the resource and refused until they work. What a field means is in docs/, not here.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from .intents import intents_value
from .kinds import (
    MAX_EVENT_TYPES,
    SAID,
    Allowed,
    Bytes,
    CronExpression,
    EventType,
    Intent,
    Items,
    NotYet,
    SpoolBytes,
    Switch,
    Text,
    Whole,
    duration,
)
from .pod_overlay import PodOverlay
from .urls import HttpUrl, Link, WebSocketUrl

API_VERSION = "discordgateway.dev/v1alpha1"
KIND = "DiscordGateway"

MAX_NAME_CHARACTERS = 40
"""Leaves room in a DNS label (63, RFC 1123) for `-e<epoch>-<first>-<last>`."""

MAX_SHARDS = 65536
"""A bound, not a goal: at 1,000 guilds a shard it is far above the largest bots."""

_DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_QUALIFIED_NAME = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"

_MetadataKey = Annotated[
    Text, Field(max_length=253 + 1 + 63, pattern=_QUALIFIED_NAME), Allowed("a name such as app.kubernetes.io/part-of")
]

_Labels = Annotated[
    dict[
        _MetadataKey,
        Annotated[
            Text,
            Field(max_length=63, pattern=_LABEL_VALUE),
            Allowed("text of at most 63 letters, digits, '-', '_' and '.' (numbers and true/false in quotes)"),
        ],
    ],
    Field(max_length=64),
]
_Annotations = Annotated[
    dict[
        _MetadataKey,
        Annotated[Text, Field(max_length=262144), Allowed("text (numbers and true/false in quotes)", secret=True)],
    ],
    Field(max_length=64),
]


class _Part(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_null(cls, value: object) -> object:
        # Optional fields are absent, never null: an explicit null would stand in the way of `kubectl scale`.
        if value is None:
            raise PydanticCustomError(SAID, "{text}", {"text": "has no value: give it one, or leave the field out"})
        return value


class Metadata(_Part):
    name: Annotated[
        Text,
        Field(max_length=MAX_NAME_CHARACTERS, pattern=_DNS_LABEL),
        Allowed(f"at most {MAX_NAME_CHARACTERS} lower-case letters, digits and hyphens, no hyphen first or last"),
    ]
    namespace: Annotated[
        Text | None,
        Field(max_length=63, pattern=_DNS_LABEL),
        Allowed("at most 63 lower-case letters, digits and hyphens, no hyphen first or last"),
    ] = None
    labels: _Labels = Field(default_factory=dict)
    annotations: _Annotations = Field(default_factory=dict)


class SecretRef(_Part):
    """One key of a Secret. What users write here by mistake may be the secret itself, so it is never repeated."""

    name: Annotated[
        Text,
        Field(max_length=253, pattern=_DNS_SUBDOMAIN),
        Allowed("the name of a Secret (lower-case letters, digits, '-' and '.'), not the secret", secret=True),
    ]
    key: Annotated[
        Text,
        Field(max_length=253, pattern=r"^[-._a-zA-Z0-9]+$"),
        Allowed("the name of a key in the Secret (letters, digits, '-', '_' and '.'), not the secret", secret=True),
    ]


class Activity(_Part):
    """What a bot may set of an activity (Discord docs, Gateway Events: Activity Object)."""

    name: Annotated[Text, Field(min_length=1, max_length=128), Allowed("text of 1 to 128 characters")]
    type: Annotated[int, Whole(0, 5)] = 0
    state: Annotated[Text | None, Field(max_length=128), Allowed("text of at most 128 characters")] = None
    url: Link | None = None


class Presence(_Part):
    status: Annotated[Literal["online", "dnd", "idle", "invisible"], Allowed("online, dnd, idle or invisible")] = (
        "online"
    )
    activities: Annotated[Items[Activity], Field(max_length=8)] = ()
    since: Annotated[int | None, Whole(0, 2**53 - 1)] = None
    afk: Switch = False

    def payload(self) -> dict[str, Any]:
        """The presence as Identify takes it: `since` is always there, and null when unset."""
        return {
            "since": self.since,
            "activities": [activity.model_dump(exclude_none=True) for activity in self.activities],
            "status": self.status,
            "afk": self.afk,
        }


class Discord(_Part):
    base_url: HttpUrl = Field(default="https://discord.com/api/v10", alias="baseURL")
    authorization_secret_ref: SecretRef | None = None
    gateway_url: WebSocketUrl | None = Field(default=None, alias="gatewayURL")
    ca_secret_ref: SecretRef | None = None
    compression: Annotated[
        Literal["zstd-stream", "zlib-stream", "none"], Allowed("zstd-stream, zlib-stream or none")
    ] = "zstd-stream"


class Sharding(_Part):
    shards_per_pod: Annotated[int, Whole(1, 1024)] = 16
    shards_per_worker: Annotated[int, Whole(1, 1024)] = 8
    max_workers: Annotated[int | None, Whole(1, 256)] = None
    first_shard_id: Annotated[int | None, Whole(0, MAX_SHARDS - 1)] = None
    last_shard_id: Annotated[int | None, Whole(0, MAX_SHARDS - 1)] = None
    spawn_shard_delay: Annotated[float, *duration("at most 10m, such as 1500ms", at_least=0, at_most=600)] = 0.0
    max_concurrency: Annotated[int | None, Whole(1, 1024)] = None
    """It can only slow identifies down: Discord's own limit holds whatever is written here."""


class Window(_Part):
    """When automatic reshards may begin: `duration` from each date on that `cron` names, in UTC."""

    cron: CronExpression
    duration: Annotated[float, *duration("from 1m to 168h, such as 2h", at_least=60, at_most=604_800)]


class Reshard(_Part):
    """Left out, `auto` is true, but where the gateway holds a part of the shards: see `Spec.reshards_by_itself`."""

    auto: Switch = True
    percentage: Annotated[int, Whole(1, 100)] = 80
    basis: Annotated[Literal["fullestShard", "average"], Allowed("fullestShard or average")] = "fullestShard"
    use_optimal_large_bot_sharding: Switch = True
    identify_reserve: Annotated[int, Whole(0, 100_000)] = 100
    abort_after: Annotated[float, *duration("from 1s to 24h, such as 30m", at_least=1, at_most=86_400)] = 1800.0
    settle: Annotated[float, *duration("at most 1h, such as 5s", at_least=0, at_most=3600)] = 5.0
    drain_delay: Annotated[float, *duration("at most 1h, such as 30s", at_least=0, at_most=3600)] = 30.0
    max_skew: Annotated[float, *duration("from 100ms to 60s, such as 5s", at_least=0.1, at_most=60)] = 5.0
    fence_timeout: Annotated[float, *duration("from 100ms to 30s, such as 2s", at_least=0.1, at_most=30)] = 2.0
    voice: Annotated[Literal["rejoin", "wait"], Allowed("rejoin or wait")] = "rejoin"
    events: Switch = False
    """Whether the bot is told by an event of ours that another shard set delivers."""

    window: Window | None = None


class Batch(_Part):
    max_events: Annotated[int, Whole(1, 1000)] = 1


class HttpSink(_Part):
    url: HttpUrl
    authorization_secret_ref: SecretRef | None = None
    batch: Batch = Batch()
    max_in_flight: Annotated[int, Whole(1, 1024)] = 64
    compression: Annotated[Literal["none", "gzip"], Allowed("none or gzip")] = "none"


class Sink(_Part):
    http: HttpSink
    websocket: NotYet = None
    nats: NotYet = None
    redis: NotYet = None


class Spool(_Part):
    max_bytes: SpoolBytes = 2 * 2**30
    """0: events wait in memory alone."""


class Queue(_Part):
    max_events: Annotated[int, Whole(1, 100_000_000)] = 100_000
    max_bytes: Bytes = 256 * 2**20
    overflow: Annotated[Literal["dropOldest", "dropNewest", "pause"], Allowed("dropOldest, dropNewest or pause")] = (
        "dropOldest"
    )
    shed_first: Annotated[Items[EventType], Field(max_length=MAX_EVENT_TYPES)] = ()
    spool: Spool = Spool()


class Events(_Part):
    """Which events are delivered; an empty `include` means all."""

    include: Annotated[Items[EventType], Field(max_length=MAX_EVENT_TYPES)] = ()
    exclude: Annotated[Items[EventType], Field(max_length=MAX_EVENT_TYPES)] = ()


class Delivery(_Part):
    sink: Sink
    ordering: Annotated[Literal["guild", "shard", "none"], Allowed("guild, shard or none")] = "guild"
    timeout: Annotated[float, *duration("from 100ms to 10m, such as 10s", at_least=0.1, at_most=600)] = 10.0
    max_attempts: Annotated[int, Whole(1, 1000)] = 10
    queue: Queue = Queue()
    events: Events = Events()

    suppress_unchanged_edits: NotYet = None


class TemplateMetadata(_Part):
    labels: _Labels = Field(default_factory=dict)
    annotations: _Annotations = Field(default_factory=dict)


class Template(_Part):
    """Laid over the pods that the operator makes on Kubernetes. `spec` is part of a PodSpec: see pod_overlay.py."""

    metadata: TemplateMetadata = TemplateMetadata()
    spec: PodOverlay = Field(default_factory=dict)


class Spec(_Part):
    token_secret_ref: SecretRef
    intents: Annotated[Items[Intent], Field(min_length=1, max_length=64)]
    presence: Presence | None = None
    discord: Discord = Discord()
    shards: Annotated[int | None, Whole(1, MAX_SHARDS)] = None
    sharding: Sharding = Sharding()
    reshard: Reshard = Reshard()
    delivery: Delivery

    commands: NotYet = None
    handlers: NotYet = None
    template: Template | None = None
    paused: Switch = False
    suspend: Switch = False

    @property
    def intents_value(self) -> int:
        """All intents or'ed together, as Identify takes them."""
        return intents_value(self.intents)

    @property
    def stands_still(self) -> bool:
        """Whether no pod is replaced for new settings, no reshard begins, and none goes on to another range."""
        return self.paused or self.suspend

    @property
    def is_a_part(self) -> bool:
        """Whether other gateways hold further shards of the same set."""
        return self.sharding.first_shard_id is not None or self.sharding.last_shard_id is not None

    @property
    def reshards_by_itself(self) -> bool:
        """A number of shards that is given is kept; and of a set that others hold a part of, nobody decides alone."""
        return self.reshard.auto and self.shards is None and not self.is_a_part


class DiscordGateway(_Part):
    """One bot token's connection to Discord."""

    api_version: Literal["discordgateway.dev/v1alpha1"]
    kind: Literal["DiscordGateway"]
    metadata: Metadata
    spec: Spec
