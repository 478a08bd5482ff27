"""`discord-gateway-shardpod dead-letters`, as it runs beside a pod in its container."""

import asyncio
import json
import sys

import pytest

from shardpod.contract import Observed
from shardpod.pod.http_endpoints import HttpEndpoints


class Holder:
    """Workers of a pod, as far as its dead letters go."""

    def __init__(self):
        self.settled = []

    async def dead_letters(self):
        return []

    async def settle_dead_letters(self, settle):
        self.settled.append((settle.keys, settle.discard))
        return 2


@pytest.fixture
async def holder(environ):
    """A pod listens where its environment says."""
    holder = Holder()
    served = HttpEndpoints(
        "127.0.0.1",
        0,
        secret=environ["GATEWAY_CONTROL_SECRET"],
        observe=lambda: Observed(pod="p"),
        report=lambda: None,
        workers=lambda: holder,
    )
    await served.start()
    environ["GATEWAY_HTTP_ADDRESS"] = served.address
    yield holder
    await served.close()


@pytest.fixture
def run(environ):
    async def run(*arguments):
        command = (sys.executable, "-m", "shardpod", "dead-letters", *arguments)
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
        process = await asyncio.create_subprocess_exec(*command, env=environ, **pipes)
        output, errors = await process.communicate()
        return process.returncode, output.decode(), errors.decode()

    return run


async def test_they_are_printed_as_the_pod_tells_them(holder, run):
    status, output, errors = await run("list")

    assert (status, json.loads(output), errors) == (0, {"deadLetters": []}, "")


@pytest.mark.parametrize(("what", "discard"), [("replay", False), ("discard", True)])
@pytest.mark.parametrize(
    ("which", "keys"), [(["--all"], None), (["--key=a:1"], ("a:1",)), (["--key=a:1", "--key=-b"], ("a:1", "-b"))]
)
async def test_a_decision_reaches_the_pod(holder, run, what, discard, which, keys):
    status, output, _ = await run(what, *which)

    assert (status, json.loads(output)) == (0, {"done": 2})
    assert holder.settled == [(keys, discard)]


@pytest.mark.parametrize("arguments", [(), ("replay",), ("list", "--all"), ("discard", "--all", "--key=a")])
async def test_what_is_to_be_done_with_which_has_to_be_said(holder, run, arguments):
    status, output, errors = await run(*arguments)

    assert (status, output) == (2, "")
    assert "usage: discord-gateway-shardpod" in errors
    assert holder.settled == []


async def test_a_pod_that_does_not_answer_is_no_pod_without_letters(holder, environ, run):
    environ["GATEWAY_HTTP_ADDRESS"] = "127.0.0.1:1"
    status, output, errors = await run("list")

    assert (status, output) == (1, "")
    assert errors.startswith("the pod does not answer: ")


async def test_a_refusal_of_the_pod_is_said_without_the_secret(holder, environ, run):
    environ["GATEWAY_CONTROL_SECRET"] = "another-secret"
    status, output, errors = await run("list")

    assert (status, output, errors) == (1, "", "the pod answered 401: Wrong or no control secret.\n")


async def test_outside_of_a_pod_it_says_where_it_belongs(environ, run):
    del environ["GATEWAY_POD_NAME"]
    status, _, errors = await run("list")

    assert status == 2
    assert errors.startswith("GATEWAY_POD_NAME is not set.")
    assert errors.endswith("Run this inside of one.\n")
