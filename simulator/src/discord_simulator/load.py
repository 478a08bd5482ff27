"""The pace of a load: how many events are due when, and when it is over."""

from discord_simulator.settings import LoadSettings


class Load:
    """How many events of a load are due: a steady rate, bursts on top, and an end by time or by count."""

    def __init__(self, settings: LoadSettings, started: float) -> None:
        self.settings = settings
        self.published = 0
        self.stopped = False
        self._started = started
        by_time = None if settings.duration is None else self._scheduled(settings.duration)
        limits = [limit for limit in (settings.events, by_time) if limit is not None]
        self.total = min(limits) if limits else None

    @property
    def done(self) -> bool:
        return self.stopped or (self.total is not None and self.published >= self.total)

    def due(self, now: float) -> int:
        """Say how many events should go out now."""
        if self.done:
            return 0
        scheduled = self._scheduled(now - self._started)
        return max(0, (scheduled if self.total is None else min(scheduled, self.total)) - self.published)

    def _scheduled(self, elapsed: float) -> int:
        burst = self.settings.burst
        in_bursts = int(elapsed / burst.every) * burst.size if burst else 0
        return int(elapsed * self.settings.rate) + in_bursts
