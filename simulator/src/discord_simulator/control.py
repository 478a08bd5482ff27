"""The control API: what a run is told to do, and what it has to show.

JSON over plain HTTP and without a password: for the local network of a test only.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, ClassVar, TypeVar

import msgspec
from aiohttp import web

from discord_simulator.conditions import RestFault
from discord_simulator.faults import Fault, UnknownTargetError
from discord_simulator.generator import MixError
from discord_simulator.scenario import LoadRunningError, Scenario
from discord_simulator.settings import Burst, LoadSettings

_ROWS_PER_CHUNK = 2000  # of GET /ledger: memory stays small and heartbeats are answered while it is written
_encode = msgspec.json.Encoder().encode

_Positive = Annotated[float, msgspec.Meta(gt=0)]
_AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


class _Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A request's body. `allowed` tells a user, field by field, what may be written."""

    allowed: ClassVar[dict[str, str]] = {}


class _BurstBody(_Body):
    every: _Positive
    size: _AtLeastOne


class _LoadBody(_Body):
    allowed: ClassVar[dict[str, str]] = {
        "rate": "events per second, above 0",
        "duration": "seconds above 0, or null",
        "events": "a count of 1 or more, or null",
        "mix": '{"EVENT_TYPE": weight, …}, or null for the default',
        "burst": '{"every": seconds, "size": events}, or null',
    }
    rate: _Positive
    duration: _Positive | None = None
    events: _AtLeastOne | None = None
    mix: dict[str, float] | None = None
    burst: _BurstBody | None = None


class _KillBody(_Body):
    allowed: ClassVar[dict[str, str]] = {
        "how": ", ".join(fault.value for fault in Fault),
        "code": "a close code from 1000 to 4999",
        "resumable": "true or false",
    }
    how: Fault
    code: Annotated[int, msgspec.Meta(ge=1000, le=4999)] = 4000
    resumable: bool = True


class _DelayBody(_Body):
    allowed: ClassVar[dict[str, str]] = {"seconds": "from 0 to 3600"}
    seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)]


class _GatewayBotBody(_Body):
    allowed: ClassVar[dict[str, str]] = {
        "status": "401, 429, or 500 to 599",
        "retry_after": "seconds above 0, for a 429",
        "times": "how many answers, 1 or more",
    }
    status: Annotated[int, msgspec.Meta(ge=401, le=599)]
    retry_after: _Positive = 1.0
    times: _AtLeastOne = 1


class _RulesBody(_Body):
    allowed: ClassVar[dict[str, str]] = {
        "shards": "recommended shards, 1 or more",
        "max_concurrency": "1 or more",
        "remaining": "identifies left today, 0 or more",
    }
    shards: _AtLeastOne | None = None
    max_concurrency: _AtLeastOne | None = None
    remaining: Annotated[int, msgspec.Meta(ge=0)] | None = None


BodyT = TypeVar("BodyT", bound=_Body)


class Control:
    """Answers from `scenario`, at the times `clock` tells (seconds since the start)."""

    def __init__(self, scenario: Scenario, clock: Callable[[], float]) -> None:
        self._scenario = scenario
        self._clock = clock

    def application(self) -> web.Application:
        app = web.Application(middlewares=[_explain_errors])
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/ledger", self._ledger),
                web.get("/ledger/summary", self._summary),
                web.get("/sessions", self._sessions),
                web.get("/load", self._load),
                web.post("/load", self._start_load),
                web.delete("/load", self._stop_load),
                web.post("/sessions/{target:.+}/kill", self._kill),
                web.post("/sessions/{target:.+}/delay", self._delay),
                web.post("/gateway-bot", self._fail_gateway_bot),
                web.post("/rules", self._change_rules),
            ]
        )
        return app

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _json({"ok": True})

    async def _ledger(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        async for chunk in self._ledger_chunks():
            await response.write(chunk)
        await response.write_eof()
        return response

    async def _ledger_chunks(self) -> AsyncIterator[bytes]:
        """Write the ledger as it was when asked, piece by piece."""
        ledger = self._scenario.discord.ledger
        last = ledger.next_number - 1
        yield _encode(ledger.summary())[:-1] + b',"events":['
        for first in range(1, last + 1, _ROWS_PER_CHUNK):
            rows = list(ledger.rows(first, min(last, first + _ROWS_PER_CHUNK - 1)))
            yield (b"," if first > 1 else b"") + _encode(rows)[1:-1]
        yield b"]}"

    async def _summary(self, _request: web.Request) -> web.Response:
        return _json(self._scenario.discord.ledger.summary())

    async def _sessions(self, _request: web.Request) -> web.Response:
        return _json(self._scenario.describe_sessions())

    async def _load(self, _request: web.Request) -> web.Response:
        return _json(self._scenario.describe_load())

    async def _start_load(self, request: web.Request) -> web.Response:
        body = await _read(request, _LoadBody)
        burst = Burst(every=body.burst.every, size=body.burst.size) if body.burst else None
        settings = LoadSettings(rate=body.rate, duration=body.duration, events=body.events, mix=body.mix, burst=burst)
        self._scenario.start_load(settings, self._clock())
        return _json(self._scenario.describe_load())

    async def _stop_load(self, _request: web.Request) -> web.Response:
        self._scenario.stop_load()
        return _json(self._scenario.describe_load())

    async def _kill(self, request: web.Request) -> web.Response:
        body = await _read(request, _KillBody)
        target = request.match_info["target"]
        return _json(self._scenario.kill(target, body.how, code=body.code, resumable=body.resumable, now=self._clock()))

    async def _delay(self, request: web.Request) -> web.Response:
        body = await _read(request, _DelayBody)
        return _json(self._scenario.delay(request.match_info["target"], body.seconds))

    async def _fail_gateway_bot(self, request: web.Request) -> web.Response:
        body = await _read(request, _GatewayBotBody)
        self._scenario.discord.conditions.gateway_bot = RestFault(
            status=body.status, times=body.times, retry_after=body.retry_after
        )
        return _json({"status": body.status, "times": body.times})

    async def _change_rules(self, request: web.Request) -> web.Response:
        body = await _read(request, _RulesBody)
        changes = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not None}
        return _json(self._scenario.change_rules(changes, self._clock()))


class _BadRequestError(Exception):
    def __init__(self, field: str, problem: str, allowed: dict[str, str]) -> None:
        super().__init__(problem)
        self.answer = {
            "field": field,
            "error": problem,
            "allowed": allowed.get(field, allowed),
        }  # without a field: all of them


async def _read(request: web.Request, body_type: type[BodyT]) -> BodyT:
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=body_type)
    except msgspec.DecodeError as error:
        named = re.search(r"`\$\.(\w+)|field `(\w+)`", str(error))
        field = next(filter(None, named.groups()), "") if named else ""
        raise _BadRequestError(field, str(error), body_type.allowed) from error


@web.middleware
async def _explain_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except _BadRequestError as error:
        return _json(error.answer, status=400)
    except MixError as error:
        return _json({"field": "mix", "error": str(error), "allowed": error.allowed}, status=400)
    except UnknownTargetError as error:
        return _json({"error": str(error)}, status=404)
    except LoadRunningError as error:
        return _json({"error": f"{error}: DELETE /load"}, status=409)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=_encode(value), status=status, content_type="application/json")
