"""Which of the operator's replicas leads: the one that holds the Lease (coordination.k8s.io/v1), renewed all the time.

The times are client-go's: a Lease lasts 15 s, its holder gives up 10 s after the start of its last renewal that went
through, and everybody tries every 2 s. Wall clocks are never compared: how long a Lease has stood unchanged is measured
by who wants it, on its own monotonic clock. Any failure is a renewal that did not happen.

Why no two lead at once. Say the holder's last renewal started at S. It leads until S + 10 s and not longer, however
late the answer came. Another saw that renewal no earlier than S, acquires only what it has seen unchanged for 15 s, and
writes only over what it saw (`resourceVersion`): it leads no earlier than S + 15 s. Who gives the Lease back has
ceased to lead before. A Lease that was deleted is made anew without a holder, and has to stand for 15 s as any other:
what was deleted may have been renewed just before. So the first leader of an installation takes 15 s to come.

Why what two leaders grant never meets. The deposed grants what is asked for before S + 10 s: a lease of L seconds from
the asking, which is over by S + 10 s + L, or a permit, used by S + 11 s. The new leader begins at T, no earlier than
S + 15 s, or after the other gave up. Its lease book counts a lease as granted until T + L (`LeaseBook.resume`), its
ledger grants nothing before T + 1 s + an interval (`IdentifyLedger`): both are made after the acquiring, for every term
anew.

This takes for granted that clocks *run* alike, to within some percent: 10 s on a slow one must be over before 15 s on
a fast one are.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Protocol

import structlog

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LeaseObject = dict[str, Any]
"""A Lease as the API has it."""

ATTEMPT_TIMEOUT = 5.0
"""Seconds for one attempt, reading and writing: one that hangs must leave time for another before the deadline."""

CANDIDATE_JITTER = 0.2
"""A candidate's pause is longer by up to this share, so that two do not try in step."""

RELEASE_ATTEMPTS = 3


class LeaseConflictError(Exception):
    """Somebody else has written meanwhile, or has made it already (HTTP 409)."""


class LeaseStore(Protocol):
    """The one Lease, at the API server. Whatever the methods raise is a failure, and is tried again."""

    async def read(self) -> LeaseObject | None:
        """The Lease as it is, never from a cache; None when there is none."""
        ...

    async def create(self, lease: LeaseObject) -> None:
        """Make it, `metadata` still without name and namespace. Raises LeaseConflictError if there is one."""
        ...

    async def replace(self, lease: LeaseObject) -> None:
        """PUT it. Raises LeaseConflictError unless its `resourceVersion` is still the stored one."""
        ...


@dataclass(frozen=True, slots=True)
class ElectionTimes:
    """In seconds. `renew_deadline` must be shorter than `duration` by more than clocks differ in a `duration`."""

    duration: int = 15
    renew_deadline: float = 10.0
    retry: float = 2.0


class Leadership:
    """One time of leading. Once `leads()` has been false it stays so: who leads again gets another one."""

    def __init__(self, until: float, clock: Callable[[], float]) -> None:
        self._until = until
        self._clock = clock

    def leads(self) -> bool:
        """Whether this replica leads now; to be asked before whatever only a leader may do."""
        return self._clock() < self._until

    def remaining(self) -> float:
        """Seconds until it ends if it is not renewed."""
        return self._until - self._clock()

    def renewed(self, until: float) -> None:
        """It goes on until then, if it is not over: an answer may come too late."""
        if self.leads():
            self._until = until

    def end(self) -> None:
        """It is over now."""
        self._until = -math.inf


class Elector:
    """Stands for leadership as `identity`, and renews it.

    `identity` is of one living process at a time. The pod's name is: its container is started again only when the one
    before has ended. `acquired` is called with each time of leading when it begins, `lost` when it is over; both return
    at once, and may start tasks. `clock` is monotonic, in seconds; `calendar` is for people who look at the Lease.
    """

    def __init__(
        self,
        leases: LeaseStore,
        identity: str,
        *,
        acquired: Callable[[Leadership], None],
        lost: Callable[[], None],
        clock: Callable[[], float],
        calendar: Callable[[], datetime],
        jitter: Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        times: ElectionTimes = ElectionTimes(),
    ) -> None:
        self._leases = leases
        self._identity = identity
        self._acquired = acquired
        self._lost = lost
        self._clock = clock
        self._calendar = calendar
        self._jitter = jitter
        self._sleep = sleep
        self._times = times
        self._leadership: Leadership | None = None
        self._seen: tuple[object, object] | None = None
        self._seen_at = -math.inf
        self._failing = False
        self._holder = ""

    def leads(self) -> bool:
        """Whether this replica leads now. What belongs to one term asks the `Leadership` of that term."""
        return self._leadership is not None and self._leadership.leads()

    def holder(self) -> str | None:
        """Who holds the Lease, as it was read last: for people, as it may be over."""
        return self._holder or None

    async def run(self) -> None:
        """Stand for leadership until cancelled; whatever ends this ends the leadership too."""
        try:
            while True:
                await self._attempt()
                self._note_its_end()
                await self._sleep(self._pause())
                self._note_its_end()
        finally:
            self._give_up()

    async def release(self) -> None:
        """Give the Lease back, so that another takes over at once. To be called when `run` has ended."""
        self._give_up()
        for _ in range(RELEASE_ATTEMPTS):
            try:
                async with asyncio.timeout(ATTEMPT_TIMEOUT):
                    lease = await self._leases.read()
                    if lease is not None and _holder(lease) == self._identity:
                        await self._leases.replace(self._written(lease, holderIdentity=""))
            except Exception as error:  # noqa: BLE001 - whatever it was, without it another leads a little later
                logger.warning("the Lease could not be given back", problem=str(error) or repr(error))
            else:
                return

    async def _attempt(self) -> None:
        """Acquire or renew, if that is possible now."""
        left = math.inf if self._leadership is None else self._leadership.remaining()
        try:
            async with asyncio.timeout(min(ATTEMPT_TIMEOUT, left)):
                await self._read_and_write()
        except LeaseConflictError:
            logger.debug("another replica has written the Lease meanwhile")
        except Exception as error:  # noqa: BLE001 - whatever it was, it is a renewal that did not happen
            if not self._failing:
                logger.warning("the Lease cannot be read or written, trying on", problem=str(error) or repr(error))
            self._failing = True
        else:
            self._failing = False

    async def _read_and_write(self) -> None:
        lease = await self._leases.read()
        if lease is None:
            await self._leases.create(self._unheld())
            return
        self._look_at(lease)
        if self._leadership is not None:
            if _holder(lease) == self._identity:
                await self._renew(lease, self._leadership)
            else:
                self._leadership.end()
        elif self._may_acquire(lease):
            await self._acquire(lease)

    def _look_at(self, lease: LeaseObject) -> None:
        self._holder = _holder(lease)
        version = (lease["metadata"].get("uid"), lease["metadata"].get("resourceVersion"))
        if version != self._seen:
            self._seen, self._seen_at = version, self._clock()

    def _may_acquire(self, lease: LeaseObject) -> bool:
        holder = _holder(lease)
        given_back = not holder and _transitions(lease) > 0
        if holder == self._identity or given_back:
            return True
        duration = max(self._times.duration, (lease.get("spec") or {}).get("leaseDurationSeconds") or 0)
        return self._clock() - self._seen_at >= duration

    async def _renew(self, lease: LeaseObject, leadership: Leadership) -> None:
        started = self._clock()
        await self._leases.replace(self._written(lease))
        leadership.renewed(started + self._times.renew_deadline)

    async def _acquire(self, lease: LeaseObject) -> None:
        started = self._clock()
        held = self._written(
            lease,
            holderIdentity=self._identity,
            leaseDurationSeconds=self._times.duration,
            acquireTime=self._date(),
            leaseTransitions=_transitions(lease) + 1,
        )
        await self._leases.replace(held)
        leadership = Leadership(started + self._times.renew_deadline, self._clock)
        if leadership.leads():
            self._leadership = leadership
            logger.info("this replica leads", identity=self._identity, transitions=_transitions(held))
            self._acquired(leadership)

    def _unheld(self) -> LeaseObject:
        """As nobody holds it yet: without transitions, so that it is not taken for one that was given back."""
        spec = {"leaseDurationSeconds": self._times.duration, "renewTime": self._date(), "leaseTransitions": 0}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {}, "spec": spec}

    def _written(self, lease: LeaseObject, **changes: object) -> LeaseObject:
        """The Lease as it was read, its resourceVersion too, with these fields of its spec changed."""
        written = deepcopy(lease)
        written["spec"] = {**(lease.get("spec") or {}), "renewTime": self._date(), **changes}
        return written

    def _date(self) -> str:
        """As the API writes a MicroTime."""
        return self._calendar().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _pause(self) -> float:
        if self._leadership is not None:
            return max(0.0, min(self._times.retry, self._leadership.remaining()))
        return self._times.retry * (1 + CANDIDATE_JITTER * self._jitter.random())

    def _note_its_end(self) -> None:
        if self._leadership is not None and not self._leadership.leads():
            self._leadership = None
            logger.warning("this replica does not lead any more", identity=self._identity)
            self._lost()

    def _give_up(self) -> None:
        if self._leadership is not None:
            self._leadership.end()
        self._note_its_end()


def _holder(lease: LeaseObject) -> str:
    return (lease.get("spec") or {}).get("holderIdentity") or ""


def _transitions(lease: LeaseObject) -> int:
    return (lease.get("spec") or {}).get("leaseTransitions") or 0
