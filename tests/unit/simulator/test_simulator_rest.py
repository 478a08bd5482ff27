"""GET /gateway/bot over real HTTP, plain and with TLS."""

import ssl

import aiohttp
import pytest


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


BOT = {"Authorization": "Bot simulator-token"}


async def test_the_body_and_the_headers_are_discords(simulate, http):
    simulator = await simulate(guilds=2500, max_concurrency=16, identify_total=2000, identify_remaining=1999)

    async with http.get(f"{simulator.rest_url}/gateway/bot", headers=BOT) as answer:
        body = await answer.json()

    assert answer.status == 200
    assert {name for name in answer.headers if name.startswith("X-RateLimit")} == {
        f"X-RateLimit-{name}" for name in ("Limit", "Remaining", "Reset", "Reset-After", "Bucket")
    }
    reset_after = body["session_start_limit"].pop("reset_after")
    assert 86_390_000 < reset_after <= 86_400_000
    assert body == {
        "url": simulator.gateway_url,
        "shards": 3,
        "session_start_limit": {"total": 2000, "remaining": 1999, "max_concurrency": 16},
    }


async def test_over_tls_the_gateway_is_wss_and_trusted_through_the_ca(simulate, http):
    simulator = await simulate()
    context = ssl.create_default_context(cafile=simulator.ca_file)
    url = simulator.rest_url_tls.replace("127.0.0.1", "localhost")

    async with http.get(f"{url}/gateway/bot", headers=BOT, ssl=context) as answer:
        body = await answer.json()

    assert body["url"] == simulator.gateway_url_tls.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize("authorization", [None, "Bot wrong", "simulator-token", "Bearer simulator-token"])
async def test_a_wrong_or_missing_token_is_401(simulate, http, authorization):
    simulator = await simulate()
    headers = {"Authorization": authorization} if authorization else {}

    async with http.get(f"{simulator.rest_url}/gateway/bot", headers=headers) as answer:
        assert (answer.status, await answer.json()) == (401, {"message": "401: Unauthorized", "code": 0})


async def test_an_identify_shows_in_what_remains(simulate, connect, http):
    simulator = await simulate(identify_remaining=7)
    client = await connect(simulator)
    await client.identify(guilds=8)

    async with http.get(f"{simulator.rest_url}/gateway/bot", headers=BOT) as answer:
        assert (await answer.json())["session_start_limit"]["remaining"] == 6


async def test_a_dead_token_is_401(simulate, connect, http):
    simulator = await simulate(identify_remaining=0)
    client = await connect(simulator)
    await client.send(2, {"token": "simulator-token", "intents": 0, "properties": {}})
    assert await client.closed() == 4004

    async with http.get(f"{simulator.rest_url}/gateway/bot", headers=BOT) as answer:
        assert answer.status == 401


async def test_gateway_needs_no_token(simulate, http):
    simulator = await simulate()

    async with http.get(f"{simulator.rest_url}/gateway") as answer:
        assert await answer.json() == {"url": simulator.gateway_url}


async def test_more_than_fifty_requests_a_second_are_429(simulate, http):
    simulator = await simulate()
    statuses = []
    for _ in range(51):
        async with http.get(f"{simulator.rest_url}/gateway/bot", headers=BOT) as answer:
            statuses.append(answer.status)
            body = await answer.json()

    if 429 not in statuses:
        pytest.skip("the machine took more than a second for 51 requests")
    assert statuses == [200] * 50 + [429]
    assert answer.headers["X-RateLimit-Scope"] == "global"
    assert 0 < body["retry_after"] <= 1.0


@pytest.mark.parametrize("status", [401, 429, 500, 502])
async def test_a_fault_lasts_as_many_answers_as_asked(simulate, http, status):
    simulator = await simulate()
    simulator.fail_gateway_bot(status, times=2, retry_after=1.5)
    statuses, headers = [], []
    for _ in range(3):
        async with http.get(f"{simulator.rest_url}/gateway/bot", headers=BOT) as answer:
            statuses.append(answer.status)
            headers.append(answer.headers)

    assert statuses == [status, status, 200]
    assert headers[0].get("Retry-After") == ("2" if status == 429 else None)
