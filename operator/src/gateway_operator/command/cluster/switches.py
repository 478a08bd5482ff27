"""`kubectl dgw pause | suspend | resume`: the switches of a gateway on a cluster, spec.paused and spec.suspend."""

from collections.abc import Mapping

import click

from .asking import Cluster, on_cluster
from .choice import cluster_chosen, cluster_options

_CONTEXT = {"max_content_width": 110}


@click.command(
    short_help="Replace no pod and reshard nothing.",
    help="""Replace no pod and begin no reshard until `resume`. Events flow on, and what fails is still mended.

\b
Example
  kubectl dgw pause mybot
""",
    context_settings=_CONTEXT,
)
@click.argument("name", required=False)
@cluster_options
def pause(name: str | None) -> None:
    _switch(
        name,
        {"paused": True},
        "{name} is paused: no pod is replaced and no reshard goes on until `kubectl dgw resume {name}`; events flow",
    )


@click.command(
    short_help="Close all sessions until `resume`.",
    help="""Close all sessions until `resume`, so that they can be resumed. Not while the bot is down: what waits for it
goes with the pods, but for what Discord replays.

No event is received meanwhile. Discord replays those of a minute or so; after some minutes the sessions are gone, and
coming back costs an identify for each shard.

\b
Example
  kubectl dgw suspend mybot
""",
    context_settings=_CONTEXT,
)
@click.argument("name", required=False)
@cluster_options
def suspend(name: str | None) -> None:
    _switch(
        name,
        {"suspend": True},
        "{name} is being suspended: it receives nothing until `kubectl dgw resume {name}`; after some minutes that "
        "costs an identify for each shard",
    )


@click.command(
    short_help="Go on after `pause` or `suspend`.",
    help="""Go on after `pause` or `suspend`.

A reshard that was paused alone goes on by `kubectl dgw reshard --resume`.
""",
    context_settings=_CONTEXT,
)
@click.argument("name", required=False)
@cluster_options
def resume(name: str | None) -> None:
    # Taken out, not set to false: a field that is absent is at its default, whoever owns the manifest.
    _switch(name, {"paused": None, "suspend": None}, "{name} goes on: see `kubectl dgw status {name}`")


def _switch(asked: str | None, spec: Mapping[str, bool | None], words: str) -> None:
    chosen = cluster_chosen()
    assert chosen is not None, "these are commands of the plugin alone"

    async def work(cluster: Cluster) -> None:
        name = await cluster.one()
        await cluster.gateways.change(name, spec=spec)
        click.echo(words.format(name=name))

    on_cluster(chosen, asked, work)
