"""The pod's logs: readable on a terminal, JSON for machines, and never a secret in them."""

import contextlib
import logging
import sys
from collections.abc import Iterable
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

REDACTED = "***"


def configure_logs(*, log_format: str | None, level: str, secrets: Iterable[str], pod: str) -> None:
    """Set up structlog on stderr. `log_format`: "json", "console", or None to decide by whether it is a terminal."""
    console = log_format == "console" or (log_format is None and sys.stderr.isatty())
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _named(pod),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console),
        structlog.processors.format_exc_info,
        Redact(secrets),
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if console
        else structlog.processors.JSONRenderer(sort_keys=False),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Lines())),
        cache_logger_on_first_use=True,
    )


def _named(pod: str) -> Processor:
    """Whose line it is, whichever task writes it."""

    def add(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event.setdefault("pod", pod)
        return event

    return add


class _Lines:
    """stderr, a whole line at a time: several pods share it. A pod outlives a terminal that was closed."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


class Redact:
    """Replaces secrets in every value of a log line, tracebacks and nested values included."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secret for secret in secrets if secret)

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        return {key: self._clean(value) for key, value in event.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(item) for item in value]
        if isinstance(value, int | float | bool | None):
            return value
        text = str(value)
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return text
