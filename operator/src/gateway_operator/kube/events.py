"""Events of a DiscordGateway, as `kubectl describe` lists them.

What is said again is the same Event with a higher count: its name is made of what it says, so that nobody has to
remember it, and a gateway whose state swings to and fro has as many Events as it has states. Events of core/v1, whose
count may go up by an update; those of events.k8s.io/v1 may not be changed once they are there.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gateway_operator.model import API_VERSION, KIND

from .happenings import Happening
from .names import FIELD_MANAGER, Body, Owner

_MAX_MESSAGE = 1024
"""Characters: what events.k8s.io/v1 would allow of a note, into which the API server translates these."""

_DIGITS = 16


def event_name(owner: Owner, happening: Happening) -> str:
    """The same for the same words about the same resource."""
    content = json.dumps([owner.uid, happening.type, happening.reason, happening.message])
    return f"{owner.name}.{hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]}"


def event(
    owner: Owner, happening: Happening, *, now: str, replica: str, before: Mapping[str, Any] | None = None
) -> Body:
    """The whole Event. `before`: the one of that name, if it is still there.

    `now`: an RFC 3339 time to the second; `replica`: the operator's pod that says it.
    """
    earlier = before or {}
    message = happening.message
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event_name(owner, happening), "namespace": owner.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": owner.namespace,
            "name": owner.name,
            "uid": owner.uid,
        },
        "type": happening.type,
        "reason": happening.reason,
        "message": message if len(message) <= _MAX_MESSAGE else f"{message[: _MAX_MESSAGE - 1]}…",
        "count": int(earlier.get("count") or 0) + 1,
        "firstTimestamp": earlier.get("firstTimestamp") or now,
        "lastTimestamp": now,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "reportingInstance": replica,
    }
