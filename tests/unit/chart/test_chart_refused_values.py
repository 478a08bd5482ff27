"""Values that the chart's schema refuses, each at its place."""

import json
from pathlib import Path

import jsonschema
import pytest

CHART = Path(__file__).parents[3] / "charts" / "discord-gateway-operator"
VALIDATOR = jsonschema.Draft7Validator(json.loads((CHART / "values.schema.json").read_text()))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replica": 2}, "replica"),
        ({"image": {"repo": "x"}}, "repo"),
        ({"simulator": {"guild": 3}}, "guild"),
        ({"metrics": {"serviceMonitor": {"enable": True}}}, "enable"),
        ({"replicas": 0}, "/replicas"),
        ({"replicas": "2"}, "/replicas"),
        ({"replicas": 1.5}, "/replicas"),
        ({"image": {"repository": ""}}, "/image/repository"),
        ({"image": {"repository": "discord-gateway:0.1.0"}}, "/image/repository"),
        ({"image": {"tag": 2}}, "/image/tag"),
        ({"image": {"tag": "with space"}}, "/image/tag"),
        ({"image": {"digest": "sha256:short"}}, "/image/digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"shardPods": {"image": {"repository": "a:1"}}}, "/shardPods/image/repository"),
        ({"shardPods": {"image": {"pullPolicy": "Sometimes"}}}, "/shardPods/image/pullPolicy"),
        ({"imagePullSecrets": ["registry"]}, "/imagePullSecrets/0"),
        ({"watchNamespaces": "bots"}, "/watchNamespaces"),
        ({"watchNamespaces": ["Bots"]}, "/watchNamespaces/0"),
        ({"crds": {"enabled": "yes"}}, "/crds/enabled"),
        ({"log": {"level": "loud"}}, "/log/level"),
        ({"log": {"format": "xml"}}, "/log/format"),
        ({"fullnameOverride": "Not_a_name"}, "/fullnameOverride"),
        ({"fullnameOverride": "n" * 51}, "/fullnameOverride"),
        ({"serviceAccount": {"name": "Mine"}}, "/serviceAccount/name"),
        ({"resources": {"limits": {"memory": True}}}, "/resources/limits/memory"),
        ({"resources": {"limit": {}}}, "limit"),
        ({"podLabels": {"a": 1}}, "/podLabels/a"),
        ({"extraEnv": [{"value": "x"}]}, "/extraEnv/0"),
        ({"extraArgs": [1]}, "/extraArgs/0"),
        ({"metrics": {"podMonitor": {"interval": "30"}}}, "/metrics/podMonitor/interval"),
        ({"simulator": {"guilds": -1}}, "/simulator/guilds"),
        ({"simulator": {"rate": "fast"}}, "/simulator/rate"),
        ({"simulator": {"maxConcurrency": 0}}, "/simulator/maxConcurrency"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_and_named(values, named):
    """By its path, or where the value itself is not known, by its name."""
    [error] = VALIDATOR.iter_errors(values)

    path = "".join(f"/{part}" for part in error.absolute_path)
    assert named in (path, *(error.instance if error.validator == "additionalProperties" else ()))
