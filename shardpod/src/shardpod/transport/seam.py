"""What a shard needs of a WebSocket library. Callbacks, not coroutines: a wake-up takes whatever has come in."""

from typing import Protocol


class Connection(Protocol):
    """An open WebSocket."""

    def send(self, payload: bytes) -> None:
        """Write one text message."""
        ...

    def close(self, code: int) -> None:
        """Send a Close frame and end the connection without waiting for the answer. `closed` is not called."""
        ...

    def read(self, *, on: bool) -> None:
        """Stop taking anything from the socket, or go on: what comes meanwhile waits at the other side."""
        ...


class Listener(Protocol):
    """Is told what happens to a connection: once `opened`, then messages, at last `closed`."""

    def opened(self, connection: Connection) -> None:
        """Take the connection; the first message may come in the same wake-up."""
        ...

    def message(self, data: bytes) -> None:
        """Take one whole message, text or binary."""
        ...

    def closed(self, code: int | None) -> None:
        """Take the end of the connection, with the other side's close code if it sent one."""
        ...


class Connector(Protocol):
    """Opens connections."""

    async def connect(self, url: str, listener: Listener) -> None:
        """Open a WebSocket for `listener`; raises ConnectionError with a message that says what failed."""
        ...
