"""Rules about fields that are right each by itself and wrong together."""

from collections.abc import Iterator

from shardpod.contract import Windows

from .gateway import Delivery, Events, Reshard, Spec, Template
from .pod_overlay import protected
from .problems import Problem


def broken_rules(spec: Spec) -> Iterator[Problem]:
    """Everything in `spec` that does not go together."""
    yield from _part_of_the_set(spec)
    yield from _part_that_reshards(spec)
    yield from _given_up_while_it_goes_on(spec.reshard)
    yield from _included_and_excluded(spec.delivery.events)
    yield from _shed_though_never_queued(spec.delivery)
    yield from _changes_what_is_ours(spec.template)


def _part_of_the_set(spec: Spec) -> Iterator[Problem]:
    sharding = spec.sharding
    given = {"firstShardId": sharding.first_shard_id, "lastShardId": sharding.last_shard_id}
    for name, value in given.items():
        path = f"spec.sharding.{name}"
        if value is None:
            continue
        if spec.shards is None:
            yield Problem(path, "holds a part of the shards, so spec.shards must say how many there are in all")
        elif value >= spec.shards:
            allowed = f"a whole number from 0 to {spec.shards - 1}"
            yield Problem(path, f"must be {allowed} (spec.shards is {spec.shards}), not {value}", allowed)
    first, last = sharding.first_shard_id, sharding.last_shard_id
    if first is not None and last is not None and first > last:
        yield Problem(
            "spec.sharding.lastShardId",
            f"is {last}, before firstShardId, which is {first}; both are part of the range",
            f"a whole number from {first} on",
        )


def _part_that_reshards(spec: Spec) -> Iterator[Problem]:
    """Who wrote it expects something else than what happens; left out, it is taken for false."""
    if spec.is_a_part and spec.reshard.auto and "auto" in spec.reshard.model_fields_set:
        yield Problem(
            "spec.reshard.auto",
            "must be false where spec.sharding.firstShardId or lastShardId is given: the others hold shards as well, "
            "and none can decide alone how many there are",
            "false",
        )


def _given_up_while_it_goes_on(reshard: Reshard) -> Iterator[Problem]:
    """Such a reshard would identify all its shards, and be given up each time."""
    watching = Windows(max_skew=reshard.max_skew, fence_timeout=reshard.fence_timeout).history
    if reshard.abort_after <= watching:
        yield Problem(
            "spec.reshard.abortAfter",
            f"must be longer than {watching:g}s, for which both shard sets are compared (5 times maxSkew and 4 times "
            "fenceTimeout), as each reshard would be given up meanwhile",
            f"longer than {watching:g}s",
        )
    elif reshard.abort_after <= reshard.settle:
        yield Problem(
            "spec.reshard.abortAfter",
            "must be longer than settle, as each reshard of several pods would be given up between two of them",
            "longer than settle",
        )


def _included_and_excluded(events: Events) -> Iterator[Problem]:
    for index, event_type in enumerate(events.exclude):
        if event_type in events.include:
            yield Problem(
                f"spec.delivery.events.exclude[{index}]", f"{event_type} is included as well: leave one of the two out"
            )


def _shed_though_never_queued(delivery: Delivery) -> Iterator[Problem]:
    """A type that a filter keeps out never waits in the queue: the one who sheds it expects something else."""
    events = delivery.events
    for index, event_type in enumerate(delivery.queue.shed_first):
        path = f"spec.delivery.queue.shedFirst[{index}]"
        if event_type in events.exclude:
            yield Problem(
                path, f"{event_type} is excluded by spec.delivery.events.exclude: leave it out in one of the two"
            )
        elif events.include and event_type not in events.include:
            yield Problem(
                path, f"{event_type} is not among spec.delivery.events.include: add it there, or leave it out here"
            )


def _changes_what_is_ours(template: Template | None) -> Iterator[Problem]:
    if template is not None:
        yield from protected(template.metadata.labels, template.metadata.annotations, template.spec)
