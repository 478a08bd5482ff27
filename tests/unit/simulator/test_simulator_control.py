"""The control API over real HTTP."""

import aiohttp
import pytest


@pytest.fixture
async def control(simulate):
    """Give (simulator, call), where call answers with status and decoded body."""
    simulator = await simulate()
    async with aiohttp.ClientSession() as http:

        async def call(method, path, json=None):
            async with http.request(method, f"{simulator.control_url}{path}", json=json) as answer:
                return answer.status, await answer.json()

        yield simulator, call


async def test_health(control):
    assert await control[1]("GET", "/healthz") == (200, {"ok": True})


async def test_a_load_runs_and_shows_in_the_ledger(control, connect, eventually):
    simulator, call = control
    client = await connect(simulator)
    await client.identify(guilds=8)

    status, load = await call("POST", "/load", {"rate": 5000, "events": 50, "mix": {"MESSAGE_CREATE": 1}})
    assert (status, load["total"]) == (200, 50)
    await client.receive_many(50)

    assert await call("GET", "/load") == (200, {"running": False, "done": True, "published": 50, "total": 50})
    _, ledger = await call("GET", "/ledger")
    assert len(ledger["events"]) == ledger["sent"] == 59
    assert [event[0] for event in ledger["events"]] == list(range(1, 60))
    assert ledger["events"][0] == [1, "READY", None, "session", [[client.session_id, 1]]]
    assert ledger["events"][-1][3:] == ["load", [[client.session_id, 59]]]
    assert ledger["sessions"][client.session_id]["shard"] == [0, 1]
    assert (ledger["identifies"], ledger["resumes"], ledger["violations"]) == (1, 0, [])
    assert ledger["interferences"] == []
    del ledger["events"], ledger["interferences"]
    assert await call("GET", "/ledger/summary") == (200, ledger)


async def test_an_empty_ledger_is_json_too(control):
    assert (await control[1]("GET", "/ledger"))[1]["events"] == []


async def test_a_long_ledger_comes_whole(control, eventually):
    simulator, call = control
    simulator.start_load(50_000, events=4500)
    await eventually(lambda: simulator.ledger.unrouted == 4500)

    _, ledger = await call("GET", "/ledger")

    assert [event[0] for event in ledger["events"]] == list(range(1, 4501))


async def test_a_load_is_stopped(control):
    _, call = control
    await call("POST", "/load", {"rate": 1})
    assert (await call("POST", "/load", {"rate": 1}))[0] == 409

    assert (await call("DELETE", "/load"))[1]["done"] is True


@pytest.mark.parametrize("by_shard", [True, False])
async def test_sessions_are_listed_delayed_and_killed(control, connect, by_shard):
    simulator, call = control
    client = await connect(simulator)
    await client.identify((1, 2), guilds=4)
    target = "1/2" if by_shard else client.session_id

    _, (session,) = await call("GET", "/sessions")
    assert (session["session_id"], session["shard"], session["connected"], session["seq"]) == (
        client.session_id, [1, 2], True, 5,
    )  # fmt: skip
    assert (await call("POST", f"/sessions/{target}/delay", {"seconds": 0.01}))[0] == 200
    status, killed = await call("POST", f"/sessions/{target}/kill", {"how": "close", "code": 4009, "resumable": False})

    assert (status, killed) == (200, [{"session_id": client.session_id, "was_connected": True}])
    assert await client.closed() == 4009
    assert await call("GET", "/sessions") == (200, [])


async def test_an_unknown_session_is_404_and_names_those_there_are(control, connect):
    simulator, call = control
    client = await connect(simulator)
    await client.identify(guilds=8)

    status, answer = await call("POST", "/sessions/0/9/kill", {"how": "tcp-reset"})

    assert status == 404
    assert client.session_id in answer["error"]


async def test_rules_change_while_it_runs(control):
    simulator, call = control

    answer = await call("POST", "/rules", {"shards": 32, "max_concurrency": 16, "remaining": 500})

    assert answer == (
        200, {"shards": 32, "max_concurrency": 16, "remaining": 500, "granted_intents": 53_608_447},
    )  # fmt: skip
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bot simulator-token"}) as http,
        http.get(f"{simulator.rest_url}/gateway/bot") as bot,
    ):
        body = await bot.json()
    assert (body["shards"], body["session_start_limit"]["max_concurrency"]) == (32, 16)


async def test_gateway_bot_fails_on_request(control):
    simulator, call = control

    assert (await call("POST", "/gateway-bot", {"status": 502, "times": 1}))[0] == 200

    async with aiohttp.ClientSession() as http, http.get(f"{simulator.rest_url}/gateway/bot") as answer:
        assert answer.status == 502


async def test_faults_are_injected_listed_and_explained_in_the_ledger(control, connect):
    simulator, call = control
    client = await connect(simulator)
    await client.identify(guilds=8)

    answer = await call("POST", "/faults", {"fault": "drop", "target": "0/1", "count": 1})
    assert answer == (200, {"sessions": [client.session_id]})
    simulator.start_load(1000, events=2)
    (arrived,) = await client.receive_many(1)

    _, faults = await call("GET", "/faults")
    assert [done["request"]["fault"] for done in faults["done"]] == ["drop"]
    assert "share" in faults["known"]["drop"]
    _, ledger = await call("GET", "/ledger")
    assert ledger["interferences"] == [[arrived["d"]["event_number"] - 1, client.session_id, "dropped"]]
    assert ledger["faults"] == faults["done"]


async def test_a_fault_on_nobody_is_404_unless_it_is_on_all(control):
    _, call = control

    assert (await call("POST", "/faults", {"fault": "reconnect", "target": "0/9"}))[0] == 404
    assert await call("POST", "/faults", {"fault": "reconnect"}) == (200, {"sessions": []})


async def test_a_load_brings_guilds_links_and_look_alikes(control, connect):
    simulator, call = control
    client = await connect(simulator)
    await client.identify(guilds=8)
    mix = {"MESSAGE_CREATE": 1, "MESSAGE_UPDATE": 1, "TYPING_START": 1}
    life = {"joins": 1000}

    body = {"rate": 1000, "events": 200, "mix": mix, "life": life, "links": 1, "edits": 1, "look_alikes": 1}
    assert (await call("POST", "/load", body))[0] == 200
    await simulator.wait_load_done()

    assert len(simulator.guild_ids) > 100
    payloads = await client.receive_many(250)
    assert any("https://" in str(payload["d"].get("content")) for payload in payloads)


async def test_a_timeline_is_played(control, eventually):
    simulator, call = control

    answer = await call("POST", "/timeline", [{"at": 0.05, "fault": "heal"}, {"at": 0, "fault": "heal"}])

    assert answer == (200, {"faults": 2, "end": 0.05})
    await eventually(lambda: len(simulator.ledger.faults) == 2)


@pytest.mark.parametrize(
    ("path", "body", "field", "allowed"),
    [
        ("/faults", {"fault": "explode"}, "fault", "half-open"),
        ("/faults", {"fault": "drop", "share": 7}, "share", "up to 1"),
        ("/faults", ["drop"], "", ""),
        ("/timeline", [{"at": 1, "fault": "drop", "share": 7}], "[0].share", "up to 1"),
        ("/load", {"rate": 0}, "rate", "above 0"),
        ("/load", {}, "rate", "above 0"),
        ("/load", {"rate": 1, "mix": {"NOPE": 1}}, "mix", "MESSAGE_CREATE"),
        ("/load", {"rate": 1, "burst": {"every": 0, "size": 1}}, "burst", "every"),
        ("/load", {"rat": 1}, "rat", "rate"),
        ("/load", {"rate": 1, "look_alikes": 2}, "look_alikes", "from 0 to 1"),
        ("/load", {"rate": 1, "life": {"joins": -1}}, "life", "outage_seconds"),
        ("/sessions/0/1/kill", {"how": "gently"}, "how", "tcp-reset"),
        ("/sessions/0/1/kill", {"how": "close", "code": 99}, "code", "1000"),
        ("/sessions/0/1/delay", {"seconds": -1}, "seconds", "0 to 3600"),
        ("/gateway-bot", {"status": 200}, "status", "429"),
        ("/rules", {"shards": "many"}, "shards", "1 or more"),
    ],
)
async def test_wrong_input_is_400_with_the_field_and_what_is_allowed(control, path, body, field, allowed):
    status, answer = await control[1]("POST", path, body)

    assert (status, answer["field"]) == (400, field)
    assert allowed in str(answer["allowed"])
