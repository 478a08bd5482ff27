"""Which guilds a session holds: counts for status, and whether all of them have been loaded.

READY lists every guild as unavailable, then GUILD_CREATE streams in (fact sheet, section 6).
"""

from collections.abc import Iterable

import msgspec

LOADING_PAUSE = 10.0
"""Seconds without a new guild after which loading counts as done: Discord sends no "all loaded" marker, and a guild
in an outage may never come. Libraries wait 2 s after each guild; 10 s is what a handover asks for."""


class _Snapshot(msgspec.Struct, array_like=True):
    present: list[str]
    loading: list[str]
    unavailable: list[str]
    at_least: int = 0


class Guilds:
    """The guilds of one session: still loading, present, or in an outage. `changes` counts up with each change."""

    def __init__(self) -> None:
        self.changes = 0
        self._at_least = 0
        self._present: set[str] = set()
        self._loading: set[str] = set()
        self._unavailable: set[str] = set()
        self._last_arrival: float | None = None

    def ready(self, guild_ids: Iterable[str], now: float) -> None:
        """READY begins anew: all its guilds are to be loaded."""
        self._at_least = 0
        self._loading = set(guild_ids)
        self._present.clear()
        self._unavailable.clear()
        self._last_arrival = now
        self.changes += 1

    def snapshot(self) -> bytes:
        """All of it, for whoever resumes the session later: a Resume does not list the guilds again."""
        return msgspec.msgpack.encode(
            _Snapshot(sorted(self._present), sorted(self._loading), sorted(self._unavailable), self._at_least)
        )

    def assume(self, count: int, now: float) -> None:
        """So many there were, which ones is not known: what a checkpoint without a snapshot has to tell."""
        self._at_least = count
        # Whether all were loaded is not known either; what was not will come by the replay.
        self._last_arrival = now

    def restore(self, snapshot: bytes, now: float) -> None:
        """Take over a snapshot; one that cannot be read counts as empty, for it only feeds the status."""
        try:
            found = msgspec.msgpack.decode(snapshot, type=_Snapshot)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        self._present, self._loading, self._unavailable = set(found.present), set(found.loading), set(found.unavailable)
        self._at_least = found.at_least
        self._last_arrival = now
        self.changes += 1

    def created(self, guild_id: str, *, unavailable: bool, now: float) -> bool:
        """GUILD_CREATE: loaded (then true), back, or joined; in an outage it may be just `{id, unavailable: true}`."""
        self.changes += 1
        # One that comes after loading counts as done is back from an outage: all other sessions are told so, too.
        initial = guild_id in self._loading and not self.all_loaded(now)
        self._loading.discard(guild_id)
        if initial:
            self._last_arrival = now
        if unavailable:
            self._present.discard(guild_id)
            self._unavailable.add(guild_id)
        else:
            self._unavailable.discard(guild_id)
            self._present.add(guild_id)
        return initial

    def deleted(self, guild_id: str, *, unavailable: bool) -> None:
        """GUILD_DELETE: an outage when `unavailable`, else the bot has left the guild."""
        self.changes += 1
        self._loading.discard(guild_id)
        self._present.discard(guild_id)
        if unavailable:
            self._unavailable.add(guild_id)
        else:
            self._unavailable.discard(guild_id)

    @property
    def count(self) -> int:
        """All guilds of the session: present, still to come, and in an outage."""
        return max(self._at_least, len(self._present) + len(self._loading) + len(self._unavailable))

    @property
    def unavailable(self) -> int:
        return len(self._unavailable)

    def all_loaded(self, now: float) -> bool:
        """Every guild of READY was seen or announced unavailable, or none came for `LOADING_PAUSE`."""
        if self._last_arrival is None:
            return False
        complete = not self._loading and not self._at_least
        return complete or now - self._last_arrival >= LOADING_PAUSE
