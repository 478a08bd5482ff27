"""Which leases pods had, by what docs/resharding.md says of them and not by what the code makes of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """Leave to deliver the range of handover `number`, asked for at `asked_at` by a pod's process and granted."""

    number: int
    instance: str
    asked_at: float


class Leases:
    """Noted as the answers come. `lasts`: seconds from the asking."""

    def __init__(self, lasts: float) -> None:
        self.lasts = lasts
        self._granted: list[Lease] = []

    def granted(self, number: int, instance: str, asked_at: float) -> None:
        self._granted.append(Lease(number, instance, asked_at))

    def covers(self, number: int, worker: str, at: float) -> bool:
        """Whether a worker's pod had a lease at that time."""
        instance = worker.partition("/")[0]
        return any(
            one.asked_at <= at <= one.asked_at + self.lasts
            for one in self._granted
            if one.number == number and one.instance == instance
        )

    def end(self, number: int) -> float:
        """When the last lease of a handover was over; 0 if there was none."""
        return max((one.asked_at + self.lasts for one in self._granted if one.number == number), default=0.0)
