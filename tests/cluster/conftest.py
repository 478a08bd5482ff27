"""A real Kubernetes cluster for all tests here, and a namespace for each."""

import itertools
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the package `harness`: tests are no packages themselves

from harness import choice, images, places, report, versions
from harness.faults import Faults
from harness.own_cluster import OwnCluster
from harness.work import Work

TEST_TIMEOUT_S = 300
ACCOUNT_WITHIN_S = 60.0
NAMES = itertools.count(1)
FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items):
    """Tests here may take longer; and the time to make a cluster, minutes the first time, counts for none of them.

    Where there is no cluster they are skipped, and in CI they fail (`cluster`).
    """
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    why_none = choice.why_none() if here and os.environ.get("CI") != "true" else None
    for item in here:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT_S, func_only=True))
        if why_none and "cluster" in item.fixturenames:
            item.add_marker(pytest.mark.skip(reason=why_none))  # by a mark: told once, not for each test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.failed:
        item.stash[FAILED] = True
    if outcome.failed and call.when == "call" and "namespace" in item.fixturenames:
        cluster, namespace = item.funcargs["cluster"], item.funcargs["namespace"]
        outcome.sections.append((f"namespace {namespace}", report.of_namespace(cluster, namespace)))
    return outcome


@pytest.fixture(scope="session")
def work(pytestconfig):
    """Tells what it does on the terminal while it does it: it may take minutes."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def say(line):
        with capture.global_and_fixture_disabled():
            print(f"\ncluster: {line}", end="", file=sys.stderr, flush=True)  # noqa: T201

    return Work(places.CACHE / "setup.log", say)


@pytest.fixture(scope="session")
def cluster(request):
    """kubectl, helm, apply, waiting."""
    if reason := choice.why_none():
        pytest.fail(reason)
    work = request.getfixturevalue("work")
    found, ours = choice.provide(work)
    yield found
    if ours:
        found.down(work)


@pytest.fixture(scope="session")
def project_image(cluster, work):
    """Name of the image that the Dockerfile makes of this checkout; every node has it."""
    cluster.load_image(images.project_image(work))
    return versions.PROJECT_IMAGE


@pytest.fixture(scope="session")
def python_image(cluster, work):
    """Name of an image with nothing but Python; every node has it."""
    if not isinstance(cluster, OwnCluster):
        cluster.load_image(images.python_image(work))
    return versions.PYTHON_IMAGE


@pytest.fixture
def namespace(cluster):
    """A fresh one that takes only pods of the strictest kind."""
    name = f"test-{os.getpid()}-{next(NAMES)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    try:
        # Kubernetes makes it a moment later, and refuses all pods before.
        cluster.wait_until(
            lambda: cluster.get("serviceaccount", "default", namespace=name),
            f"namespace {name} to have its ServiceAccount",
            ACCOUNT_WITHIN_S,
        )
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def faults(cluster):
    """What can happen to nodes and API server; all of it is undone after the test."""
    if not isinstance(cluster, OwnCluster):
        pytest.skip("faults of nodes are done only to a cluster of the tests' own, and KUBECONFIG names one of yours")
    faults = Faults(cluster)
    yield faults
    faults.undo()
