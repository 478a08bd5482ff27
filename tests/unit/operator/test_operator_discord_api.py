"""GET /gateway/bot against a small server: what is asked, what is understood, and what each failure becomes."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from gateway_operator import discord_api
from gateway_operator.discord_api import (
    DEFAULT_RETRY_AFTER,
    LONGEST_RETRY_AFTER,
    DiscordApi,
    DiscordApiError,
    DiscordUnavailableError,
    RateLimitedError,
    TokenRefusedError,
    bot_authorization,
)

TOKEN = "MTk4NjIyNDgz.top.secret"
ANSWER: dict[str, Any] = {
    "url": "wss://gateway.discord.gg/",
    "shards": 9,
    "session_start_limit": {"total": 1000, "remaining": 999, "reset_after": 14400000, "max_concurrency": 2},
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A REST API of one route, on a free port; its base URL."""
    app = web.Application()
    app.router.add_get("/api/v10/gateway/bot", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        yield f"{'https' if tls else 'http'}://localhost:{port}/api/v10"
    finally:
        await runner.cleanup()


def answering(status: int, body: str, headers: dict[str, str] | None = None) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers=headers)

    return handle


def api(base_url: str, **options: Any) -> DiscordApi:
    return DiscordApi(base_url=base_url, authorization=bot_authorization(TOKEN), **options)


async def failure(handler: Handler) -> DiscordApiError:
    async with serving(handler) as base_url:
        with pytest.raises(DiscordApiError) as caught:
            await api(base_url).gateway_bot()
    return caught.value


async def test_the_answer_is_understood_and_dated_on_the_loops_clock():
    async with serving(answering(200, json.dumps(ANSWER))) as base_url:
        before = asyncio.get_running_loop().time()
        info = await api(base_url).gateway_bot()
        after = asyncio.get_running_loop().time()

    assert (info.url, info.recommended_shards) == ("wss://gateway.discord.gg/", 9)
    assert (info.total, info.remaining, info.max_concurrency) == (1000, 999, 2)
    assert before <= info.read_at <= after
    assert info.read_at + 14400 <= info.reset_at <= after + 14400


async def test_the_request_names_the_client_and_shows_the_token():
    seen: dict[str, str] = {}

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.update(request.headers)
        return web.json_response(ANSWER)

    async with serving(handle) as base_url:
        await api(f"{base_url}/").gateway_bot()

    assert seen["Authorization"] == f"Bot {TOKEN}"
    assert seen["User-Agent"].startswith("DiscordBot (https://")


async def test_a_rest_proxys_secret_is_shown_as_it_is():
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        return web.json_response(ANSWER)

    async with serving(handle) as base_url:
        await DiscordApi(base_url=base_url, authorization="proxy secret\n").gateway_bot()

    assert seen == ["proxy secret"]


@pytest.mark.parametrize("token", [TOKEN, f"Bot {TOKEN}", f" {TOKEN}\n"])
def test_a_token_may_be_given_with_or_without_bot_in_front(token):
    assert bot_authorization(token) == f"Bot {TOKEN}"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_token_is_told_apart_and_not_repeated(status):
    error = await failure(answering(status, '{"message": "401: Unauthorized", "code": 0}'))

    assert isinstance(error, TokenRefusedError)
    assert "Discord refused the token" in str(error)
    assert TOKEN not in str(error)


@pytest.mark.parametrize(
    ("body", "headers", "retry_after"),
    [
        ('{"message": "slow", "retry_after": 1.337, "global": false}', {"Retry-After": "2"}, 1.337),
        ("<html>error code: 1015</html>", {"Retry-After": "37"}, 37),
        ('{"message": "slow"}', {"Retry-After": "5"}, 5),
        ('{"retry_after": "soon"}', {"Retry-After": "6"}, 6),
        ('{"retry_after": -1}', {}, DEFAULT_RETRY_AFTER),
        ('{"retry_after": NaN}', {}, DEFAULT_RETRY_AFTER),
        ("[]", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, DEFAULT_RETRY_AFTER),
        ("", {}, DEFAULT_RETRY_AFTER),
        ('{"retry_after": 1e12}', {}, LONGEST_RETRY_AFTER),
    ],
)
async def test_a_rate_limit_says_how_long_to_wait(body, headers, retry_after):
    error = await failure(answering(429, body, headers))

    assert isinstance(error, RateLimitedError)
    assert error.retry_after == retry_after


def without(*path: str) -> str:
    answer = json.loads(json.dumps(ANSWER))
    place = answer
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return json.dumps(answer)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, "oops", "GET /gateway/bot answered 500"),
        (502, "<html>", "GET /gateway/bot answered 502"),
        (302, "", "GET /gateway/bot answered 302"),
        (404, "{}", "GET /gateway/bot answered 404"),
        (200, "<html>", "the answer to GET /gateway/bot is not understood"),
        (200, "[]", "the answer to GET /gateway/bot is not understood"),
        (200, without("url"), "the answer to GET /gateway/bot is not understood: url: Field required"),
        (
            200,
            without("session_start_limit", "reset_after"),
            "the answer to GET /gateway/bot is not understood: session_start_limit.reset_after",
        ),
        (200, json.dumps({**ANSWER, "shards": 0}), "the answer to GET /gateway/bot is not understood: shards"),
        (200, json.dumps({**ANSWER, "url": "https://x"}), "the answer to GET /gateway/bot is not understood: url"),
        (200, json.dumps(ANSWER) + " " * 200_000, "the answer to GET /gateway/bot is longer than"),
    ],
)
async def test_trouble_and_garbage_are_worth_another_try(status, body, message):
    error = await failure(answering(status, body))

    assert isinstance(error, DiscordUnavailableError)
    assert str(error).startswith(message)


async def test_an_answer_with_more_fields_than_today_is_understood():
    async with serving(answering(200, json.dumps({**ANSWER, "new": 1}))) as base_url:
        assert (await api(base_url).gateway_bot()).recommended_shards == 9


async def test_a_port_where_nobody_listens_is_unavailable(unused_tcp_port: int):
    with pytest.raises(DiscordUnavailableError, match="cannot reach http://localhost") as caught:
        await api(f"http://localhost:{unused_tcp_port}/api/v10").gateway_bot()

    assert TOKEN not in str(caught.value)


async def test_a_connection_closed_without_an_answer_is_unavailable():
    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    error = await failure(handle)

    assert isinstance(error, DiscordUnavailableError)
    assert "closed without an answer" in str(error)


async def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(discord_api, "REQUEST_TIMEOUT", 0.05)

    async def handle(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    error = await failure(handle)

    assert isinstance(error, DiscordUnavailableError)
    assert "no answer" in str(error)


@pytest.mark.parametrize("authorization", ["Bot a\nb", "Bot \N{SNOWMAN}\x00"])
async def test_a_token_that_cannot_be_a_header_is_not_repeated(authorization):
    async with serving(answering(200, json.dumps(ANSWER))) as base_url:
        with pytest.raises(DiscordUnavailableError) as caught:
            await DiscordApi(base_url=base_url, authorization=authorization).gateway_bot()

    assert authorization not in str(caught.value)


def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


async def test_a_ca_of_the_user_is_trusted_as_well(tmp_path: Path):
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))

    async with serving(answering(200, json.dumps(ANSWER)), server_tls(authority)) as base_url:
        info = await api(base_url, ca_file=ca_file).gateway_bot()

    assert info.recommended_shards == 9


async def test_a_certificate_nobody_vouches_for_is_refused_and_named():
    async with serving(answering(200, json.dumps(ANSWER)), server_tls(trustme.CA())) as base_url:
        with pytest.raises(DiscordUnavailableError, match="its certificate is not trusted"):
            await api(base_url).gateway_bot()


def test_a_ca_file_that_cannot_be_read_is_said_at_the_start(tmp_path: Path):
    with pytest.raises(OSError, match="No such file"):
        api("https://localhost", ca_file=tmp_path / "none.pem")
