"""What connects pods with operators and with each other: in order, late, cut off, or broken in the middle."""

import asyncio
from random import Random

from websockets.exceptions import ConnectionClosedError

from shardpod.pod.pod_api import decode_request
from shardpod.worker.messages import AnyMessage, Busy, Failed, Transfer, TransferAnswer, decode, encode

from .virtual_loop import NOBODY, Process, this_process

PEER_TIMEOUT = 2.0
_END = object()


class Network:
    """`lateness`: seconds that messages take at most. `cut_off`: processes whose messages wait, or never come."""

    def __init__(self, random: Random) -> None:
        self.lateness = 0.004
        self.cut_off: set[Process] = set()
        self.leader = None
        self.leaders: list = []
        self.pods: dict[str, tuple[Process, object]] = {}
        self.wires: dict[Wire, None] = {}  # in the order of their making, so that a seed replays
        self.torn = 0.0
        self._random = random

    def delay(self) -> float:
        return self._random.uniform(0.0005, self.lateness)

    def choose(self):
        """Whoever answers a pod that dials: mostly the one that leads."""
        living = [one for one in self.leaders if not one.process.dead and not self.is_cut(one.process)]
        return self._random.choice(living) if living else None

    def is_cut(self, process: Process) -> bool:
        return process in self.cut_off

    def cut(self, process: Process) -> None:
        self.cut_off.add(process)

    def mend(self, process: Process) -> None:
        """What waits on its wires comes late, or the wires break."""
        self.cut_off.discard(process)
        for wire in list(self.wires):
            if wire.of(process):
                wire.mended(breaks=self._random.random() < 0.5)

    def tears(self) -> bool:
        """Whether a message breaks its wire instead of arriving."""
        return self._random.random() < self.torn

    # Pods among themselves: in the place of `shardpod.pod.peers.Peers`.

    async def ask(self, asker: Process, address: str, request: Transfer) -> TransferAnswer:
        body = encode(request)
        await asyncio.sleep(self.delay())
        process, pod = self.pods.get(address, (None, None))
        if process is None or process.dead:
            return Failed("connection refused")
        if self.is_cut(asker) or self.is_cut(process):
            await asyncio.sleep(PEER_TIMEOUT)
            return Failed("timed out")
        answer = asyncio.get_running_loop().create_future()
        process.start(self._serve(pod, body, answer))
        try:
            async with asyncio.timeout(10.0):
                body = await answer
        except TimeoutError:
            return Failed("timed out")
        await asyncio.sleep(self.delay())
        if self.is_cut(asker) or self.is_cut(process):
            await asyncio.sleep(PEER_TIMEOUT)
            return Failed("timed out")
        answered = decode(body)
        assert isinstance(answered, TransferAnswer)
        return answered

    async def _serve(self, pod, body: bytes, answer: asyncio.Future) -> None:
        workers = pod._workers
        request = decode_request.decode(body)
        answered: AnyMessage = Busy("no assignment yet") if workers is None else await workers.transfer(request)
        if not answer.done():
            answer.set_result(encode(answered))


class End:
    """One end of a wire, as the code that uses `websockets` sees it."""

    def __init__(self, wire: "Wire") -> None:
        self._wire = wire
        self.other: End | None = None
        self._inbox: asyncio.Queue = asyncio.Queue()
        self.closed = False

    async def send(self, text: str) -> None:
        if self.closed:
            raise ConnectionClosedError(None, None)
        self._wire.carry(self.other, text)

    async def recv(self) -> str:
        message = await self._inbox.get()
        if message is _END:
            self._inbox.put_nowait(_END)
            raise ConnectionClosedError(None, None)
        return message

    def __aiter__(self):
        return self

    async def __anext__(self) -> str:
        message = await self._inbox.get()
        if message is _END:
            raise StopAsyncIteration
        return message

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self._wire.tear()

    def arrive(self, message) -> None:
        if message is _END:
            self.closed = True
        if not self.closed or message is _END:
            self._inbox.put_nowait(message)


class Wire:
    """A pod's connection to an operator. `async with` it is a pod's `_dial`."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.pod = this_process()
        self._waiting: list[tuple[End, object]] = []
        self._last = {}
        self.open = True

    async def __aenter__(self) -> End:
        network = self._network
        await asyncio.sleep(network.delay())
        leader = network.choose()
        if leader is None or network.is_cut(self.pod):
            raise ConnectionRefusedError("nobody answers")
        self.operator = leader.process
        mine, theirs = End(self), End(self)
        mine.other, theirs.other = theirs, mine
        self._ends = mine, theirs
        network.wires[self] = None
        leader.process.start(leader.control.serve(theirs))
        return mine

    async def __aexit__(self, *error) -> None:
        self.tear()

    def carry(self, to: End, message) -> None:
        network = self._network
        if not self.open:
            return
        if network.is_cut(self.pod) or network.is_cut(self.operator):
            self._waiting.append((to, message))
            return
        if network.tears():
            self.tear()
            return
        loop = asyncio.get_running_loop()
        at = max(self._last.get(id(to), 0.0) + 1e-6, loop.time() + network.delay())
        self._last[id(to)] = at
        loop.call_at(at, self._arrive, to, message, context=NOBODY)

    def _arrive(self, to: End, message) -> None:
        if self.open and (self._network.is_cut(self.pod) or self._network.is_cut(self.operator)):
            self._waiting.append((to, message))
        else:
            to.arrive(message)

    def mended(self, *, breaks: bool) -> None:
        waiting, self._waiting = self._waiting, []
        if breaks:
            self.tear()
        for to, message in waiting:
            self.carry(to, message)

    def tear(self) -> None:
        """Both ends find it closed; of what is on its way some still arrives."""
        if self.open:
            self.open = False
            self._network.wires.pop(self, None)
            loop = asyncio.get_running_loop()
            for end in self._ends:
                loop.call_at(loop.time() + self._network.delay(), end.arrive, _END, context=NOBODY)

    def of(self, process: Process) -> bool:
        return process in (self.pod, self.operator)


def tear_all_of(network: Network, process: Process) -> None:
    """The process is dead: whoever was connected to it notices."""
    for wire in list(network.wires):
        if wire.of(process):
            wire.tear()
