"""The operator's logs: JSON for machines, readable on a terminal, and never a secret in them.

Everything goes through one handler on standard error, what libraries log as well. Secrets are removed from the
finished line, so that it does not matter where in an event, a nested value or a traceback one stood. The shard
pod has logs of its own: it must run without this package.
"""

import json
import logging
import sys
from collections.abc import Iterable
from enum import StrEnum
from typing import TextIO

import structlog

REDACTED = "***"


class LogFormat(StrEnum):
    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Redactor:
    """Replaces every known secret in a rendered line, as it is or escaped as renderers escape it."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
        # The longest first: a secret that holds another one must not leave its rest behind.
        self._spellings = sorted(spellings, key=len, reverse=True)

    def __call__(self, line: str) -> str:
        for spelling in self._spellings:
            line = line.replace(spelling, REDACTED)
        return line


def default_format(stream: TextIO) -> LogFormat:
    """Readable lines on a terminal, JSON for everything else."""
    return LogFormat.CONSOLE if stream.isatty() else LogFormat.JSON


def configure(*, log_format: LogFormat, level: LogLevel, secrets: Iterable[str], stream: TextIO | None = None) -> None:
    """Set up logging for the whole process; called again when secrets become known. `stream`: standard error."""
    stream = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(
            fmt="iso" if log_format is LogFormat.JSON else "%H:%M:%S", utc=log_format is LogFormat.JSON
        ),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_RedactingFormatter(Redactor(secrets), _renderer(log_format, stream), shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # websockets logs whole frames and headers at debug level.
    logging.getLogger("websockets").setLevel(logging.WARNING)


class _RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    def __init__(
        self, redactor: Redactor, renderer: structlog.typing.Processor, foreign: list[structlog.typing.Processor]
    ) -> None:
        super().__init__(
            foreign_pre_chain=foreign,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor(super().format(record))


def _renderer(log_format: LogFormat, stream: TextIO) -> structlog.typing.Processor:
    if log_format is LogFormat.JSON:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )


def _spellings(secret: str) -> set[str]:
    """The secret as JSON and as Python's repr of text and of bytes write it, and the one within the other."""
    written = {secret, repr(secret)[1:-1], repr(secret.encode())[2:-1]}
    return written | {json.dumps(text, ensure_ascii=escaped)[1:-1] for text in written for escaped in (True, False)}
