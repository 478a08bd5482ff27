"""What a simulated Discord is like. Defaults are Discord's own where Discord publishes or shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from discord_simulator.conditions import LiveResume
from discord_simulator.intents import ALL_INTENTS
from discord_simulator.rules import IDENTIFY_INTERVAL_S, MAX_GUILDS_PER_SHARD
from discord_simulator.timeline import Timeline

DEFAULT_TOKEN = "simulator-token"  # noqa: S105 - the token of a Discord that holds nothing
_GUILDS_PER_RECOMMENDED_SHARD = 1000  # observed ratio of GET /gateway/bot


class FullShards(Enum):
    """What happens to new guilds of a shard that holds its maximum: undocumented, so ALLOW; some say BLOCK."""

    ALLOW = "allow"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """`size` events at once, `every` so many seconds, on top of the rate."""

    every: float
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeRates:
    """Changes of guilds a second: new ones, ones that are left, left ones that come back, and outages.

    An outage lasts `outage_seconds`.
    """

    joins: float = 0.0
    leaves: float = 0.0
    comebacks: float = 0.0
    outages: float = 0.0
    outage_seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryShares:
    """Of messages, the share with links, which unfurl; and of these, the share that is edited afterwards."""

    links: float = 0.05
    edits: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """Load to send: `rate` in events/s until `duration` (seconds) or `events` (a count) is reached, else until stopped.

    `mix` maps event types to weights; None is a mix like a mid-sized bot's. `look_alikes` is the share of typing,
    presence, voice state, reaction and member events that repeat the last one of their type, content for content.
    """

    rate: float
    duration: float | None = None
    events: int | None = None
    mix: Mapping[str, float] | None = None
    burst: Burst | None = None
    look_alikes: float = 0.0
    stories: StoryShares = StoryShares()
    life: LifeRates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """Everything that is fixed when a simulator starts. A port of 0 takes a free one; times are in seconds.

    `guild_members` None gives every guild a few. `replay_size` None follows the staff formula
    `max(100, min(3500, guilds * 75))` of the shard. `guild_create_rate` is per session and second. Without
    `event_numbers` the numbers are not in `d`: the ledger alone has them. `load` and `timeline` start by themselves
    once `start_load_after` and `start_timeline_after` sessions are ready.
    """

    host: str = "127.0.0.1"
    rest_port: int = 0
    rest_tls_port: int = 0
    gateway_port: int = 0
    gateway_tls_port: int = 0
    control_port: int = 0
    tls_names: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    ca_out: str | None = None

    token: str = DEFAULT_TOKEN
    any_token: bool = False
    granted_intents: int = ALL_INTENTS
    guilds: int = 100
    guild_members: int | None = None
    recommended_shards: int | None = None
    max_concurrency: int = 1
    identify_interval: float = IDENTIFY_INTERVAL_S
    identify_total: int = 1000
    identify_remaining: int | None = None
    charge_refused_identifies: bool = True
    max_guilds_per_shard: int = MAX_GUILDS_PER_SHARD
    shard_multiple: int = 1

    heartbeat_interval_ms: int = 41_250
    heartbeat_close_code: int = 1000
    replay_size: int | None = None
    replay_ttl: float = 90.0
    live_resume: LiveResume = LiveResume.CLOSE_OLDER
    guild_create_rate: float = 1000.0
    outgoing_limit_bytes: int = 32 * 1024 * 1024

    seed: int = 0
    full_shards: FullShards = FullShards.ALLOW
    event_numbers: bool = True
    load: LoadSettings | None = None
    start_load_after: int = 0
    timeline: Timeline | None = None
    start_timeline_after: int = 0

    def shards_for(self, guilds: int) -> int:
        """The recommended number of shards: as set, else one for every 1,000 guilds."""
        return self.recommended_shards or max(1, -(-guilds // _GUILDS_PER_RECOMMENDED_SHARD))
