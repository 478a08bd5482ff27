"""The control API: what a run is told to do, and what it has to show.

JSON over plain HTTP and without a password: for the local network of a test only.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from aiohttp import web

from discord_simulator.fault_requests import catalogue, read_fault
from discord_simulator.faults import Fault, UnknownTargetError
from discord_simulator.generator import MixError
from discord_simulator.scenario import LoadRunningError, Scenario
from discord_simulator.settings import Burst, LifeRates, LoadSettings, StoryShares
from discord_simulator.timeline import read_timeline
from discord_simulator.wrong_input import Input, WrongInputError, checked

_ROWS_PER_CHUNK = 2000  # of GET /ledger: memory stays small and heartbeats are answered while it is written
_encode = msgspec.json.Encoder().encode

_Positive = Annotated[float, msgspec.Meta(gt=0)]
_AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


class _BurstBody(Input, kw_only=True, frozen=True):
    every: _Positive
    size: _AtLeastOne


_Rate = Annotated[float, msgspec.Meta(ge=0, le=1000)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _LifeBody(Input, kw_only=True, frozen=True):
    joins: _Rate = 0.0
    leaves: _Rate = 0.0
    comebacks: _Rate = 0.0
    outages: _Rate = 0.0
    outage_seconds: _Positive = 5.0


class _LoadBody(Input, kw_only=True, frozen=True):
    allowed: ClassVar[dict[str, str]] = {
        "rate": "events per second, above 0",
        "duration": "seconds above 0, or null",
        "events": "a count of 1 or more, or null",
        "mix": '{"EVENT_TYPE": weight, …}, or null for the default',
        "burst": '{"every": seconds, "size": events}, or null',
        "look_alikes": "from 0 to 1: the share that repeats the last event of its type",
        "links": "from 0 to 1: the share of messages with 1 to 5 links",
        "edits": "from 0 to 1: the share of these that is edited",
        "life": '{"joins", "leaves", "comebacks", "outages": 0 to 1000 a second, "outage_seconds": above 0}, or null',
    }
    rate: _Positive
    duration: _Positive | None = None
    events: _AtLeastOne | None = None
    mix: dict[str, float] | None = None
    burst: _BurstBody | None = None
    look_alikes: _Share = 0.0
    links: _Share = StoryShares().links
    edits: _Share = StoryShares().edits
    life: _LifeBody | None = None


class _KillBody(Input, kw_only=True, frozen=True):
    allowed: ClassVar[dict[str, str]] = {
        "how": ", ".join(fault.value for fault in Fault),
        "code": "a close code from 1000 to 4999",
        "resumable": "true or false",
    }
    how: Fault
    code: Annotated[int, msgspec.Meta(ge=1000, le=4999)] = 4000
    resumable: bool = True


class _DelayBody(Input, kw_only=True, frozen=True):
    allowed: ClassVar[dict[str, str]] = {"seconds": "from 0 to 3600"}
    seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)]


BodyT = TypeVar("BodyT", bound=Input)


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
                web.get("/faults", self._faults),
                web.post("/faults", self._inject),
                web.post("/timeline", self._play),
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
        yield b'],"interferences":' + _encode(list(ledger.interferences())) + b"}"

    async def _summary(self, _request: web.Request) -> web.Response:
        return _json(self._scenario.discord.ledger.summary())

    async def _sessions(self, _request: web.Request) -> web.Response:
        return _json(self._scenario.describe_sessions())

    async def _load(self, _request: web.Request) -> web.Response:
        return _json(self._scenario.describe_load())

    async def _start_load(self, request: web.Request) -> web.Response:
        body = await _read(request, _LoadBody)
        burst = Burst(every=body.burst.every, size=body.burst.size) if body.burst else None
        settings = LoadSettings(
            rate=body.rate,
            duration=body.duration,
            events=body.events,
            mix=body.mix,
            burst=burst,
            look_alikes=body.look_alikes,
            stories=StoryShares(links=body.links, edits=body.edits),
            life=LifeRates(**msgspec.structs.asdict(body.life)) if body.life else None,
        )
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
        asked = await _read_object(request)
        self._scenario.inject(read_fault(asked | {"fault": "gateway-bot"}), self._clock())
        return _json({"status": asked["status"], "times": asked.get("times", 1)})

    async def _change_rules(self, request: web.Request) -> web.Response:
        asked = await _read_object(request)
        return _json(self._scenario.inject(read_fault(asked | {"fault": "rules"}), self._clock()))

    async def _faults(self, _request: web.Request) -> web.Response:
        done = [asdict(fault) for fault in self._scenario.discord.ledger.faults]
        return _json({"done": done, "known": catalogue()})

    async def _inject(self, request: web.Request) -> web.Response:
        return _json(self._scenario.inject(read_fault(await _read_object(request)), self._clock()))

    async def _play(self, request: web.Request) -> web.Response:
        timeline = read_timeline(await _read_json(request))
        self._scenario.play(timeline, self._clock())
        return _json({"faults": len(timeline.entries), "end": timeline.end})


async def _read(request: web.Request, body_type: type[BodyT]) -> BodyT:
    body = await request.read() or b"{}"
    return checked(lambda: msgspec.json.decode(body, type=body_type), body_type.allowed)


async def _read_json(request: web.Request) -> Any:
    body = await request.read() or b"{}"
    return checked(lambda: msgspec.json.decode(body), {})


async def _read_object(request: web.Request) -> dict[str, Any]:
    body = await request.read() or b"{}"
    return checked(lambda: msgspec.json.decode(body, type=dict[str, Any]), {})


@web.middleware
async def _explain_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except WrongInputError as error:
        return _json(error.describe(), status=400)
    except MixError as error:
        return _json({"field": "mix", "error": str(error), "allowed": error.allowed}, status=400)
    except UnknownTargetError as error:
        return _json({"error": str(error)}, status=404)
    except LoadRunningError as error:
        return _json({"error": f"{error}: DELETE /load"}, status=409)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=_encode(value), status=status, content_type="application/json")
