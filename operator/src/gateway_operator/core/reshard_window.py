"""When automatic reshards may begin: `spec.reshard.window`, in UTC."""

from datetime import UTC, datetime, timedelta

from cronsim import CronSim

from gateway_operator.model import Spec

from .spoken import spoken_duration


def window_is_open(spec: Spec, wall_now: float) -> bool:
    """Always, without a window. `wall_now` is in Unix seconds."""
    window = spec.reshard.window
    if window is None:
        return True
    now = _date(wall_now)
    return _next_start(window.cron, now - timedelta(seconds=window.duration)) <= now


def why_outside_window(spec: Spec, wall_now: float) -> str | None:
    """None inside it, or why an automatic reshard does not begin, fit for users."""
    window = spec.reshard.window
    if window is None or window_is_open(spec, wall_now):
        return None
    opens = _next_start(window.cron, _date(wall_now))
    wait = spoken_duration((opens - _date(wall_now)).total_seconds())
    return f"outside of spec.reshard.window, which opens at {opens:%Y-%m-%d %H:%M} UTC, in {wait}"


def _next_start(cron: str, after: datetime) -> datetime:
    # It looks for whole minutes after the given one, so a start within this very minute is found from the one before.
    return next(CronSim(cron, after))


def _date(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)
