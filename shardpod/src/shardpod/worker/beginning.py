"""How a worker takes up a shard when it is started: from its own file, a peer, the operator's word, or anew."""

from shardpod.delivery import LaneQueue
from shardpod.protocol import Event, Session
from shardpod.spool import StoredSession

from .giving import Giving
from .handing import Handing
from .settings import WorkerSettings
from .shard import Shard
from .spooler import Spooler
from .taking import Taking


class Beginning:
    """For all shards of a worker, once each."""

    def __init__(
        self,
        settings: WorkerSettings,
        queue: LaneQueue,
        spooler: Spooler | None,
        *,
        handing: Handing,
        taking: Taking,
        giving: Giving,
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._spooler = spooler
        self._handing = handing
        self._taking = taking
        self._giving = giving

    async def begin(self, shard: Shard, stored: StoredSession | None, events: list[Event], *, now: float) -> None:
        """Put what waited into the queue, and begin to hold the shard, or to give it away as before."""
        session = self._session_of(shard.shard_id, stored)
        if session is not None:
            shard.outstanding.begin(session.session_id, session.seq)
            shard.outstanding.spooled_seq = session.seq
        for event in events:
            if self._handing.restored(event):
                self._queue.put_whatever_the_bound(event)
        guilds = stored.guilds if stored is not None else b""
        if stored is not None and stored.released_to is not None:
            shard.was_released(session, guilds, to=stored.released_to, confirmed=stored.confirmed)
            self._giving.resume_offer(shard)
        elif self._settings.stored_only and session is None and not events and not self._has_letters(shard):
            await self._giving.nothing_left(shard)
        elif session is None and self._taking.has_neighbour(shard.shard_id):
            shard.start(None, now=now, awaits_transfer=True)
        else:
            shard.start(session, guilds=guilds, now=now)
            if session is not None and not guilds and (remote := self._taking.checkpoint(shard.shard_id)) is not None:
                shard.protocol.guilds.assume(remote.guild_count, now)

    def _session_of(self, shard_id: int, stored: StoredSession | None) -> Session | None:
        """What to resume: what this instance's own file says, else, if no peer may have it, what the operator knows."""
        remote = self._taking.checkpoint(shard_id)
        own = stored if stored is not None and self._is_resumable(stored) else None
        if own is None and not self._taking.has_neighbour(shard_id):
            own = remote if remote is not None and self._is_resumable(remote) else None
        if own is None or own.session_id is None:
            return None
        seq = own.seq
        if remote is not None and remote.session_id == own.session_id:
            # Both are good; of what the bot acknowledged last the operator may have heard before it was written here.
            seq = max(seq, remote.seq)
        return Session(own.session_id, own.resume_gateway_url, seq)

    def _is_resumable(self, stored: StoredSession) -> bool:
        settings = self._settings
        return (
            stored.session_id is not None
            and stored.shard_count == settings.shard_count
            and stored.identity == settings.identity
        )

    def _has_letters(self, shard: Shard) -> bool:
        return self._spooler is not None and self._spooler.files[shard.shard_id].dead_letters > 0
