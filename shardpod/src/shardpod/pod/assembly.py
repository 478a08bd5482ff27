"""Builds a worker from an assignment: the contract's models become the hot path's plain values here."""

import ssl
from collections.abc import Callable
from random import Random

from shardpod.contract import Assignment
from shardpod.delivery import HttpSink
from shardpod.protocol import SessionSettings
from shardpod.transport import PicowsConnector
from shardpod.worker import Permits, Worker, WorkerSettings

from .config import PodConfig


def build_worker(
    assignment: Assignment, config: PodConfig, *, permits: Permits, random: Random, on_change: Callable[[], None]
) -> Worker:
    """Make the worker that holds the assignment's whole range."""
    delivery = assignment.delivery
    sink = HttpSink(
        delivery.http.url,
        epoch=assignment.epoch,
        shard_count=assignment.shard_count,
        batching=delivery.http.max_batch_events > 1,
        authorization=config.sink_authorization,
        timeout=delivery.timeout,
    )
    return Worker(
        worker_settings(assignment, config),
        connector=PicowsConnector(discord_tls(config)),
        permits=permits,
        sink=sink,
        random=random,
        on_change=on_change,
    )


def worker_settings(assignment: Assignment, config: PodConfig) -> WorkerSettings:
    """Translate; every shard of the range is the one worker's."""
    discord, delivery = assignment.discord, assignment.delivery
    return WorkerSettings(
        shard_ids=tuple(range(assignment.range.first_shard_id, assignment.range.last_shard_id + 1)),
        shard_count=assignment.shard_count,
        session=SessionSettings(
            token=config.token,
            gateway_url=discord.gateway_url,
            compression=discord.compression,
            intents=discord.intents,
            presence=discord.presence,
        ),
        ordering=delivery.ordering,
        max_queued_events=delivery.max_queued_events,
        max_queued_bytes=delivery.max_queued_bytes,
        overflow=delivery.overflow,
        include=frozenset(delivery.include),
        exclude=frozenset(delivery.exclude),
        senders=delivery.http.max_connections,
        max_batch_events=delivery.http.max_batch_events,
    )


def discord_tls(config: PodConfig) -> ssl.SSLContext:
    """Trust the system's authorities, and the extra one of the configuration."""
    context = ssl.create_default_context()
    if config.ca_file is not None:
        context.load_verify_locations(config.ca_file)
    return context
