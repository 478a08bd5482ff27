"""A person with a cluster where the chart is installed as README.md tells, and a bot that takes events."""

import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the package `asperson`: tests are no packages themselves

from asperson import readme
from asperson.person import Person
from harness import report

IMAGE = "USAGE_IMAGE"
"""Set to the name of an image that the nodes have already: then none is built."""

FORBIDDEN = re.compile(r"forbidden: User|Not enough permissions")
"""What the API server says of a right that is missing, and Kopf of it. Other refusals have other words."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.failed and call.when == "call" and isinstance(person := item.funcargs.get("person"), Person):
        for namespace in (person.operator, person.bots):
            outcome.sections.append((f"namespace {namespace}", report.of_namespace(person.cluster, namespace)))
    return outcome


@pytest.fixture(scope="session")
def image(request):
    return os.environ.get(IMAGE) or request.getfixturevalue("project_image")


@pytest.fixture(scope="session")
def namespaces(cluster):
    """The operator's and the bot's, which take only pods of the strictest kind."""
    names = (f"usage-{os.getpid()}", f"usage-{os.getpid()}-bots")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply(
        [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}} for name in names]
    )
    yield names
    cluster.kubectl("delete", "namespace", *names, "--wait=false")


@pytest.fixture(scope="session")
def newcomer(cluster, namespaces, tmp_path_factory):
    """A person who has installed nothing yet."""
    programs, kubeconfig = tmp_path_factory.mktemp("programs"), tmp_path_factory.mktemp("kube") / "config"
    for name, path in {"kubectl": cluster._kubectl, "helm": cluster._helm}.items():
        (programs / name).symlink_to(path)
    (programs / "kubectl-dgw").symlink_to(Path(sys.executable).parent / "kubectl-dgw")
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(cluster.kubectl("config", "view", "--raw", "--minify", "--flatten"))
    operator, bots = namespaces
    person = Person(cluster, programs, kubeconfig, operator=operator, bots=bots)
    person.types(f"kubectl config set-context --current --namespace {bots}")
    return person


@pytest.fixture(scope="session")
def overlay(newcomer, image, tmp_path_factory):
    folder = tmp_path_factory.mktemp("overlay")
    return readme.overlay_in(folder, operator_namespace=newcomer.operator, image=image)


@pytest.fixture(scope="session")
def readme_commands(newcomer, image, overlay):
    """What README.md tells to type, fit for this cluster."""
    names = (newcomer.operator, newcomer.bots)
    return [readme.adapted(one, namespaces=names, image=image, overlay=overlay) for one in readme.commands()]


@pytest.fixture(scope="session")
def person(newcomer, readme_commands):
    """By the first of README's commands there is an operator. One for all tests here: a leader takes 15 s to come."""
    install = readme_commands[0]
    assert install.startswith("helm install ")
    newcomer.types(install)
    yield newcomer
    newcomer.cluster.kubectl("delete", "dgw", "--all", "--timeout=60s", namespace=newcomer.bots, check=False)
    newcomer.types(f"helm uninstall discord-gateway-operator --namespace {newcomer.operator}")


@pytest.fixture(scope="module")
def bot(person, overlay):
    """The example's Deployment, without its gateway. Each module has its own, which has counted nothing yet."""
    manifests = person.types(f"kubectl kustomize {overlay}").split("\n---\n")
    without = "\n---\n".join(one for one in manifests if "kind: DiscordGateway" not in one)
    person.cluster.apply(without, namespace=person.bots)
    yield
    person.cluster.kubectl("delete", "--ignore-not-found", "-f", "-", namespace=person.bots, stdin=without)
    person.until(lambda: not person.cluster.items("pods", "-l", "app=bot", namespace=person.bots), "the bot to end")


@pytest.fixture(scope="module", autouse=True)
def the_charts_permissions_are_enough(person):
    """The operator runs by its own account with the chart's roles, and never asked for more."""
    yield
    assert [line for line in person.operator_logs().splitlines() if FORBIDDEN.search(line)] == []
