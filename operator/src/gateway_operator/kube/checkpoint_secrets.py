"""The sessions of one range as a Secret, and back. Who knows a session can take it over, hence no ConfigMap.

One Secret a range, so that a write is small and a Secret's bound (1 MiB, API reference) is never near.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from gateway_operator.core.checkpoints import Checkpoints
from gateway_operator.core.layout import pods_of
from gateway_operator.core.world import PodSpec, ShardSet
from shardpod.contract import Checkpoint

from .names import Body, Owner, checkpoints_name, range_labels

SECRET_TYPE = "discordgateway.dev/checkpoints"  # noqa: S105 -- a kind of Secret
KEY = "checkpoints.json"

MAX_CHECKPOINT_BYTES = 960
"""One takes some 250. So long at most, those of 1,024 shards, the most in a pod, stay below a Secret's 1 MiB."""


class Written(NamedTuple):
    """`left_out`: the shards whose session is too long to be kept, which is no session of Discord's."""

    secret: Body
    left_out: tuple[int, ...]


class Read(NamedTuple):
    """`problems`: what could not be read and is done without, fit for a log; no session is shown."""

    checkpoints: tuple[Checkpoint, ...]
    problems: tuple[str, ...]


def by_range(gateway: str, shard_sets: Iterable[ShardSet], known: Checkpoints) -> Mapping[PodSpec, list[Checkpoint]]:
    """What belongs into which Secret; ranges without any session are in it as well."""
    return {
        pod: [known[key] for shard_id in pod.shards if (key := (shard_id, shard_set.shard_count)) in known]
        for shard_set in shard_sets
        for pod in pods_of(gateway, shard_set)
    }


def checkpoint_secret(owner: Owner, pod: PodSpec, checkpoints: Iterable[Checkpoint]) -> Written:
    """The Secret of the range."""
    kept, left_out = [], []
    for one in sorted(checkpoints, key=lambda checkpoint: (checkpoint.shard_count, checkpoint.shard_id)):
        text = json.dumps(one.model_dump(mode="json"), separators=(",", ":"))
        if len(text) > MAX_CHECKPOINT_BYTES:
            left_out.append(one.shard_id)
        else:
            kept.append(text)
    data = base64.b64encode(f"[{','.join(kept)}]".encode()).decode()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": SECRET_TYPE,
        "metadata": owner.metadata(checkpoints_name(owner.name, pod), range_labels(pod)),
        "data": {KEY: data},
    }
    return Written(secret, tuple(left_out))


def read_checkpoints(secret: Mapping[str, Any]) -> Read:
    """What can be read of it: the shards of the others identify, as after the loss of a session."""
    name = (secret.get("metadata") or {}).get("name", "a Secret")
    try:
        items = json.loads(base64.b64decode((secret.get("data") or {})[KEY], validate=True))
    except (KeyError, TypeError, ValueError, binascii.Error, RecursionError):
        return Read((), (f"{name}: {KEY} is missing or cannot be read; its shards' sessions are not known",))
    if not isinstance(items, list):
        return Read((), (f"{name}: {KEY} is no list; its shards' sessions are not known",))
    problems: list[str] = []
    return Read(tuple(_each(name, items, problems)), tuple(problems))


def _each(name: str, items: list[Any], problems: list[str]) -> Iterator[Checkpoint]:
    for index, item in enumerate(items):
        try:
            yield Checkpoint.model_validate(item)
        except ValidationError as error:
            fields = ", ".join(sorted({".".join(map(str, one["loc"])) or "all of it" for one in error.errors()}))
            problems.append(f"{name}: {KEY}[{index}] cannot be used ({fields}); that shard's session is not known")
