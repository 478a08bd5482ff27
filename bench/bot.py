"""A bot that answers every request at once with 204, as cheaply as Python can. Prints its port."""

import asyncio

import uvloop

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
LENGTH = b"\r\nContent-Length: "


class Bot(asyncio.Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            at = head.rindex(LENGTH) + len(LENGTH)
            whole = end + 4 + int(head[at:].split(b"\r\n", 1)[0])
            if len(self.buffer) < whole:
                return
            self.buffer = self.buffer[whole:]
            self.transport.write(ANSWER)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Bot, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
