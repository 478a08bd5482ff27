"""A revision stands for all in which a running instance cannot follow a changed assignment."""

import hashlib
import json

from gateway_operator.model import Spec

_LENGTH = 16
"""Hexadecimal digits: enough to tell the few revisions of one gateway apart."""


def revision(spec: Spec, *, secrets_digest: str, restarts: int) -> str:
    """Instances of another revision are replaced, one after the other. The layout is not in it: that is in names.

    Discord's answer is not in it either: should Discord name another URL one day, shards follow as they reconnect.
    """
    content = {
        "discord": spec.discord.model_dump(mode="json", by_alias=True),
        "intents": spec.intents_value,
        "presence": spec.presence.payload() if spec.presence else None,
        "delivery": spec.delivery.model_dump(mode="json", by_alias=True),
        "workers": [spec.sharding.shards_per_worker, spec.sharding.max_workers],
        "secrets": secrets_digest,
        "restarts": restarts,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_LENGTH]
