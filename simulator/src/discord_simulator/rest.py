"""GET /api/v10/gateway/bot, GET /api/v10/gateway and what libraries ask about the bot itself before they connect."""

import json
import time
from collections import deque
from collections.abc import Callable, Mapping

from aiohttp import web

from discord_simulator.conditions import RestAnswer, RestFault
from discord_simulator.discord import APPLICATION_ID, Discord
from discord_simulator.own_account import current_application, current_user

API_PATH = "/api/v10"
REQUESTS_PER_WINDOW = 50  # Discord docs, Rate limits: global limit, 50 requests in a second
_WINDOW_S = 1.0
_BUCKET = "5d41402abc4b2a76b9719d911017c592"
_TOO_MANY = web.HTTPTooManyRequests.status_code
_CLOUDFLARE_PAGE = "<!DOCTYPE html><html><head><title>Access denied</title></head><body>error code: 1015</body></html>"
_GARBAGE = '{"url": "wss://gateway.disc'
_UNAUTHORIZED = {"message": "401: Unauthorized", "code": 0}


class Rest:
    """`gateway_ports` gives the gateway's port for clients that ask over `http`, and over `https`."""

    def __init__(self, discord: Discord, clock: Callable[[], float], gateway_ports: Mapping[str, int]) -> None:
        self._discord = discord
        self._clock = clock
        self._gateway_ports = gateway_ports
        self._requests: deque[float] = deque()

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get(f"{API_PATH}/gateway", self._gateway)
        app.router.add_get(f"{API_PATH}/gateway/bot", self._gateway_bot)
        app.router.add_get(f"{API_PATH}/users/@me", self._user)
        for path in ("applications/@me", "oauth2/applications/@me"):
            app.router.add_get(f"{API_PATH}/{path}", self._application)
        return app

    async def _gateway(self, request: web.Request) -> web.Response:
        return _json({"url": self._url(request)})

    async def _gateway_bot(self, request: web.Request) -> web.Response:
        now = self._clock()
        refusal = self._refusal(request, now)
        fault = self._discord.conditions.next_rest_fault()
        if fault is not None:
            return _faulty(fault, self._rate_limit_headers(now))
        return refusal or self._success(self._body(request, now), now)

    async def _user(self, request: web.Request) -> web.Response:
        now = self._clock()
        return self._refusal(request, now) or self._success(current_user(APPLICATION_ID), now)

    async def _application(self, request: web.Request) -> web.Response:
        now, settings = self._clock(), self._discord.settings
        body = current_application(APPLICATION_ID, settings.guilds, settings.seed)
        return self._refusal(request, now) or self._success(body, now)

    def _refusal(self, request: web.Request, now: float) -> web.Response | None:
        """Count the request; give 429 or 401 where it is not to be answered."""
        within_limit = self._count(now)
        headers = self._rate_limit_headers(now)
        if not within_limit:
            return _too_many(self._requests[0] + _WINDOW_S - now, headers)
        if not self._authorized(request):
            return _json(_UNAUTHORIZED, status=401, headers=headers)
        return None

    def _success(self, body: dict[str, object], now: float) -> web.Response:
        return _json(body, headers=self._rate_limit_headers(now))

    def _body(self, request: web.Request, now: float) -> dict[str, object]:
        budget = self._discord.budget
        return {
            "url": self._url(request),
            "shards": self._discord.recommended_shards,
            "session_start_limit": {
                "total": budget.total,
                "remaining": budget.remaining(now),
                "reset_after": int(budget.reset_after(now) * 1000),
                "max_concurrency": self._discord.buckets.max_concurrency,
            },
        }

    def _authorized(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme == "Bot" and self._discord.token_valid(token)

    def _url(self, request: web.Request) -> str:
        host = request.url.host or "localhost"
        scheme = "wss" if request.scheme == "https" else "ws"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._gateway_ports[request.scheme]}/"

    def _count(self, now: float) -> bool:
        while self._requests and self._requests[0] <= now - _WINDOW_S:
            self._requests.popleft()
        self._requests.append(now)
        return len(self._requests) <= REQUESTS_PER_WINDOW

    def _rate_limit_headers(self, now: float) -> dict[str, str]:
        reset_after = self._requests[0] + _WINDOW_S - now
        return {
            "X-RateLimit-Limit": str(REQUESTS_PER_WINDOW),
            "X-RateLimit-Remaining": str(max(0, REQUESTS_PER_WINDOW - len(self._requests))),
            "X-RateLimit-Reset": f"{time.time() + reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{reset_after:.3f}",
            "X-RateLimit-Bucket": _BUCKET,
        }


def _faulty(fault: RestFault, headers: dict[str, str]) -> web.Response:
    if fault.answer is RestAnswer.HTML:
        more = {"Retry-After": str(max(1, round(fault.retry_after)))} if fault.status == _TOO_MANY else {}
        return web.Response(status=fault.status, text=_CLOUDFLARE_PAGE, content_type="text/html", headers=more)
    if fault.answer is RestAnswer.GARBAGE:
        return web.Response(status=fault.status, text=_GARBAGE, content_type="application/json", headers=headers)
    if fault.status == _TOO_MANY:
        return _too_many(fault.retry_after, headers)
    if fault.status == web.HTTPUnauthorized.status_code:
        return _json(_UNAUTHORIZED, status=fault.status, headers=headers)
    return web.Response(status=fault.status, text="upstream connect error", content_type="text/plain")


def _too_many(retry_after: float, headers: dict[str, str]) -> web.Response:
    """Discord docs, Rate limits: exceeding a rate limit. `retry_after` is in seconds, with a fraction."""
    body = {"message": "You are being rate limited.", "retry_after": round(retry_after, 3), "global": True}
    more = {"Retry-After": str(max(1, round(retry_after))), "X-RateLimit-Scope": "global", "X-RateLimit-Global": "true"}
    return _json(body, status=429, headers=headers | more)


def _json(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Answer as Discord does, with a content type that is bare: discord.py takes one with a charset for text."""
    return web.Response(body=json.dumps(body).encode(), status=status, headers=headers, content_type="application/json")
