"""The API of a pod for other pods and for the command, over workers of a few lines."""

from random import Random
from types import SimpleNamespace

import aiohttp
import msgspec
import pytest

from shardpod.contract import Observed
from shardpod.pod.http_endpoints import HttpEndpoints
from shardpod.pod.peers import Peers
from shardpod.pod.workers import Workers
from shardpod.worker import Granted, Wait
from shardpod.worker.messages import Busy, Failed, Neighbours, Nothing, Release, Released, TransferAnswer, encode

SECRET = "the-control-secret"
LETTERS = "/v1/dead-letters"
decode = msgspec.msgpack.Decoder(TransferAnswer).decode


class Permits:
    def __init__(self):
        self.answer = Granted(7, 1.0)
        self.used = []

    async def ask(self, shard_id, *, ready):
        return self.answer

    def identify_sent(self, shard_id, permit):
        self.used.append((shard_id, permit))


@pytest.fixture
async def api(stand_in, make_assignment, config, ending, until):
    """`holding` starts two workers, of shards 0-7 and 8-15; `ask` sends a request, by default with the secret."""
    state = SimpleNamespace(workers=None, permits=Permits())
    peers = Peers(SECRET)
    served = HttpEndpoints(
        "127.0.0.1",
        0,
        secret=SECRET,
        observe=lambda: Observed(pod="p"),
        report=lambda: None,
        workers=lambda: state.workers,
    )
    await served.start()
    async with aiohttp.ClientSession() as client:

        async def ask(method, path, body=None, authorization=f"Bearer {SECRET}"):
            headers = {} if authorization is None else {"Authorization": authorization}
            async with client.request(method, f"http://{served.address}{path}", data=body, headers=headers) as response:
                return response.status, await response.read()

        async def holding(behaviour="obedient"):
            stand_in.behave(behaviour)
            state.workers = Workers(
                make_assignment(), config, permits=state.permits, peers=peers, random=Random(1), on_change=int
            )
            ending.append(state.workers)
            state.workers.start(Neighbours("me"))
            if behaviour != "slow":
                await until(lambda: state.workers.all_running)
            return state.workers

        yield SimpleNamespace(ask=ask, holding=holding, permits=state.permits)
    await served.close()
    await peers.close()


@pytest.fixture
def transfer(api):
    async def ask(request):
        status, body = await api.ask("POST", "/v1/transfer", encode(request))
        assert status == 200
        return decode(body)

    return ask


# Who may ask.

ROUTES = [
    ("POST", "/v1/transfer"),
    ("GET", LETTERS),
    ("POST", f"{LETTERS}/replay"),
    ("POST", f"{LETTERS}/discard"),
]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        SECRET,
        f"bearer {SECRET}",
        f"Bearer {SECRET}x",
        "Bearer \xe9\udcff",
    ],
)
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_the_secret_nothing_is_answered(api, method, path, authorization):
    assert await api.ask(method, path, b"rubbish", authorization) == (401, b"Wrong or no control secret.\n")


# Transfers.


async def test_before_there_is_an_assignment_a_successor_is_told_to_ask_again(transfer):
    assert await transfer(Release(3, "them")) == Busy("this pod has no assignment yet")


@pytest.mark.parametrize(("shard", "of"), [(0, 0), (7, 0), (8, 8), (15, 8)])
async def test_a_transfer_reaches_the_worker_that_holds_the_shard(api, transfer, shard, of):
    await api.holding()

    assert await transfer(Release(shard, "them")) == Released("s", f"wss://of-{of}/{shard}/them")


@pytest.mark.parametrize("shard", [16, -1, 10**9])
async def test_of_a_shard_that_is_not_the_pods_it_has_nothing(api, transfer, shard):
    await api.holding()

    assert await transfer(Release(shard, "them")) == Nothing()


async def test_while_a_worker_is_being_started_a_successor_is_told_to_ask_again(api, transfer):
    await api.holding("slow")

    assert await transfer(Release(3, "them")) == Failed(
        "its worker does not run: the worker that holds this shard is being started"
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", b"truncated"),
        (b"\xc1", b"MessagePack"),
        (b"{}", b"Expected `object`"),
        (b"\x81\xa4type\xa2\xff\xff", b""),
        (encode(Nothing()), b"Nothing"),
        (msgspec.msgpack.encode({"type": "Release", "to": "them"}), b"shard_id"),
        (msgspec.msgpack.encode({"type": "Release", "to": "them", "shard_id": "3"}), b"Expected `int`, got `str`"),
    ],
)
async def test_a_transfer_request_that_is_rubbish_is_refused_with_what_is_wrong(api, body, says):
    status, text = await api.ask("POST", "/v1/transfer", body)

    assert status == 400
    assert says in text
    assert text.strip()


# Dead letters.


async def test_without_an_assignment_there_are_no_dead_letters(api):
    assert await api.ask("GET", LETTERS) == (200, b'{"deadLetters":[]}')
    assert await api.ask("POST", f"{LETTERS}/replay", b'{"all":true}') == (200, b'{"done":0}')


async def test_the_dead_letters_of_all_workers_are_listed(api):
    await api.holding()
    status, body = await api.ask("GET", LETTERS)

    assert status == 200
    first, second = msgspec.json.decode(body)["deadLetters"]
    assert first == {
        "key": "key-0",
        "shardId": 0,
        "type": "T",
        "guildId": "1",
        "problem": "no",
        "attempts": 3,
        "diedAt": 5.0,
        "bytes": 10,
    }
    assert second["key"] == "key-8"


@pytest.mark.parametrize(("what", "discard"), [("replay", False), ("discard", True)])
@pytest.mark.parametrize(("body", "keys"), [(b'{"all":true}', None), (b'{"keys":["a","b"]}', ("a", "b"))])
async def test_what_is_decided_reaches_every_worker_and_what_they_did_is_summed(
    api, stand_in, what, discard, body, keys
):
    await api.holding()

    assert await api.ask("POST", f"{LETTERS}/{what}", body) == (200, b'{"done":4}')
    assert [text for text in stand_in.said() if text.startswith("settle")] == [f"settle {keys} {discard}"] * 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", b"truncated"),
        (b"{", b"truncated"),
        (b"[]", b"Expected `object`, got `array`"),
        (b"{}", b'Give either "keys" or "all"'),
        (b'{"keys":["a"],"all":true}', b'Give either "keys" or "all"'),
        (b'{"keys":[]}', b'Give either "keys" or "all"'),
        (b'{"keys":[1]}', b"Expected `str`, got `int`"),
        (b'{"all":"yes"}', b"Expected `bool`, got `str`"),
        (b'{"key":"a"}', b"unknown field `key`"),
        (b'{"keys":["\xff"]}', b""),
    ],
)
async def test_a_decision_that_is_rubbish_is_refused_with_what_is_wrong(api, stand_in, body, says):
    await api.holding()
    status, text = await api.ask("POST", f"{LETTERS}/discard", body)

    assert status == 400
    assert says in text
    assert text.strip()
    assert not [text for text in stand_in.said() if text.startswith("settle")]


async def test_while_a_worker_is_being_started_the_command_is_told_to_ask_again(api):
    await api.holding("slow")
    for method, path in (("GET", LETTERS), ("POST", f"{LETTERS}/replay")):
        assert await api.ask(method, path, b'{"all":true}') == (503, b"A worker is being started: ask again.\n")


async def test_a_worker_that_cannot_tell_its_dead_letters_is_not_taken_for_one_without(api):
    await api.holding("broken")

    assert await api.ask("GET", LETTERS) == (500, b"A worker failed: a stand-in does not take ListDeadLetters.\n")


# What workers ask their supervisor.


@pytest.mark.parametrize(
    ("answer", "heard"),
    [
        (Granted(7, 1.5), "PermitGiven(permit=7, expires_in=1.5, retry_in=0.0, reason='')"),
        (Wait(2.5, "low"), "PermitGiven(permit=None, expires_in=0.0, retry_in=2.5, reason='low')"),
    ],
)
async def test_a_workers_questions_are_carried_to_the_operator_and_to_peers(api, stand_in, until, answer, heard):
    api.permits.answer = answer
    await api.holding("asks")
    await until(lambda: sum("does not take Stop" in text for text in stand_in.said()) == 2)

    assert stand_in.said().count(heard) == 2
    assert sorted(api.permits.used) == [(0, 7), (8, 7)]
    assert sum("the peer at 127.0.0.1:1 cannot be asked" in text for text in stand_in.said()) == 2
