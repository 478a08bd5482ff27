"""An API server in memory, with as much of the Deployment controller as rolling one pod takes, and what stands on it.

It can fail before or after it has done what it was asked for, as a server does whose answer is lost. And it refuses,
as a real one does, what the rules in the chart do not allow.
"""

import base64
from collections import Counter
from contextlib import contextmanager
from copy import deepcopy
from http import HTTPStatus
from pathlib import Path

import pytest
import yaml

from gateway_operator.core.layout import pod_name
from gateway_operator.core.world import InstanceSpec, PodSpec
from gateway_operator.kube.api import DEPLOYMENT, GATEWAY, LEASE, POD, SECRET, ApiError, Kind
from gateway_operator.kube.names import CONTAINER, NUMBER, REVISION, gateway_labels, range_labels
from shardpod.contract import ShardRange

NAMESPACE = "bots"
RULES = Path(__file__).parents[4] / "charts" / "discord-gateway-operator" / "templates" / "_rules.tpl"
VERBS = {"find": {"list"}, "apply": {"create", "patch"}, "try": {"create", "patch"}, "replace": {"update"}}
"""What RBAC calls a request; another one by its own name."""


def allowed():
    """By API group and resource, the verbs that the operator's rules in the chart allow."""
    text = RULES.read_text().partition('"operator.rules" -}}')[2].partition("{{- end")[0]
    return {
        (group, resource): set(rule["verbs"])
        for rule in yaml.safe_load(text)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


ALLOWED = allowed()


def merged(before, change):
    """A JSON merge patch (RFC 7396)."""
    if not isinstance(change, dict):
        return deepcopy(change)
    result = dict(before) if isinstance(before, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


class Cluster:
    """`done`: what was written, in order. Of the pods it makes, `pending` ones stay without a container."""

    def __init__(self):
        self.done = []
        self.asked = []
        self.rules = ALLOWED
        self.pending = False
        self._objects = {}
        self._troubles = []
        self._sets = Counter()
        self._count = 0

    def fail(self, what, status=0, *, times=1, lost=False):
        """The next requests that begin with `what` (`patch Pod x`) fail; `lost`: once they have been carried out."""
        self._troubles += [[what, status, lost] for _ in range(times)]

    def mend(self):
        self._troubles.clear()

    def look(self, kind, name, namespace=NAMESPACE):
        return self._objects.get((kind.name, namespace, name))

    def all_of(self, kind):
        return [one for key, one in self._objects.items() if key[0] == kind.name]

    def put(self, kind, body):
        """As another one writes it."""
        key = (kind.name, body["metadata"]["namespace"], body["metadata"]["name"])
        return self._store(key, kind, body)

    @contextmanager
    def as_person(self):
        """May do everything."""
        self.rules = None
        try:
            yield self
        finally:
            self.rules = ALLOWED

    # What KubeApi has.

    async def get(self, kind, namespace, name):
        with self._asked("get", kind, name):
            return deepcopy(self.look(kind, name, namespace))

    async def find(self, kind, namespace, selector=""):
        with self._asked("find", kind, selector):
            wanted = dict(one.split("=") for one in selector.split(",") if one)
            return [
                deepcopy(one)
                for one in self.all_of(kind)
                if namespace in (None, one["metadata"]["namespace"])
                and wanted.items() <= one["metadata"].get("labels", {}).items()
            ]

    async def apply(self, kind, wanted, *, dry_run=False):
        name = wanted["metadata"]["name"]
        with self._asked("try" if dry_run else "apply", kind, name):
            key = (kind.name, wanted["metadata"]["namespace"], name)
            return wanted if dry_run else self._store(key, kind, merged(self._objects.get(key), wanted))

    async def create(self, kind, wanted):
        name, namespace = wanted["metadata"]["name"], wanted["metadata"]["namespace"]
        with self._asked("create", kind, name):
            if self.look(kind, name, namespace) is not None:
                raise ApiError("it is there already", 409)
            return self._store((kind.name, namespace, name), kind, wanted)

    async def replace(self, kind, wanted):
        name, namespace = wanted["metadata"]["name"], wanted["metadata"]["namespace"]
        with self._asked("replace", kind, name):
            there = self._there(kind, namespace, name)
            if any(there["metadata"][one] != wanted["metadata"].get(one) for one in ("resourceVersion", "uid")):
                raise ApiError("the object has been modified", 409)
            return self._store((kind.name, namespace, name), kind, wanted)

    async def patch(self, kind, namespace, name, change, *, subresource=None):
        with self._asked("patch", kind, name, subresource):
            there = self._there(kind, namespace, name)
            version = there["metadata"]["resourceVersion"]
            if change.get("metadata", {}).get("resourceVersion", version) != version:
                raise ApiError("the object has been modified", 409)
            change = {subresource: change[subresource]} if subresource else change
            return self._store((kind.name, namespace, name), kind, merged(there, change))

    async def delete(self, kind, namespace, name, *, uid=None):
        with self._asked("delete", kind, name):
            there = self.look(kind, name, namespace)
            if there is None or uid not in (None, there["metadata"]["uid"]):
                return
            if kind is POD:
                there["metadata"].setdefault("deletionTimestamp", self._date())
            else:
                del self._objects[kind.name, namespace, name]

    # What the controllers of a cluster do.

    def roll(self):
        """One round of the Deployment and ReplicaSet controllers; what has no Deployment any more is ended."""
        for deployment in self.all_of(DEPLOYMENT):
            self._scale(deployment)
        owners = {one["metadata"]["uid"] for one in self.all_of(DEPLOYMENT)}
        for pod in self.all_of(POD):
            if pod["made_by"][0] not in owners:
                self._end(pod)
        for made_by, wanted in self._sets.items():
            mine = [one for one in self.all_of(POD) if one["made_by"] == made_by and self._stays(one)]
            for pod in mine[wanted:]:
                self._end(pod)
            if made_by[0] in owners and len(mine) < wanted:
                self._make(made_by)

    def collect(self):
        """The garbage collector deletes what belongs to somebody that is gone."""
        there = {one["metadata"]["uid"] for one in self._objects.values()}
        for key, one in list(self._objects.items()):
            if any(ref["uid"] not in there for ref in one["metadata"].get("ownerReferences", ())):
                del self._objects[key]

    def pod(self, name):
        return self.look(POD, name)

    def pods(self, deployment=""):
        """The names of those of a Deployment that are not being ended, in the order in which they were made."""
        return [
            one["metadata"]["name"]
            for one in self.all_of(POD)
            if one["metadata"]["name"].startswith(deployment) and self._stays(one)
        ]

    def gone(self, name):
        """The kubelet has ended it, or a person has deleted it by force."""
        del self._objects[POD.name, NAMESPACE, name]

    def ready(self, name):
        self.pod(name)["status"]["conditions"] = [{"type": "Ready", "status": "True"}]

    def drain(self, name):
        self._end(self.pod(name))

    def _scale(self, deployment):
        uid, revision = deployment["metadata"]["uid"], deployment["spec"]["template"]["metadata"]["labels"][REVISION]
        self._sets[uid, revision] = deployment["spec"]["replicas"]
        new = [one for one in self.all_of(POD) if one["made_by"] == (uid, revision) and self._stays(one)]
        if deployment["spec"]["replicas"] == 0 or any(one["status"].get("conditions") for one in new):
            for made_by in self._sets:
                if made_by[0] == uid and made_by[1] != revision:
                    self._sets[made_by] = 0

    def _make(self, made_by):
        uid, revision = made_by
        [owner] = [one for one in self.all_of(DEPLOYMENT) if one["metadata"]["uid"] == uid]
        labels = owner["spec"]["template"]["metadata"]["labels"] | {REVISION: revision}
        name = f"{owner['metadata']['name']}-{revision}-{self._next()}"
        status = {} if self.pending else {"containerStatuses": [running_container()]}
        pod = {"metadata": {"namespace": NAMESPACE, "name": name, "labels": labels}, "status": status}
        self.put(POD, pod | {"made_by": made_by})

    def _end(self, pod):
        pod["metadata"].setdefault("deletionTimestamp", self._date())

    def _stays(self, pod):
        return "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") != "Failed"

    def _store(self, key, kind, body):
        body = deepcopy(body) | {"apiVersion": kind.api_version, "kind": kind.name}
        there = self._objects.get(key, {"metadata": {"uid": f"uid-{self._next()}", "creationTimestamp": self._date()}})
        fixed = {one: there["metadata"][one] for one in ("uid", "creationTimestamp")}
        body["metadata"] = {**fixed, **body["metadata"], "resourceVersion": str(self._next())}
        self._objects[key] = body
        return deepcopy(body)

    def _there(self, kind, namespace, name):
        there = self.look(kind, name, namespace)
        if there is None:
            raise ApiError(f"{name} not found", 404)
        return there

    def _asked(self, verb, kind: Kind, name, subresource=None):
        if self.rules and kind is not LEASE:  # by a Role of its own, for its one name
            plural = "/".join(part for part in (kind.plural, subresource) if part)
            rules = self.rules[kind.api_version.rpartition("/")[0], plural]
            if missing := VERBS.get(verb, {verb}) - rules:
                raise ApiError(f"the chart's rules do not allow to {missing} {plural}", HTTPStatus.FORBIDDEN)
        request = f"{verb} {kind.name} {name}"
        self.asked.append(f"{verb} {kind.name}")
        trouble = next((one for one in self._troubles if request.startswith(one[0])), None)
        if trouble is not None:
            self._troubles.remove(trouble)
        return _Answering(self, request, trouble)

    def _next(self):
        self._count += 1
        return self._count

    def _date(self):
        return f"2026-01-01T00:{self._count // 60 % 60:02}:{self._count % 60:02}Z"


class _Answering:
    def __init__(self, cluster, request, trouble):
        self._cluster, self._request, self._trouble = cluster, request, trouble

    def __enter__(self):
        if self._trouble is not None and not self._trouble[2]:
            self._fail()

    def __exit__(self, kind, *_):
        if kind is None:
            if not self._request.startswith(("get", "find", "try")):
                self._cluster.done.append(self._request)
            if self._trouble is not None:
                self._fail()

    def _fail(self):
        raise ApiError(f"{self._request}: it was made to fail", self._trouble[1])


class HandClock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


def running_container(restarts=0):
    return {"name": CONTAINER, "restartCount": restarts, "state": {"running": {}}}


def range_of(first=0, last=15, epoch=1, gateway="mybot"):
    held = ShardRange(first_shard_id=first, last_shard_id=last)
    return PodSpec(pod_name(gateway, epoch, held), epoch, held)


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture(scope="session")
def pod_of():
    """A pod of the range as the API has it, running if not told otherwise."""

    def build(name, number=None, *, spec=None, revision="new", made="2026-01-01T00:00:00Z", ending=False, **status):
        spec = spec or range_of()
        metadata = {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{name}",
            "creationTimestamp": made,
            "labels": gateway_labels("mybot") | range_labels(spec) | {REVISION: revision},
            **({"annotations": {NUMBER: str(number)}} if number is not None else {}),
            **({"deletionTimestamp": made} if ending else {}),
        }
        return {"metadata": metadata, "status": {"containerStatuses": [running_container()]} | status}

    return build


@pytest.fixture(name="range_of", scope="session")
def range_of_fixture():
    return range_of


@pytest.fixture(name="running_container", scope="session")
def running_container_fixture():
    return running_container


@pytest.fixture(name="merged", scope="session")
def merged_fixture():
    return merged


@pytest.fixture(scope="session")
def instance_of():
    return lambda number, *, spec=None, revision="new", name=None: InstanceSpec(
        spec or range_of(), number, revision, given_name=name
    )


@pytest.fixture
def resource(cluster):
    """Put a DiscordGateway and its token's Secret there, as a person does; `fields` are of its spec."""

    def put(name="mybot", *, token="token", annotations=None, **fields):
        data = {"token": base64.b64encode(token.encode()).decode()}
        cluster.put(SECRET, {"metadata": {"namespace": NAMESPACE, "name": f"{name}-token"}, "data": data})
        spec = {
            "tokenSecretRef": {"name": f"{name}-token", "key": "token"},
            "intents": ["Guilds"],
            "delivery": {"sink": {"http": {"url": "http://bot:8080/"}}},
            **fields,
        }
        there = cluster.look(GATEWAY, name) or {"metadata": {"generation": 0}}
        metadata = there["metadata"] | {"namespace": NAMESPACE, "name": name, "annotations": annotations or {}}
        metadata["generation"] += 1
        return cluster.put(GATEWAY, there | {"metadata": metadata, "spec": spec})

    return put
