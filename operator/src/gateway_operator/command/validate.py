"""`discord-gateway validate`: says whether a file is a gateway that can run, and what would run."""

from pathlib import Path

import click

from gateway_operator.model import DiscordGateway, Spec

from .manifest_file import read_manifest

_HELP = """Check FILE without running it, and without asking Discord or a cluster.

\b
Example
  discord-gateway validate gateway.yaml

Exit code 0 if it is valid; 2 with a line for each problem if it is not.
"""


@click.command(help=_HELP, short_help="Check a file.", context_settings={"max_content_width": 110})
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def validate(file: Path) -> None:
    click.echo(f"{file}: valid, {summary(read_manifest(file))}")


def summary(gateway: DiscordGateway) -> str:
    """What would run, in a line: `mybot: 32 shards, 16 in a pod (2 pods), events to http://bot:8080/`."""
    spec = gateway.spec
    return f"{gateway.metadata.name}: {_shards(spec)}, events to {spec.delivery.sink.http.url}"


def _shards(spec: Spec) -> str:
    per_pod = spec.sharding.shards_per_pod
    if spec.shards is None:
        return f"as many shards as Discord recommends, {per_pod} in a pod"
    first = spec.sharding.first_shard_id or 0
    last = spec.shards - 1 if spec.sharding.last_shard_id is None else spec.sharding.last_shard_id
    held = last - first + 1
    which = _count(held, "shard") if held == spec.shards else f"shards {first} to {last} of {spec.shards}"
    return f"{which}, {per_pod} in a pod ({_count(-(-held // per_pod), 'pod')})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
