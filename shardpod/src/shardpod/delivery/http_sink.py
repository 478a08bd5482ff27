"""The HTTP sink: POST `{"shardId": 3, "data": <what Discord sent>}`, acknowledged by any 2xx.

The format is that of the Discordeno guide; keys and counts travel in headers (docs/delivery.md).
"""

import asyncio
from ssl import SSLContext
from urllib.parse import urlsplit

from .http_answers import refusal
from .http_connection import Answer, HttpConnection, Request
from .http_requests import BodyCompression, RequestWriter
from .lane import Batch
from .sink import Done, SinkError


class HttpSink:
    """Delivers batches by POST over connections that are kept open.

    With `batching` the body is a JSON array of the same objects, each with its `key`; `compression` is the body's.
    """

    def __init__(
        self,
        url: str,
        *,
        epoch: int,
        shard_count: int,
        batching: bool = False,
        authorization: str | None = None,
        timeout: float = 10.0,
        tls: SSLContext | None = None,
        compression: BodyCompression = "none",
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None, "validated with the manifest"
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = (tls or _default_tls()) if parts.scheme == "https" else None
        self._timeout = timeout
        self._batching = batching
        self._requests = RequestWriter(
            url,
            epoch=epoch,
            shard_count=shard_count,
            batching=batching,
            authorization=authorization,
            compression=compression,
        )
        self._idle: list[HttpConnection] = []
        self._open: set[HttpConnection] = set()
        self._closed = False
        self._dialling: set[asyncio.Task[None]] = set()

    def submit(self, batch: Batch, done: Done) -> None:
        request = Request(self._requests.write(batch.events, batch.attempt), batch, done)
        while self._idle:
            # The one that was used last: the others may close for want of work.
            connection = self._idle.pop()
            if connection.is_open:
                connection.send(request)
                return
        self._dial(request)

    async def close(self) -> None:
        self._closed = True
        for task in self._dialling:
            task.cancel()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        for connection in tuple(self._open):
            connection.close()
        self._idle.clear()

    def _dial(self, request: Request) -> None:
        task = asyncio.get_running_loop().create_task(self._connect_and_send(request))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _connect_and_send(self, request: Request) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                _, connection = await loop.create_connection(
                    lambda: HttpConnection(self._answered, timeout=self._timeout), self._host, self._port, ssl=self._tls
                )
        except (OSError, TimeoutError, UnicodeError) as error:  # the last: of a name that no host can have
            problem = str(error) or f"no connection within {self._timeout:g} s"
            where = f"{self._host}:{self._port}"
            request.done(request.batch, SinkError(f"cannot connect to {where}: {problem}", unreachable=True))
        except asyncio.CancelledError:
            request.done(request.batch, SinkError("closed"))
            raise
        else:
            self._open = {known for known in self._open if known.is_open} | {connection}
            self._send_late(connection, request)

    def _send_late(self, connection: HttpConnection, request: Request) -> None:
        """Dialling may take longer than a lease lasts: by now another pod may have delivered these events."""
        if request.batch.called_off:
            self._idle.append(connection)
            request.done(request.batch, SinkError("it was not to be sent any more", called_off=True))
        else:
            connection.send(request)

    def _answered(self, connection: HttpConnection, request: Request, answer: Answer | str) -> None:
        if connection.is_open:
            self._idle.append(connection)
        if isinstance(answer, Answer):
            request.done(request.batch, refusal(answer, len(request.batch.events), batching=self._batching))
        elif connection.reused and not connection.timed_out and not self._closed:
            # A kept connection may have been closed by the bot at this very moment: once more, on a new one.
            self._dial(request)
        else:
            request.done(request.batch, SinkError(answer))


def _default_tls() -> SSLContext:
    import ssl  # noqa: PLC0415 -- a pod with a plain sink never pays for loading the trust store

    return ssl.create_default_context()
