"""Writes how a gateway stands into its resource, and into Events what a person should know. No pass waits for it."""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from gateway_operator.core.status_model import GatewayStatus

from .api import EVENT, GATEWAY, ApiError, KubeApi
from .events import event, event_name
from .happenings import Happening, happenings
from .names import Owner, pod_selector
from .status_body import status_body
from .wording import worded_for_cluster

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

AT_MOST_EVERY = 1.0
"""Seconds between two writes of a status: counts change with every report."""

MOST_WAITING = 50
"""Events kept while they cannot be written; then the oldest are given up, as what matters is in the status."""

_RFC_3339 = "%Y-%m-%dT%H:%M:%SZ"


class Reporter:
    """Of one gateway. `previous`: the status that the resource has."""

    def __init__(
        self,
        api: KubeApi,
        owner: Owner,
        *,
        previous: Mapping[str, Any],
        clock: Callable[[], float],
        calendar: Callable[[], datetime],
        replica: str,
    ) -> None:
        self._api = api
        self._owner = owner
        self._written: Mapping[str, Any] = previous
        self._told: GatewayStatus | None = None
        self._was_told = bool(previous)
        self._to_tell: deque[Happening] = deque(maxlen=MOST_WAITING)
        self._clock = clock
        self._calendar = calendar
        self._replica = replica
        self._due = clock()

    async def report(self, status: GatewayStatus, *, generation: int) -> None:
        """Write what is new. What cannot be written now is written by a later pass."""
        now = self._clock()
        if now < self._due:
            return
        date = self._calendar().astimezone(UTC)
        status = worded_for_cluster(status)
        body = status_body(
            status,
            generation=generation,
            previous=self._written,
            now=date.strftime(_RFC_3339),
            selector=pod_selector(self._owner.name),
        )
        if body == self._written and not self._to_tell:
            return
        self._due = now + AT_MOST_EVERY
        try:
            await self._write(body)
            self._note_news(status)
            await self._tell(date.strftime(_RFC_3339))
        except ApiError as error:
            if error.refused:
                logger.warning("the status is refused by the API server", problem=str(error))
            else:
                logger.debug("the status or an Event cannot be written, which is tried again", problem=str(error))

    async def _write(self, body: Mapping[str, Any]) -> None:
        if body != self._written:
            change = {"status": status_patch(self._written, body)}
            await self._api.patch(GATEWAY, self._owner.namespace, self._owner.name, change, subresource="status")
            self._written = body

    def _note_news(self, status: GatewayStatus) -> None:
        told, self._told = self._told, status
        found = happenings(told, status)
        if told is None and self._was_told:
            # A leader that follows another one has no news but what is wrong.
            found = [one for one in found if one.type == "Warning"]
        self._to_tell += found

    async def _tell(self, now: str) -> None:
        while self._to_tell:
            try:
                await self._tell_of(self._to_tell[0], now)
            except ApiError as error:
                if not error.refused:
                    raise
                logger.warning("an Event is refused by the API server", problem=str(error))
            self._to_tell.popleft()

    async def _tell_of(self, happening: Happening, now: str) -> None:
        before = await self._api.get(EVENT, self._owner.namespace, event_name(self._owner, happening))
        body = event(self._owner, happening, now=now, replica=self._replica, before=before)
        if before is None:
            await self._api.create(EVENT, body)
        else:
            await self._api.replace(EVENT, body | {"metadata": before["metadata"]})


def status_patch(before: Any, after: Any) -> Any:
    """The merge patch (RFC 7396) from one to the other, where maps are concerned; lists are replaced whole.

    It leaves alone what is not in it, so that what is no longer true has to be named.
    """
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return after
    gone = {key: None for key in before if key not in after}
    return {**{key: status_patch(before.get(key), value) for key, value in after.items()}, **gone}
