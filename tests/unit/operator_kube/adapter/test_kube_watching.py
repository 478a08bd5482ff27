"""Watching by Kopf: which gateway an event is about, and that watching goes on whatever ends it."""

import asyncio
import threading

import pytest

from gateway_operator.kube import watching as watching_module
from gateway_operator.kube.names import GATEWAY
from gateway_operator.kube.watching import Watching


@pytest.fixture
def told():
    return []


class Watched:
    def __init__(self, told):
        self._told = told

    def note_change(self, key):
        self._told.append(("resource", key))

    def note_pods(self, key):
        self._told.append(("pods", key))


@pytest.fixture
def watching(told):
    return Watching(Watched(told), ("bots",))


def handlers(watching):
    found = watching._registry()._watching.get_all_handlers()
    return {one.selector.any_name or one.selector.plural: one for one in found}


async def test_an_event_of_a_resource_is_about_its_gateway(watching, told):
    watching._loop = asyncio.get_running_loop()
    await handlers(watching)["discordgateways"].fn(namespace="bots", name="mybot", labels={}, event={})
    await asyncio.sleep(0)

    assert told == [("resource", ("bots", "mybot"))]


@pytest.mark.parametrize("kind", ["deployments", "pods"])
async def test_an_event_of_a_child_is_about_the_gateway_of_its_label(watching, told, kind):
    watching._loop = asyncio.get_running_loop()
    await handlers(watching)[kind].fn(namespace="bots", name="mybot-e1-0-15-x", labels={GATEWAY: "mybot"}, event={})
    await asyncio.sleep(0)

    assert told == [("pods", ("bots", "mybot"))]


async def test_what_comes_after_the_end_is_told_to_nobody(watching, told):
    loop = asyncio.new_event_loop()
    loop.close()
    watching._loop = loop
    watching._tell(watching._watched.note_pods, ("bots", "mybot"))

    assert told == []


async def test_it_goes_on_whatever_ends_it_until_it_is_stopped(watching, monkeypatch):
    attempts, enough = [], asyncio.Event()
    loop = asyncio.get_running_loop()

    async def refused(self):
        attempts.append(threading.current_thread())
        if len(attempts) == 3:
            loop.call_soon_threadsafe(enough.set)
        if len(attempts) == 2:
            raise RuntimeError("a watch was refused")

    monkeypatch.setattr(watching_module, "START_AGAIN", 0.001)
    monkeypatch.setattr(Watching, "_kopf", refused)
    assert watching.problem() is None
    watching.start()
    await asyncio.wait_for(enough.wait(), 10)
    assert watching.problem() is None
    watching.stop()
    await asyncio.to_thread(watching._thread.join, 10)

    assert threading.current_thread() not in attempts
    assert watching.problem() == "nothing is watched any more"


def test_a_request_is_repeated_for_as_long_as_the_api_server_is_away():
    backoffs = iter(watching_module._Backoffs())

    assert [next(backoffs) for _ in range(50)][-1] == 5.0


def test_kopf_writes_nothing_into_objects_and_asks_for_children_alone():
    settings = watching_module._settings()

    assert not settings.posting.enabled
    assert settings.scanning.disabled
    assert settings.peering.standalone
    assert {kind.plural or kind.any_name for kind in settings.watching.label_selectors} == {"deployments", "pods"}
