"""WebSockets by picows: frames are parsed in C and handed over in the wake-up that read them.

Chosen by measurement (docs/benchmarks.md). The WebSocket layer's own limits and pings stay off: Discord's messages
have no bound, and its heartbeats are the protocol's.
"""

import asyncio
import struct
from ssl import SSLContext

import picows

from shardpod.protocol import MAX_PAYLOAD_BYTES

from .seam import Listener

_HANDSHAKE_TIMEOUT = 15.0
"""Seconds for the WebSocket handshake once the socket is connected."""

_DATA = (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY, picows.WSMsgType.CONTINUATION)


class PicowsConnector:
    """Opens WebSockets, over TLS with `tls` for wss addresses."""

    def __init__(self, tls: SSLContext | None = None) -> None:
        self._tls = tls

    async def connect(self, url: str, listener: Listener) -> None:
        adapter = _Adapter(listener)
        try:
            await picows.ws_connect(
                lambda: adapter,
                url,
                ssl_context=self._tls,
                websocket_handshake_timeout=_HANDSHAKE_TIMEOUT,
                max_frame_size=MAX_PAYLOAD_BYTES,
                # Its own TCP and TLS transports at times do not tell of a connection that was reset while data came
                # in: the shard would be deaf until its next heartbeat.
                use_aiofastnet=False,
            )
        except asyncio.CancelledError:
            adapter.abandon()
            raise
        except (OSError, ValueError, picows.WSError) as error:  # ValueError: no host or port that could be dialled
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        if not adapter.opened:
            # picows returns as if all were well when the other side closes before it has answered.
            raise ConnectionError("the connection was closed during the WebSocket handshake")


class _PicowsConnection:
    def __init__(self, transport: picows.WSTransport, adapter: "_Adapter") -> None:
        self._transport = transport
        self._adapter = adapter

    def send(self, payload: bytes) -> None:
        if not self._transport.is_disconnected:
            self._transport.send(picows.WSMsgType.TEXT, payload)

    def close(self, code: int) -> None:
        self._adapter.listener = None
        if not self._transport.is_disconnected:
            # picows' own close codes are an enumeration without Discord's 4000s.
            self._transport.send(picows.WSMsgType.CLOSE, struct.pack("!H", code))
            self._transport.disconnect()

    def read(self, *, on: bool) -> None:
        if self._transport.is_disconnected:
            return
        socket = self._transport.underlying_transport
        if on:
            socket.resume_reading()
        else:
            socket.pause_reading()


class _Adapter(picows.WSListener):
    """Puts frames together to messages and passes them on."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self.listener: Listener | None = listener
        self.opened = False
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0
        self._close_code: int | None = None

    def abandon(self) -> None:
        """Give up the dial: picows goes on with it, but the listener may have begun another one."""
        if not self.opened:
            self.listener = None

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        if self.listener is None:
            transport.disconnect()
        else:
            self.opened = True
            self.listener.opened(_PicowsConnection(transport, self))

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        listener = self.listener
        if listener is None:
            return
        if frame.msg_type in _DATA:
            if frame.fin and not self._fragments:
                listener.message(frame.get_payload_as_bytes())
            else:
                self._fragment(transport, frame, listener)
        elif frame.msg_type is picows.WSMsgType.CLOSE:
            payload = frame.get_payload_as_bytes()
            self._close_code = struct.unpack("!H", payload[:2])[0] if len(payload) > 1 else None
            transport.send(picows.WSMsgType.CLOSE, payload[:2])
            transport.disconnect()

    def _fragment(self, transport: picows.WSTransport, frame: picows.WSFrame, listener: Listener) -> None:
        payload = frame.get_payload_as_bytes()
        self._fragments.append(payload)
        self._fragment_bytes += len(payload)
        if self._fragment_bytes > MAX_PAYLOAD_BYTES:
            transport.disconnect()
        elif frame.fin:
            message = b"".join(self._fragments)
            self._fragments.clear()
            self._fragment_bytes = 0
            listener.message(message)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:  # noqa: ARG002 -- picows' signature
        if self.listener is not None:
            listener, self.listener = self.listener, None
            listener.closed(self._close_code)
