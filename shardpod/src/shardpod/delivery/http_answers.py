"""What the bot's answer to a request means: how many events it took, and if not all, why and what to do."""

from http import HTTPStatus
from typing import Any

import msgspec

from .http_connection import Answer
from .sink import SinkError

_BOT_IN_TROUBLE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""The answers 4xx that ask for another try, rather than refuse the event."""

_ADVICE: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "check the secret that delivery.sink.http.authorizationSecretRef names",
    HTTPStatus.FORBIDDEN: "check the secret that delivery.sink.http.authorizationSecretRef names",
    HTTPStatus.NOT_FOUND: "check the path of delivery.sink.http.url",
    HTTPStatus.METHOD_NOT_ALLOWED: "it takes no POST there; check the path of delivery.sink.http.url",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "let it take larger bodies, or lower delivery.sink.http.batch.maxEvents",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (
        "it must take application/json, and gzip if delivery.sink.http.compression says so"
    ),
}


class _Body(msgspec.Struct):
    acknowledged: Any = msgspec.UNSET


def refusal(answer: Answer, events: int, *, batching: bool) -> SinkError | None:
    """Why not all of the request's `events` are acknowledged; None if they are.

    Only with `batching` may the body say how many were taken: to a single event it is the bot's own business.
    """
    said = _acknowledged_of(answer.body) if batching and answer.body else msgspec.UNSET
    taken = said if isinstance(said, int) and not isinstance(said, bool) else None
    if taken is not None and taken >= events:
        return None
    acknowledged = max(0, taken or 0)
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return SinkError(
            _not_taken(answer.status),
            retry_after=answer.retry_after,
            acknowledged=acknowledged,
            rejected=_is_rejection(answer.status),
        )
    if said is msgspec.UNSET:
        return None
    if taken is None or taken < 0:
        return SinkError(f'the bot answered {answer.status}, but its "acknowledged" is no number of events')
    return SinkError(f"the bot acknowledged {taken} of {events} events", acknowledged=acknowledged)


def _is_rejection(status: int) -> bool:
    client_error = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return client_error and status not in _BOT_IN_TROUBLE


def _not_taken(status: int) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return (
            f"the bot answered {status}: redirects are not followed; give the final address as delivery.sink.http.url"
        )
    advice = _ADVICE.get(status)
    return f"the bot answered {status}" + (f": {advice}" if advice else "")


def _acknowledged_of(body: bytes) -> object:
    """What the body gives as `acknowledged`; UNSET when it says nothing of it."""
    try:
        return msgspec.json.decode(body, type=_Body).acknowledged
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.UNSET
