"""How a gateway is shown whose resource cannot be followed."""

import jsonschema
import pytest

from gateway_operator.core.status_model import ConditionStatus, Phase
from gateway_operator.kube.settings import NotUsableError
from gateway_operator.kube.status_body import status_body
from gateway_operator.kube.unusable import shown

PROBLEM = NotUsableError("SecretMissing", "there is no such Secret")


def test_one_that_has_never_run_is_pending_and_tells_why():
    status = shown(None, "mybot", PROBLEM)

    assert (status.name, status.phase, status.shards) == ("mybot", Phase.PENDING, 0)
    ready, degraded = status.condition("Ready"), status.condition("Degraded")
    assert (ready.status, ready.reason, ready.message) == (ConditionStatus.FALSE, "SecretMissing", str(PROBLEM))
    assert degraded.status is ConditionStatus.TRUE
    assert status.condition("Resharding").status is ConditionStatus.UNKNOWN


def test_one_that_runs_is_shown_as_it_is_with_the_problem_before_all(status_of):
    status = shown(status_of(guilds=7), "mybot", PROBLEM)

    assert (status.phase, status.guilds) == (Phase.RUNNING, 7)
    assert "run on with the settings before" in status.condition("Ready").message
    assert status.condition("Degraded").reason == "SecretMissing"
    assert status.condition("IdentifyBudgetOK") == status_of().condition("IdentifyBudgetOK")


@pytest.mark.parametrize("runs", [False, True])
def test_the_api_server_takes_it(status_of, status_schema, runs):
    status = shown(status_of() if runs else None, "mybot", PROBLEM)
    body = status_body(status, generation=1, previous=None, now="2026-01-01T00:00:00Z", selector="a=b")

    jsonschema.validate(body, status_schema)
