"""What a simulated Discord is like. Defaults are Discord's own where Discord publishes or shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from discord_simulator.intents import ALL_INTENTS
from discord_simulator.rules import IDENTIFY_INTERVAL_S, MAX_GUILDS_PER_SHARD

DEFAULT_TOKEN = "simulator-token"  # noqa: S105 - the token of a Discord that holds nothing
_GUILDS_PER_RECOMMENDED_SHARD = 1000  # observed ratio of GET /gateway/bot


class LiveResume(Enum):
    """A Resume of a session that still has a connection is undocumented: close the older one, or refuse with op 9."""

    CLOSE_OLDER = "close-older"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """`size` events at once, `every` so many seconds, on top of the rate."""

    every: float
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """Load to send: `rate` in events/s until `duration` (seconds) or `events` (a count) is reached, else until stopped.

    `mix` maps event types to weights; None is a mix like a mid-sized bot's.
    """

    rate: float
    duration: float | None = None
    events: int | None = None
    mix: Mapping[str, float] | None = None
    burst: Burst | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """Everything that is fixed when a simulator starts. A port of 0 takes a free one; times are in seconds.

    `replay_size` None follows the staff formula `max(100, min(3500, guilds * 75))` of the shard.
    `load` starts by itself once `start_load_after` sessions are ready. `guild_create_rate` is per session and second.
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
    load: LoadSettings | None = None
    start_load_after: int = 0

    @property
    def shards(self) -> int:
        """The recommended number of shards: as set, else one for every 1,000 guilds."""
        return self.recommended_shards or max(1, -(-self.guilds // _GUILDS_PER_RECOMMENDED_SHARD))
