"""docs/kubernetes.md says of each reason of trouble what it means and what to do."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
OPERATOR = ROOT / "operator" / "src" / "gateway_operator"

MAKERS = {"Trouble": 0, "Refusal": 0, "NotUsableError": 0, "_condition": 1}
"""What is made with a reason, and which argument that is. (A `_condition` of two arguments looks one up.)"""

NO_TROUBLE = {
    *("AllShardsConnected", "Complete", "NothingWrong", "NotResharding", "BudgetLeft"),  # all is well
    *("WaitingForDiscord", "ShardsConnecting", "ReplacingPods", "Resharding", "FormerShardsEnding"),  # it goes on
    *("Paused", "PausedBySpec", "ReshardPaused", "Suspended", "Suspending"),  # a person's will
    "NotReported",  # the command's word for a condition that an older operator does not write
}


def given(call: ast.Call) -> Iterator[ast.expr]:
    """What is given as the reason."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name in MAKERS and not (name == "_condition" and len(call.args) < 3):
        yield from call.args[MAKERS[name] : MAKERS[name] + 1]
    if name in {*MAKERS, "Condition"}:
        yield from (keyword.value for keyword in call.keywords if keyword.arg == "reason")


def reasons_in(tree: ast.AST) -> Iterator[str]:
    """The words that conditions are made with; and the constants that stand for some."""
    for node in ast.walk(tree):
        for value in given(node) if isinstance(node, ast.Call) else ():
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value
        if isinstance(node, ast.Assign) and "_REASON" in ast.dump(node.targets[0]):
            yield from (one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant))


@pytest.fixture(scope="module")
def reasons() -> set[str]:
    """Of all modules that decide what a condition says."""
    modules = [path for folder in ("core", "kube") for path in (OPERATOR / folder).rglob("*.py")]
    return {reason for path in modules for reason in reasons_in(ast.parse(path.read_text(encoding="utf-8")))}


def test_every_reason_of_trouble_stands_in_the_table_and_no_other_does(reasons):
    rows = PAGE.split("| reason | condition |")[1].split("\n\n")[0].splitlines()[2:]
    documented = [reason for row in rows for reason in re.findall(r"`(\w+)`", row.split("|")[1])]

    assert len(documented) == len(set(documented)), "each once"
    assert set(documented) == reasons - NO_TROUBLE


def test_what_is_called_no_trouble_is_a_reason_still(reasons):
    assert reasons >= NO_TROUBLE
