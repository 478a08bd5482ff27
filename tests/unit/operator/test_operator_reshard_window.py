"""The window in which automatic reshards may begin."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_operator.core.reshard_window import why_outside_window, window_is_open
from gateway_operator.model import Spec, parse_manifest


def spec_with(window: dict[str, str] | None) -> Spec:
    return parse_manifest(
        {
            "apiVersion": "discordgateway.dev/v1alpha1",
            "kind": "DiscordGateway",
            "metadata": {"name": "mybot"},
            "spec": {
                "tokenSecretRef": {"name": "mybot", "key": "token"},
                "intents": ["Guilds"],
                "delivery": {"sink": {"http": {"url": "http://bot:8080/"}}},
                "reshard": {} if window is None else {"window": window},
            },
        }
    ).spec


NIGHT = spec_with({"cron": "30 3 * * *", "duration": "2h"})


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("time", "is_open"),
    [
        ("2026-03-01 03:29:59.999", False),
        ("2026-03-01 03:30:00", True),
        ("2026-03-01 03:30:00.5", True),
        ("2026-03-01 03:30:30", True),
        ("2026-03-01 05:29:59.999", True),
        ("2026-03-01 05:30:00", False),
        ("2026-03-01 12:00:00", False),
    ],
)
def test_it_is_open_from_its_date_on_for_its_duration(time, is_open):
    assert window_is_open(NIGHT, at(time)) is is_open
    assert (why_outside_window(NIGHT, at(time)) is None) is is_open


def test_outside_it_says_when_it_opens():
    assert why_outside_window(NIGHT, at("2026-03-01 12:00:00")) == (
        "outside of spec.reshard.window, which opens at 2026-03-02 03:30 UTC, in 15 h 30 min"
    )


def test_without_a_window_it_is_always_open():
    assert window_is_open(spec_with(None), 0.0)
    assert why_outside_window(spec_with(None), 0.0) is None


def test_one_longer_than_its_period_never_closes():
    always = spec_with({"cron": "0 0 * * *", "duration": "25h"})

    assert all(window_is_open(always, at("2026-03-01 00:00:00") + 600 * step) for step in range(300))


@given(now=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001 -- made aware below
def test_it_agrees_with_looking_at_every_minute_before(now):
    window = spec_with({"cron": "*/45 1-5 * * 1,4", "duration": "40m"})
    moment = now.replace(tzinfo=UTC)
    minutes = (moment.replace(second=0, microsecond=0) - timedelta(minutes=back) for back in range(41))

    began = [
        minute
        for minute in minutes
        if minute.minute in (0, 45)
        and 1 <= minute.hour <= 5
        and minute.isoweekday() in (1, 4)
        and moment < minute + timedelta(minutes=40)
    ]

    assert window_is_open(window, moment.timestamp()) is bool(began)
