"""What other pods and the command may ask a pod for: its shards, and its dead letters. With the shared secret only."""

import hmac
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web

from shardpod.worker.link import LinkClosedError
from shardpod.worker.messages import Busy, DeadLetterView, SettleDeadLetters, encode

from .asking import DEAD_LETTERS_PATH
from .peers import TRANSFER_PATH, decode_request
from .workers import WorkerFailedError, Workers

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Listed(msgspec.Struct, rename="camel"):
    """A dead letter as the command shows it; `died_at` in Unix seconds."""

    key: str
    shard_id: int
    type: str
    guild_id: str | None
    problem: str
    attempts: int
    died_at: float
    bytes: int


class _List(msgspec.Struct, rename="camel"):
    dead_letters: list[_Listed]


class _Chosen(msgspec.Struct, forbid_unknown_fields=True):
    """Either `keys` or `all`."""

    keys: Annotated[tuple[str, ...], msgspec.Meta(max_length=100_000)] = ()
    all: bool = False


class _Done(msgspec.Struct):
    done: int


def add_pod_api(router: web.UrlDispatcher, secret: str, workers: Callable[[], Workers | None]) -> None:
    """Add its routes."""
    api = _PodApi(secret, workers)
    router.add_post(TRANSFER_PATH, api.guarded(api.transfer))
    router.add_get(DEAD_LETTERS_PATH, api.guarded(api.dead_letters))
    router.add_post(f"{DEAD_LETTERS_PATH}/replay", api.guarded(api.replay))
    router.add_post(f"{DEAD_LETTERS_PATH}/discard", api.guarded(api.discard))


class _PodApi:
    def __init__(self, secret: str, workers: Callable[[], Workers | None]) -> None:
        self._authorization = f"Bearer {secret}".encode()
        self._workers = workers

    def guarded(self, handler: _Handler) -> _Handler:
        async def check(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
            if not hmac.compare_digest(given, self._authorization):
                return web.Response(status=HTTPStatus.UNAUTHORIZED, text="Wrong or no control secret.\n")
            try:
                return await handler(request)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                return web.Response(status=HTTPStatus.BAD_REQUEST, text=f"{error}\n")
            except (LinkClosedError, TimeoutError):
                return web.Response(
                    status=HTTPStatus.SERVICE_UNAVAILABLE, text="A worker is being started: ask again.\n"
                )
            except WorkerFailedError as error:
                return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR, text=f"A worker failed: {error}.\n")

        return check

    async def transfer(self, request: web.Request) -> web.Response:
        asked = decode_request.decode(await request.read())
        workers = self._workers()
        answer = Busy("this pod has no assignment yet") if workers is None else await workers.transfer(asked)
        return web.Response(body=encode(answer), content_type="application/msgpack")

    async def dead_letters(self, _request: web.Request) -> web.Response:
        workers = self._workers()
        letters = [] if workers is None else await workers.dead_letters()
        return _json(_List([_listed(letter) for letter in letters]))

    async def replay(self, request: web.Request) -> web.Response:
        return await self._settle(request, discard=False)

    async def discard(self, request: web.Request) -> web.Response:
        return await self._settle(request, discard=True)

    async def _settle(self, request: web.Request, *, discard: bool) -> web.Response:
        chosen = msgspec.json.decode(await request.read(), type=_Chosen)
        if chosen.all == bool(chosen.keys):
            return web.Response(status=HTTPStatus.BAD_REQUEST, text='Give either "keys" or "all": true.\n')
        workers = self._workers()
        if workers is None:
            return _json(_Done(0))
        keys = None if chosen.all else chosen.keys
        return _json(_Done(await workers.settle_dead_letters(SettleDeadLetters(keys, discard))))


def _json(value: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _listed(letter: DeadLetterView) -> _Listed:
    return _Listed(**{name: getattr(letter, name) for name in letter.__struct_fields__})
