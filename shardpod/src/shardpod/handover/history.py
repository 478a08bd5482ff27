"""What a worker's sessions saw lately: a fingerprint of every event, and for a while what it did not deliver, whole."""

from collections import deque
from collections.abc import Callable

import msgspec

from shardpod.protocol import Event

from .fingerprint import fingerprint
from .windows import Windows


class Seen(msgspec.Struct, gc=False):
    """One event that was received at `at`. `event` only while its payload is kept, for whoever may have to deliver it.

    `fingerprint` is made later, off the delivery path. `kept`: the payload stays for `ring`. `late`: by so many seconds
    it might have come earlier, as Discord replayed it after an interruption.
    """

    key: int
    at: float
    fingerprint: bytes = b""
    event: Event | None = None
    kept: bool = False
    late: float = 0.0


def _nothing(_key: int) -> bool:
    return False


class History:
    """What one worker's sessions saw lately, both what it delivered and what it did not, oldest first.

    Call `saw` for each event but those of a session alone, and `digest` often enough to keep up with them.
    """

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._remembered: deque[Seen] = deque()
        self._undigested: deque[Seen] = deque()
        self._kept: deque[Seen] = deque()
        self._bytes = 0
        self._kept_frozen: deque[Seen] = deque()
        self._frozen_at: float | None = None
        self._frozen: Callable[[int], bool] = _nothing
        self._payloads_since = float("-inf")

    def saw(self, event: Event, key: int, *, keep: bool, late: float = 0.0) -> None:
        """Remember an event that was just received. `keep` its payload for `ring`: we do not deliver it."""
        seen = Seen(key, event.received_at, b"", event, keep, late)
        self._remembered.append(seen)
        self._undigested.append(seen)
        if keep:
            self._kept.append(seen)
        self._bytes += len(event.raw)

    def digest(self, now: float, limit: int = 500) -> int:
        """Make fingerprints that are due, `limit` at most, and forget what is too old; returns how many are left to do.

        Until its fingerprint is made an event is not forgotten, nor its payload.
        """
        for _ in range(min(limit, len(self._undigested))):
            seen = self._undigested.popleft()
            assert seen.event is not None
            seen.fingerprint = fingerprint(seen.event.type, seen.event.raw)
            if not seen.kept:
                self._drop_payload(seen)
        self._forget(now)
        return len(self._undigested)

    def freeze(self, at: float | None, keys: Callable[[int], bool] = _nothing) -> None:
        """From now on forget only what would be forgotten at `at`; with None go on as usual.

        A handover that is open may take longer than its windows: an operator that restarts lets both sides wait.
        Payloads are kept on of these `keys` alone: those of all others would be too much for the memory of a pod.
        """
        self._frozen_at, self._frozen = at, keys

    def tail(self, now: float, wants: Callable[[int], bool], since: float | None = None) -> list[Seen]:
        """What was received within `tail` of now, or from `since` on, and whose key is wanted, with fingerprints."""
        first = now - self._windows.tail if since is None else since
        return [seen for seen in self.kept(now, wants) if seen.at >= first]

    def kept(self, now: float, wants: Callable[[int], bool]) -> list[Seen]:
        """All that is remembered of the keys that are wanted, with fingerprints, and the payloads that are left."""
        self.digest(now, len(self._undigested))
        return [seen for seen in self._remembered if wants(seen.key)]

    def _forget(self, now: float) -> None:
        frozen_now = now if self._frozen_at is None else min(now, self._frozen_at)
        self._forget_payloads(now - self._windows.ring, frozen_now - self._windows.ring)
        remembered_since = frozen_now - self._windows.history
        while self._remembered and self._remembered[0].at <= remembered_since and self._remembered[0].fingerprint:
            self._remembered.popleft()

    def _forget_payloads(self, since: float, frozen_since: float) -> None:
        """Those of before `since`; of what is frozen, of before `frozen_since`."""
        while self._kept_frozen and self._kept_frozen[0].at <= frozen_since:
            self._drop_payload(self._kept_frozen.popleft())
            self._payloads_since = frozen_since
        while self._kept and self._kept[0].at <= since and self._kept[0].fingerprint:
            seen = self._kept.popleft()
            if seen.at > frozen_since and self._frozen(seen.key):
                self._kept_frozen.append(seen)
                continue
            self._drop_payload(seen)
            if seen.at <= frozen_since:
                self._payloads_since = frozen_since

    def _drop_payload(self, seen: Seen) -> None:
        assert seen.event is not None
        self._bytes -= len(seen.event.raw)
        seen.event = None

    @property
    def payloads_since(self) -> float:
        """Of what came later and was to be kept, no payload was dropped yet; of what is frozen, where something is."""
        return self._payloads_since

    @property
    def size(self) -> int:
        """How many events are remembered."""
        return len(self._remembered)

    @property
    def bytes(self) -> int:
        """Bytes of the payloads that are held at the moment."""
        return self._bytes
