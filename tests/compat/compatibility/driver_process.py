"""One driver program as a real process: what it says line by line, and orders to it."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from compatibility.toolchains import Toolchains

from discord_simulator import Delivery, Simulator

DRIVERS = Path(__file__).parents[1] / "drivers"
PATIENCE_S = 45.0  # for one condition; a library's longest pause of its own is a few seconds
_EXIT_PATIENCE_S = 5.0
_LINE_LIMIT = 1024 * 1024
_SHOWN_LINES = 15


class Driver:
    """The program `script` run with the library that talks to `simulator`; inside `async with` it runs."""

    def __init__(self, toolchains: Toolchains, script: str, simulator: Simulator, compression: str) -> None:
        node = script.endswith(".mjs")
        config = {
            "rest_url": simulator.rest_url_tls,
            "gateway_url": simulator.gateway_url_tls,
            "token": simulator.settings.token,
            "compression": compression,
        }
        self._command = [str(toolchains.node if node else toolchains.python), str(DRIVERS / script), json.dumps(config)]
        trust = "NODE_EXTRA_CA_CERTS" if node else "SSL_CERT_FILE"
        self._environment = os.environ | {
            trust: simulator.ca_file,
            "COMPAT_NODE_PACKAGES": str(toolchains.node_packages),
        }
        self.lines: list[dict[str, Any]] = []
        self._stderr = b""
        self._heard = asyncio.Event()

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, stdin=pipe, stdout=pipe, stderr=pipe, limit=_LINE_LIMIT
        )
        self._readers = [asyncio.create_task(self._read()), asyncio.create_task(self._read_errors())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End of orders is the end of the program; one that does not end is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _EXIT_PATIENCE_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await asyncio.gather(*self._readers)

    async def order(self, **order: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until `condition` holds, which is looked at after each line; raises `AssertionError` at the deadline."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                async for _ in self._changes():
                    if condition():
                        return
                    if self.of("crashed") or self._process.returncode is not None:
                        break
        except TimeoutError:
            raise AssertionError(f"not within {PATIENCE_S:g} s: {what}\n{self.transcript()}") from None
        raise AssertionError(f"the program ended before this: {what}\n{self.transcript()}")

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["kind"] == kind]

    def dispatches(self, event_type: str, shard: int) -> list[dict[str, Any]]:
        return [line for line in self.of("dispatch") if line["type"] == event_type and line["shard"] == shard]

    def deliveries(self, shard: int) -> list[Delivery]:
        """Everything dispatched on a shard, in order of arrival, as `settle` takes it."""
        return [
            Delivery(line["number"], f"{line['session']}:{line['seq']}", line["guild"])
            for line in self.of("dispatch")
            if line["shard"] == shard
        ]

    def transcript(self) -> str:
        """What the program said last, without the flood of events, for a failed test."""
        said = [json.dumps(line) for line in self.lines if line["kind"] != "dispatch"][-_SHOWN_LINES:]
        errors = self._stderr.decode(errors="replace").splitlines()[-_SHOWN_LINES:]
        return "\n".join([f"{len(self.of('dispatch'))} dispatches", *said, "stderr:", *errors])

    async def _changes(self) -> AsyncIterator[None]:
        """Come round for each line, and now and then for what the simulator alone knows."""
        while True:
            self._heard.clear()
            yield
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), timeout=0.05)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            self.lines.append(json.loads(raw))
            self._heard.set()

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self._stderr = await self._process.stderr.read()
