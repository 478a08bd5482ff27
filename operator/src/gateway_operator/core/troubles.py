"""Everything that is wrong at the moment, worst first, each said so that a person knows what to do."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway_operator.model import DiscordGateway
from shardpod.contract import Observed

from .digest import digest
from .refusals import explain_refusal
from .world import InstanceSeen, Plan, World


@dataclass(frozen=True, slots=True)
class Trouble:
    """A condition's reason and message (no full stop). `refused`: Discord's last word, waiting does not help."""

    reason: str
    message: str
    refused: bool = False


def troubles(gateway: DiscordGateway, world: World, plan: Plan) -> tuple[Trouble, ...]:
    """What is wrong with the pods of the active set, with the bot, and with Discord's REST API.

    Until it delivers something, what is wrong with the pending set's pods keeps a reshard waiting and nothing else: see
    `pending_troubles`.
    """
    if plan.suspended:
        return tuple(_unreadable_info(world))
    everyone = _wanted(world, plan, pending=False) | _wanted(world, plan, pending=True)
    delivering = everyone if plan.reshard is not None and plan.reshard.handed else _wanted(world, plan, pending=False)
    return (
        *_refusals(_heard(delivering), gateway.spec.intents_value),
        *_failing_pods(delivering),
        *_failing_spools(_heard(everyone)),
        *_unreachable_bot(_heard(everyone), gateway.spec.delivery.sink.http.url),
        *_unreadable_info(world),
    )


def pending_troubles(gateway: DiscordGateway, world: World, plan: Plan) -> tuple[Trouble, ...]:
    """What is wrong with the pods of the set that is to take over."""
    pending = _wanted(world, plan, pending=True)
    return (*_refusals(_heard(pending), gateway.spec.intents_value), *_failing_pods(pending))


def _wanted(world: World, plan: Plan, *, pending: bool) -> dict[str, InstanceSeen]:
    """The instances that are there and should run, of the pending set or of the others."""
    epoch = plan.reshard.pending.epoch if plan.reshard is not None else None
    names = [one.spec.name for one in plan.instances if (one.spec.pod.epoch == epoch) is pending]
    return {name: world.instances[name] for name in names if name in world.instances}


def _heard(instances: dict[str, InstanceSeen]) -> list[Observed]:
    return [one.observed for one in instances.values() if one.connected and one.observed is not None]


def _failing_pods(instances: dict[str, InstanceSeen]) -> Iterator[Trouble]:
    return (Trouble("PodFailing", f"{name}: {one.problem}") for name, one in instances.items() if one.problem)


def _refusals(heard: list[Observed], intents: int) -> Iterator[Trouble]:
    shards_by_code: dict[int | None, list[int]] = defaultdict(list)
    for pod in heard:
        for shard in digest(pod).refused:
            shards_by_code[shard.close_code].append(shard.shard_id)
    for code, shards in shards_by_code.items():
        reason, message = explain_refusal(code, intents)
        which = f"shard {shards[0]}" if len(shards) == 1 else f"{len(shards):,} shards"
        yield Trouble(reason, f"{message} ({which})", refused=True)


def _failing_spools(heard: list[Observed]) -> Iterator[Trouble]:
    failing = [observed for observed in heard if observed.spool.problem]
    if not failing:
        return
    names = ", ".join(observed.instance or observed.pod for observed in failing)
    yield Trouble(
        "SpoolFailing",
        f"{names}: events that wait cannot be written to disk ({failing[0].spool.problem}); they are in memory only, "
        "and a crash of the pod would lose what Discord does not send again",
    )


def _unreachable_bot(heard: list[Observed], url: str) -> Iterator[Trouble]:
    down = [pod for pod in heard if pod.sink is not None and not pod.sink.up]
    if not down:
        return
    why = next((f" ({pod.sink.problem})" for pod in down if pod.sink is not None and pod.sink.problem), "")
    waiting = sum(pod.queue.events for pod in down)
    # The host alone: the rest of a user's URL may hold what is nobody else's business.
    yield Trouble("BotUnreachable", f"the bot at {urlsplit(url).netloc} takes no events{why}; {waiting:,} wait for it")


def _unreadable_info(world: World) -> Iterator[Trouble]:
    if world.info_problem is None:
        return
    goes_on = "running shards are not affected, " if world.active else "no shard can start, "
    yield Trouble("DiscordRestUnreachable", f"{world.info_problem}; {goes_on}and it is tried again")
