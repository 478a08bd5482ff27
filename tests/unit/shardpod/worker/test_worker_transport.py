"""The WebSocket seam by picows, against a real server and against one whose every byte is known."""

import asyncio
import base64
import contextlib
import hashlib
import ssl
import struct

import pytest
import trustme
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

import shardpod.transport.picows as module
from shardpod.protocol import CLOSE_RESUMABLE
from shardpod.transport import PicowsConnector

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


class Recorder:
    """A listener that keeps what it is told, and does `on_message(data)`."""

    def __init__(self, on_message=lambda data: None):
        self.connection = None
        self.opens = 0
        self.messages = []
        self.closes = []
        self._on_message = on_message

    def opened(self, connection):
        self.opens += 1
        self.connection = connection

    def message(self, data):
        self.messages.append(data)
        self._on_message(data)

    def closed(self, code):
        self.closes.append(code)


def ws_frame(payload, opcode=TEXT, *, fin=True):
    head = bytes([opcode | (0x80 if fin else 0)])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    return head + b"\x7f" + struct.pack("!Q", len(payload)) + payload


class RawServer:
    """Answers the handshake with `with_handshake` right behind it, then hands the streams to `then`."""

    def __init__(self, with_handshake=b"", then=None, answer=None, gate=None):
        self._gate = gate
        self.asked = asyncio.Event()
        self._with_handshake = with_handshake
        self._then = then
        self._answer = answer
        self._tasks = set()
        self.ended = asyncio.Event()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/?v=10"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            self.asked.set()
            if self._gate is not None:
                await self._gate.wait()
            writer.write((self._handshake(request) if self._answer is None else self._answer) + self._with_handshake)
            await writer.drain()
            if self._then is not None:
                await self._then(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()
            self.ended.set()

    def _handshake(self, request):
        (key,) = [
            line.split(b": ")[1] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
        ]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
        )


async def stay(reader, _writer):
    while await reader.read(4096):
        pass


@contextlib.asynccontextmanager
async def served(handler, **options):
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_text_and_binary_messages_arrive_in_order_and_answers_go_back(until):
    received = []

    async def handler(socket):
        await socket.send("first")
        await socket.send(b"\x00second")
        received.append(await socket.recv())

    recorder = Recorder()
    async with served(handler) as url:
        await PicowsConnector().connect(url, recorder)
        await until(lambda: len(recorder.messages) == 2)
        recorder.connection.send(b'{"op":1}')
        await until(lambda: received)

    assert recorder.messages == [b"first", b"\x00second"]
    assert received == ['{"op":1}'], "sent as text"


async def test_a_message_right_behind_the_handshake_is_taken_after_opened(until):
    recorder = Recorder()
    async with RawServer(ws_frame(b"hello") + ws_frame(b"more"), stay) as server:
        await PicowsConnector().connect(server.url, recorder)
        await until(lambda: len(recorder.messages) == 2)
        assert recorder.opens == 1
        recorder.connection.close(CLOSE_RESUMABLE)
        await server.ended.wait()


async def test_a_fragmented_message_is_put_together_and_pings_in_between_are_answered(until):
    answered = []

    async def then(reader, writer):
        head = await reader.readexactly(6)
        mask = head[2:6]
        payload = await reader.readexactly(head[1] & 0x7F)
        answered.append((head[0] & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))))

    parts = (
        ws_frame(b"one ", TEXT, fin=False)
        + ws_frame(b"ping", PING)
        + ws_frame(b"two ", CONTINUATION, fin=False)
        + ws_frame(b"three", CONTINUATION)
        + ws_frame(b"next")
    )
    recorder = Recorder()
    async with RawServer(parts, then) as server:
        await PicowsConnector().connect(server.url, recorder)
        await until(lambda: len(recorder.messages) == 2 and answered)

    assert recorder.messages == [b"one two three", b"next"]
    assert answered == [(PONG, b"ping")]


async def test_a_message_of_megabytes_arrives_whole(until):
    async def handler(socket):
        await socket.send(b"x" * 6_000_000)
        await socket.wait_closed()

    recorder = Recorder()
    async with served(handler) as url:
        await PicowsConnector().connect(url, recorder)
        await until(lambda: recorder.messages)
        recorder.connection.close(CLOSE_RESUMABLE)

    assert len(recorder.messages[0]) == 6_000_000


# The end.


@pytest.mark.parametrize("code", [1000, 1001, 4000, 4004, 4014])
async def test_discords_close_code_is_passed_on_once(until, code):
    async def handler(socket):
        await socket.close(code, "reason")

    recorder = Recorder()
    async with served(handler) as url:
        await PicowsConnector().connect(url, recorder)
        await until(lambda: recorder.closes)

    assert recorder.closes == [code]


@pytest.mark.parametrize("last", [b"", ws_frame(b"", CLOSE), ws_frame(b"only half a frame" * 20)[:50]])
async def test_a_connection_that_breaks_without_a_code_is_passed_on_as_none(until, last):
    recorder = Recorder()
    async with RawServer(ws_frame(b"hello") + last) as server:
        await PicowsConnector().connect(server.url, recorder)
        await until(lambda: recorder.closes)

    assert recorder.messages == [b"hello"]
    assert recorder.closes == [None]


async def test_our_close_sends_its_code_and_nothing_is_heard_any_more(until):
    codes = []

    async def handler(socket):
        await socket.send("hello")
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
        codes.append(socket.close_code)

    recorder = Recorder()
    async with served(handler) as url:
        await PicowsConnector().connect(url, recorder)
        await until(lambda: recorder.messages)
        recorder.connection.close(CLOSE_RESUMABLE)
        recorder.connection.send(b"too late")
        recorder.connection.close(CLOSE_RESUMABLE)
        await until(lambda: codes)

    assert codes == [CLOSE_RESUMABLE]
    assert recorder.closes == []


async def test_of_messages_that_came_together_none_is_passed_on_after_our_close(until):
    recorder = Recorder(lambda data: recorder.connection.close(CLOSE_RESUMABLE))
    async with RawServer(ws_frame(b"bad") + ws_frame(b"unheard") + ws_frame(b"unheard"), stay) as server:
        await PicowsConnector().connect(server.url, recorder)
        await asyncio.wait_for(server.ended.wait(), 5)

    assert recorder.messages == [b"bad"]
    assert recorder.closes == []


async def test_a_frame_beyond_the_bound_ends_the_connection(until, monkeypatch):
    monkeypatch.setattr(module, "MAX_PAYLOAD_BYTES", 10_000)
    recorder = Recorder()
    async with RawServer(ws_frame(b"x" * 10_001), stay) as server:
        await PicowsConnector().connect(server.url, recorder)
        await until(lambda: recorder.closes)

    assert (recorder.messages, recorder.closes) == ([], [None])


async def test_fragments_beyond_the_bound_end_the_connection(until, monkeypatch):
    monkeypatch.setattr(module, "MAX_PAYLOAD_BYTES", 10_000)
    recorder = Recorder()
    fragments = ws_frame(b"x" * 6000, TEXT, fin=False) + ws_frame(b"x" * 6000, CONTINUATION, fin=False)
    async with RawServer(fragments, stay) as server:
        await PicowsConnector().connect(server.url, recorder)
        await until(lambda: recorder.closes)

    assert (recorder.messages, recorder.closes) == ([], [None])


# No connection at all.


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"\x00 garbage \r\n\r\n",
    ],
    ids=["closed without a word", "429", "200", "garbage"],
)
async def test_a_failed_handshake_is_a_connection_error_at_once(answer):
    recorder = Recorder()
    async with RawServer(answer=answer) as server, asyncio.timeout(5):
        with pytest.raises(ConnectionError):
            await PicowsConnector().connect(server.url, recorder)

    assert (recorder.opens, recorder.closes) == (0, [])


async def test_a_handshake_without_an_answer_times_out(monkeypatch):
    monkeypatch.setattr(module, "_HANDSHAKE_TIMEOUT", 0.05)
    async with RawServer(answer=b"HTTP/1.1 101", then=stay) as server, asyncio.timeout(5):
        with pytest.raises(ConnectionError):
            await PicowsConnector().connect(server.url, Recorder())


async def test_nobody_listening_is_a_connection_error(unused_port):
    with pytest.raises(ConnectionError, match="ConnectionRefusedError"):
        await PicowsConnector().connect(f"ws://127.0.0.1:{unused_port}/", Recorder())


@pytest.fixture
async def unused_port():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


@pytest.mark.parametrize(
    "url", ["no url", "http://127.0.0.1/", "wss://", "ws://" + "a" * 70 + ".example/", "ws://127.0.0.1:99999/"]
)
async def test_a_url_that_cannot_be_dialled_is_a_connection_error(url):
    with pytest.raises(ConnectionError):
        await PicowsConnector().connect(url, Recorder())


async def test_a_dial_that_is_given_up_never_opens_afterwards():
    gate = asyncio.Event()
    recorder = Recorder()
    async with RawServer(ws_frame(b"hello"), stay, gate=gate) as server:
        dialling = asyncio.create_task(PicowsConnector().connect(server.url, recorder))
        await server.asked.wait()
        dialling.cancel()
        await asyncio.gather(dialling, return_exceptions=True)
        gate.set()
        await asyncio.wait_for(server.ended.wait(), 5)

    assert (recorder.opens, recorder.messages, recorder.closes) == (0, [], [])


# TLS.


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.mark.parametrize("trusted", [True, False])
async def test_over_tls_only_a_trusted_server_is_talked_to(authority, until, trusted):
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    if trusted:
        authority.configure_trust(client)

    async def handler(socket):
        await socket.send("hello")
        await socket.wait_closed()

    recorder = Recorder()
    async with served(handler, ssl=server) as plain_url:
        url = plain_url.replace("ws://127.0.0.1", "wss://localhost")
        if trusted:
            await PicowsConnector(client).connect(url, recorder)
            await until(lambda: recorder.messages == [b"hello"])
            recorder.connection.close(CLOSE_RESUMABLE)
        else:
            with pytest.raises(ConnectionError, match="certificate"):
                await PicowsConnector(client).connect(url, recorder)
            assert recorder.opens == 0
