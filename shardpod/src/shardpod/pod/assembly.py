"""Builds what a worker has to know from an assignment: the contract's models become the hot path's plain values."""

import hashlib
import hmac

from shardpod.contract import Assignment, Checkpoint, Handover
from shardpod.handover import HandoverOrder, Orders, Windows
from shardpod.protocol import SessionSettings
from shardpod.spool import StoredSession
from shardpod.worker import SinkSettings, WorkerSettings
from shardpod.worker.messages import Begin, Neighbour, Neighbours

from .config import PodConfig


def cut_shards(assignment: Assignment) -> list[tuple[int, ...]]:
    """The shards of each worker, in order: `shardsPerWorker` at most, unless that takes more than `maxWorkers`."""
    first, last = assignment.range.first_shard_id, assignment.range.last_shard_id
    shards = last - first + 1
    workers = -(-shards // assignment.shards_per_worker)
    if assignment.max_workers is not None:
        workers = min(workers, assignment.max_workers)
    smaller, larger = divmod(shards, workers)
    cut = []
    for worker in range(workers):
        size = smaller + (worker < larger)
        cut.append(tuple(range(first, first + size)))
        first += size
    return cut


def begin_message(
    assignment: Assignment, config: PodConfig, shard_ids: tuple[int, ...], *, workers: int, neighbours: Neighbours
) -> Begin:
    """All that one of the pod's `workers` has to know."""
    settings = worker_settings(assignment, config, shard_ids, workers=workers, stored_only=neighbours.may_release)
    return Begin(settings, neighbours)


def worker_settings(
    assignment: Assignment, config: PodConfig, shard_ids: tuple[int, ...], *, workers: int, stored_only: bool = False
) -> WorkerSettings:
    """Translate. The bounds of the manifest are the pod's: each worker gets its part of them.

    `stored_only`: the pod has a successor, which may have shards already; a worker that died must not take them up.
    """
    discord, delivery = assignment.discord, assignment.delivery
    return WorkerSettings(
        shard_ids=shard_ids,
        shard_count=assignment.shard_count,
        session=SessionSettings(
            token=config.token,
            gateway_url=discord.gateway_url,
            compression=discord.compression,
            intents=discord.intents,
            presence=discord.presence,
        ),
        sink=SinkSettings(
            url=delivery.http.url,
            epoch=assignment.epoch,
            authorization=config.sink_authorization,
            timeout=delivery.timeout,
            compression=delivery.http.compression,
        ),
        ordering=delivery.ordering,
        max_queued_events=-(-delivery.max_queued_events // workers),
        max_queued_bytes=delivery.max_queued_bytes // workers,
        overflow=delivery.overflow,
        shed_first=frozenset(delivery.shed_first),
        spool_max_bytes=delivery.spool_max_bytes // workers,
        max_attempts=delivery.max_attempts,
        include=frozenset(delivery.include),
        exclude=frozenset(delivery.exclude),
        senders=-(-delivery.http.max_in_flight // workers),
        max_batch_events=delivery.http.max_batch_events,
        scratch=None if config.scratch is None else str(config.scratch),
        identity=identity_of(assignment, config),
        stored_only=stored_only or assignment.role != "active",
        ca_file=None if config.ca_file is None else str(config.ca_file),
        log_level=config.log_level,
        log_format=config.log_format,
        pod=config.instance,
    )


def neighbours(assignment: Assignment, config: PodConfig, *, stopping: bool, cut_off: bool = False) -> Neighbours:
    """Who this instance takes from, whether others may take from it, and whether an operator could say otherwise."""
    return Neighbours(
        instance=config.instance,
        takes_from=tuple(
            Neighbour(peer.instance, peer.address, peer.range.first_shard_id, peer.range.last_shard_id)
            for peer in assignment.peers
        ),
        checkpoints=_checkpoints(assignment),
        cut_off=cut_off,
        may_release=stopping or assignment.role == "draining",
        orders=orders_of(assignment),
        counterparts=tuple(
            Neighbour(peer.instance, peer.address, peer.range.first_shard_id, peer.range.last_shard_id)
            for peer in assignment.counterparts
        ),
        rejoin_voice=assignment.rejoin_voice,
        announce=assignment.announce,
        inherits=assignment.inherits,
    )


def orders_of(assignment: Assignment) -> Orders | None:
    """Who delivers what while two shard sets live; None where this pod's set is the only one.

    The pod of a set that is neither active nor pending, any more, delivers nothing.
    """
    ownership, windows = assignment.ownership, assignment.windows
    epoch, count = assignment.epoch, assignment.shard_count
    window = Windows(windows.max_skew, windows.fence_timeout)
    active = ownership.active_epoch, ownership.active_shard_count
    if ownership.pending_epoch is not None and ownership.pending_shard_count is not None:
        pending = ownership.pending_epoch, ownership.pending_shard_count
        if epoch in (active[0], pending[0]):
            handed = tuple((one.first_shard_id, one.last_shard_id) for one in ownership.handed)
            return Orders(epoch, *active, *pending, handed, window, _order(assignment.handover))
    elif epoch == active[0]:
        return None
    # As if everything were another's: all is handed over to the active set.
    return Orders(epoch, epoch, count, *active, ((0, active[1] - 1),), window)


def _order(handover: Handover | None) -> HandoverOrder | None:
    if handover is None:
        return None
    return HandoverOrder(
        handover.number,
        handover.range.first_shard_id,
        handover.range.last_shard_id,
        handover.from_epoch,
        handover.to_epoch,
        handover.step == "go",
        handover.blind,
    )


def identity_of(assignment: Assignment, config: PodConfig) -> str:
    """Tells sessions of other tokens or intents from this pod's, and tells nothing about the token."""
    what = f"{config.token}\0{assignment.discord.intents}".encode()
    return hmac.new(config.control_secret.encode(), what, hashlib.sha256).hexdigest()[:16]


def _checkpoints(assignment: Assignment) -> dict[int, StoredSession]:
    return {one.shard_id: _stored(one) for one in assignment.checkpoints}


def _stored(checkpoint: Checkpoint) -> StoredSession:
    return StoredSession(
        session_id=checkpoint.session_id,
        resume_gateway_url=checkpoint.resume_gateway_url,
        seq=checkpoint.seq,
        shard_count=checkpoint.shard_count,
        identity=checkpoint.identity,
        guild_count=checkpoint.guilds,
    )
