"""What must hold of every run (architecture, Invariants), whatever went wrong in it."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from .bot import Taken
from .faults import REPEATING, Injection

if TYPE_CHECKING:
    from .run import World

SHOWN = 3
LATE_AT_MOST = 8.0


@dataclass
class Window:
    """One handover in step go: from when it was stored until its end was. `guilds`: whether a key is of its range."""

    number: int
    first: int
    last: int
    shard_count: int
    from_epoch: int
    to_epoch: int
    began: float
    ended: float = float("inf")
    committed: bool = False

    def covers(self, key: int) -> bool:
        return self.first <= key % self.shard_count <= self.last


class Checker:
    """Looks at all that was sent since it was made, and at all that the bot took."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._first = len(world.discord.events)

    def violations(self, injection: Injection) -> list[str]:
        return [
            *self._lost_or_doubled(injection),
            *self._out_of_order(injection),
            *self._two_owners(),
            *self._beyond_the_lease(),
            *self._world.limit.violations(self._world.identify_reserve)[:SHOWN],
            *self._left_over(),
        ]

    # I2, I3: nothing is lost, nothing is doubled.

    def _lost_or_doubled(self, injection: Injection) -> list[str]:
        discord = self._world.discord
        sent = Counter(event[1:4] for event in discord.events[self._first :])
        partial = {discord.events[number][1:4] for number in discord.partial}
        partial |= {event[1:4] for event in discord.events if self._beyond_the_skew(injection, event[4])}
        taken: defaultdict[tuple, list[Taken]] = defaultdict(list)
        for one in self._world.bot.taken:
            if one.number >= self._first:
                taken[discord.events[one.number][1:4]].append(one)
        found = []
        for what, count in sent.items():
            mine = taken[what]
            keys = {one.key for one in mine}
            if len(mine) > len(keys) and injection.fault not in REPEATING:
                found.append(f"I2: {what} came again with the same key")
            if what in partial or (len(keys) != count and self._has_no_beginning(what)):
                continue
            if len(keys) < count:
                numbers = [event[0] for event in discord.events if event[1:4] == what]
                at = [round(discord.events[number][4], 3) for number in numbers]
                found.append(f"I3: lost {what}, sent {count} times at {at}, taken {self._told(mine)}")
            elif len(keys) > count and not self._may_be_doubled(mine, len(keys) - count):
                found.append(f"I3: doubled {what}, sent {count} times, taken {self._told(mine)}")
        return found[:SHOWN]

    def _beyond_the_skew(self, injection: Injection, sent_at: float) -> bool:
        """Whether an event comes later than two sessions may differ, so soon before a fence that none could know."""
        if not injection.fault.endswith("is late") or not injection.at <= sent_at <= injection.at + LATE_AT_MOST:
            return False
        skew = self._world.windows.max_skew + 0.1
        return any(window.began - skew <= injection.at <= window.ended for window in self.windows())

    def _has_no_beginning(self, what: tuple[int, str, str]) -> bool:
        """Whether a handover saw a chain of look-alikes all along its window (docs/resharding.md, Limits).

        It begins before what a giver tells, reaches what a taker may deliver, and each may be taken for the next.
        """
        windows = self._world.windows
        sent = [event[4] for event in self._world.discord.events if event[1:4] == what]
        apart = windows.tolerance + windows.max_skew
        breaks = [0, *(at for at in range(1, len(sent)) if sent[at] - sent[at - 1] > apart), len(sent)]
        chains = [(sent[begin], sent[end - 1]) for begin, end in pairwise(breaks) if end > begin]
        return any(
            max(first + windows.tail, window.began) <= min(last + windows.ring + windows.max_skew, window.ended)
            for window in self.windows()
            if window.covers(what[0] >> 22)
            for first, last in chains
        )

    def _may_be_doubled(self, taken: list[Taken], extra: int) -> bool:
        """Only what a taker delivered under a lease, and the giver when that was over; and both tell the content."""
        given_back = [one for one in self.windows() if not one.committed]
        telling = [one for one in taken if one.content]
        by_takers = {one.key for one in telling if any(self._under_lease(one, window) for window in given_back)}
        by_givers = {one.key for one in telling if any(self._after_leases(one, window) for window in given_back)}
        return len(by_takers) >= extra and len(by_givers - by_takers) >= extra

    def _under_lease(self, one: Taken, window: Window) -> bool:
        leases = self._world.leases
        return one.epoch == window.to_epoch and leases.covers(window.number, one.process, one.sent_at)

    def _after_leases(self, one: Taken, window: Window) -> bool:
        return one.epoch == window.from_epoch and one.sent_at >= self._world.leases.end(window.number) > 0

    def _told(self, taken: list[Taken]) -> list[tuple]:
        return [(one.epoch, one.key.lstrip("0"), round(one.sent_at, 3), one.process, one.content[:6]) for one in taken]

    # I2: in the guild's order.

    def _out_of_order(self, injection: Injection) -> list[str]:
        discord = self._world.discord
        found = []
        lanes: defaultdict[tuple, list[tuple[int, float]]] = defaultdict(list)
        seen: set[str] = set()
        for one in self._world.bot.taken:
            if one.key not in seen:
                seen.add(one.key)
                session, _, seq = one.key.partition(":")
                lanes[discord.events[one.number][1], session].append((int(seq), one.taken_at))
        for (guild, session), lane in lanes.items():
            for before, after in pairwise(lane):
                if after[0] < before[0]:
                    found.append(f"I2: of {guild} in {session.lstrip('0')} {after} came after {before}")
        if injection.fault == "none":
            found += self._not_as_sent()
        return found[:SHOWN]

    def _not_as_sent(self) -> list[str]:
        """Without a fault the bot gets what was sent, over all sessions."""
        events = self._world.discord.events
        sent, got = defaultdict(list), defaultdict(list)
        for event in events[self._first :]:
            sent[event[1]].append(event[2:4])
        for one in self._world.bot.taken:
            if one.number >= self._first:
                got[events[one.number][1]].append(events[one.number][2:4])
        return [f"I2: {guild} did not get its events in order" for guild in sent if sent[guild] != got[guild]]

    # I1: one owner at a time.

    def windows(self) -> list[Window]:
        found: dict[int, Window] = {}
        before = None
        for at, record in self._world.operators.memory.history:
            reshard = record.reshard
            fenced = reshard.fenced if reshard is not None else None
            if before is not None and (fenced is None or fenced.number != before[0]):
                window = found[before[0]]
                window.ended = at
                window.committed = reshard is not None and reshard.handed != before[1]
                before = None
            if fenced is not None and fenced.number not in found:
                found[fenced.number] = Window(
                    fenced.number,
                    fenced.range.first_shard_id,
                    fenced.range.last_shard_id,
                    reshard.pending.shard_count,
                    fenced.from_epoch,
                    fenced.to_epoch,
                    at,
                )
            if fenced is not None:
                before = fenced.number, reshard.handed
        return list(found.values())

    def _owner(self, at: float, key: int) -> int | None:
        """By what was stored at that time, outside of the handovers."""
        memory = self._world.operators.memory
        active = next((one for when, one in reversed(memory.actives) if when <= at), None)
        record = next((one for when, one in reversed(memory.history) if when <= at), None)
        reshard = record.reshard if record is not None else None
        if active is None:
            return None
        if reshard is None or reshard.pending.epoch <= active.epoch:
            return active.epoch
        shard = key % reshard.pending.shard_count
        handed = any(cut.first_shard_id <= shard <= cut.last_shard_id for cut in reshard.handed)
        return reshard.pending.epoch if handed else active.epoch

    def _two_owners(self) -> list[str]:
        windows = self.windows()
        found = []
        first_live: dict[tuple[int, int], float] = {}
        events = self._world.discord.events
        for one in sorted(self._world.bot.taken, key=lambda one: one.sent_at):
            guild = events[one.number][1]
            key = guild >> 22
            window = next((w for w in windows if w.covers(key) and w.began <= one.sent_at < w.ended), None)
            if window is None:
                if one.epoch != self._owner(one.sent_at, key):
                    found.append(f"I1: {self._told([one])} of {guild} by epoch {one.epoch}, which does not own it")
            elif one.epoch == window.to_epoch:
                first_live.setdefault((window.number, guild), one.sent_at)
            elif (since := first_live.get((window.number, guild))) is not None:
                found.append(f"I1: {self._told([one])} of {guild} in handover {window.number}, live since {since:.3f}")
        return found[:SHOWN]

    # I3: what may be repeated is bounded by the lease.

    def _beyond_the_lease(self) -> list[str]:
        """Until the commit a taker delivers under its pod's lease alone, and nothing is given back before the last."""
        leases, events = self._world.leases, self._world.discord.events
        windows = self.windows()
        found = [
            f"I3: handover {one.number} was given back at {one.ended:.3f}, and its last lease ended at {end:.3f}"
            for one in windows
            if not one.committed and one.ended < (end := leases.end(one.number))
        ]
        for one in self._world.bot.taken:
            key = events[one.number][1] >> 22
            window = next((w for w in windows if w.covers(key) and w.began <= one.sent_at < w.ended), None)
            if window is not None and one.epoch == window.to_epoch and not self._under_lease(one, window):
                found.append(f"I3: {self._told([one])} in handover {window.number} without a lease")
        return found[:SHOWN]

    # What is left.

    def _left_over(self) -> list[str]:
        """I6, and the end of a reshard: the active set has all its sessions, and no other has any."""
        world = self._world
        active = world.operators.memory.active
        connected = Counter(one.shard_count for one in world.discord.sessions.values() if one.line is not None)
        if connected != {active.shard_count: active.shard_count}:
            return [f"at the end there are sessions of {dict(connected)}, and {active.shard_count} shards are active"]
        return []
