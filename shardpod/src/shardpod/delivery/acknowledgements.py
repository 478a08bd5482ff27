"""From which `seq` a session may resume: acknowledgements come out of order, a checkpoint needs all before it."""

from shardpod.protocol import Event


class Acknowledgements:
    """Of one shard's current session, the events that were received and are not yet settled.

    An event is settled when the bot acknowledged it, or when it was dropped or filtered, and counted as such.
    Events of an earlier session still reach the bot, but nothing can resume from them.
    """

    def __init__(self) -> None:
        self._session_id: str | None = None
        self._received_seq = 0
        self._outstanding: dict[int, None] = {}

    def received(self, event: Event) -> None:
        self.skipped(event)
        self._outstanding[event.seq] = None

    def skipped(self, event: Event) -> None:
        """Note an event that a filter of the user's excludes: nothing has to happen to it any more."""
        if event.session_id != self._session_id:
            self._session_id = event.session_id
            self._outstanding.clear()
        self._received_seq = event.seq

    def settled(self, event: Event) -> None:
        if event.session_id == self._session_id:
            self._outstanding.pop(event.seq, None)

    @property
    def session_id(self) -> str | None:
        return self._session_id

    @property
    def seq(self) -> int:
        """The highest seq with everything up to it settled. Events come in order of seq, so the first is the lowest."""
        first = next(iter(self._outstanding), None)
        return self._received_seq if first is None else first - 1
