import io
import json
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway_operator import logs
from gateway_operator.logs import LogFormat, LogLevel, Redactor

TOKEN = "the.bot-token_value"
AWKWARD = "quote\" back\\slash é\n'line"


@pytest.fixture
def configured():
    """Configure logging to a string, and put everything back afterwards."""
    root, websockets = logging.getLogger(), logging.getLogger("websockets")
    before = (root.handlers[:], root.level, websockets.level)

    def configure(log_format=LogFormat.JSON, level=LogLevel.INFO, secrets=(TOKEN, AWKWARD)) -> io.StringIO:
        stream = io.StringIO()
        logs.configure(log_format=log_format, level=level, secrets=secrets, stream=stream)
        return stream

    yield configure
    structlog.reset_defaults()
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    websockets.setLevel(before[2])


def test_an_event_is_one_line_of_json_with_time_and_level(configured):
    stream = configured()
    structlog.get_logger("a").info("shard connected", shard=3)

    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "shard connected", "shard": 3, "level": "info"}


def test_on_a_console_an_event_is_readable(configured):
    stream = configured(LogFormat.CONSOLE)
    structlog.get_logger("a").warning("shard lost", shard=3)

    assert "[warning  ] shard lost" in stream.getvalue()
    assert "shard=3" in stream.getvalue()


def test_below_the_level_nothing_is_logged(configured):
    stream = configured(level=LogLevel.WARNING)
    structlog.get_logger("a").info("not worth it")

    assert stream.getvalue() == ""


class Holder:
    def __repr__(self) -> str:
        return f"Holder({AWKWARD!r})"


PLACES = {
    "the event itself": lambda log, secret: log.info(secret),
    "a value": lambda log, secret: log.info("event", value=secret),
    "part of a value": lambda log, secret: log.info("event", header=f"Bot {secret}"),
    "a nested value": lambda log, secret: log.info("event", value={"deep": [("er", secret)]}),
    "a key": lambda log, secret: log.info("event", value={secret: 1}),
    "bytes": lambda log, secret: log.info("event", value=secret.encode()),
    "the repr of an object": lambda log, secret: log.info("event", value=Holder()),
    "the repr of an object in a list": lambda log, secret: log.info("event", value=[Holder()]),
    "another logger's arguments": lambda log, secret: logging.getLogger("a.library").error("failed: %r", secret),
}


@pytest.mark.parametrize("log_format", LogFormat)
@pytest.mark.parametrize("secret", [TOKEN, AWKWARD])
@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_removed_from(configured, log_format, secret, place):
    stream = configured(log_format)
    PLACES[place](structlog.get_logger("a"), secret)

    written = stream.getvalue()
    assert "token_value" not in written
    assert "slash" not in written
    assert logs.REDACTED in written


@pytest.mark.parametrize("log_format", LogFormat)
@pytest.mark.parametrize("secret", [TOKEN, AWKWARD])
def test_a_secret_is_removed_from_a_traceback(configured, log_format, secret):
    stream = configured(log_format)

    def send() -> None:
        raise ValueError(f"bad header {secret}")

    try:
        send()
    except ValueError:
        structlog.get_logger("a").exception("failed")

    written = stream.getvalue()
    assert "Traceback" in written
    assert "bad header ***" in written
    assert "token_value" not in written
    assert "slash" not in written


def test_websockets_never_logs_frames_and_headers(configured):
    stream = configured(level=LogLevel.DEBUG)
    logging.getLogger("websockets.server").debug("< Authorization: Bearer something")

    assert stream.getvalue() == ""


@given(st.text(min_size=1), st.text(), st.text())
def test_no_secret_is_left_in_what_was_redacted(secret, before, after):
    redacted = Redactor([secret])(before + secret + after)

    assert not any(secret in part for part in redacted.split(logs.REDACTED))


def test_a_secret_that_holds_another_one_leaves_no_rest():
    assert Redactor(["abc", "abcdef"])("abcdef and abc") == "*** and ***"


def test_an_empty_secret_is_none():
    assert Redactor([""])("a line") == "a line"
