"""Libraries written against Discord, unmodified, as real processes over TLS: they must not be able to tell.

docs/compatibility.md says what each behaviour means, and has the table that this run finds.
"""

from pathlib import Path

import pytest
from compatibility.behaviours import SUBJECTS, Behaviour
from compatibility.table import render, replace

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"

# The first test of each library runs it. Before the first of all they are installed, which takes its own time.
pytestmark = pytest.mark.timeout(300, func_only=True)


@pytest.mark.parametrize("behaviour", Behaviour, ids=lambda behaviour: behaviour.name.lower())
@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_a_library_behaves_as_with_discord(examined, subject, behaviour):
    finding = examined(subject).findings[behaviour]

    assert finding.fault == ""


def test_the_committed_table_is_what_this_run_found(examined):
    committed = PAGE.read_text(encoding="utf-8")

    page = replace(committed, render({subject: examined(subject) for subject in SUBJECTS}))

    if page != committed:
        PAGE.write_text(page, encoding="utf-8")
    assert page == committed, "docs/compatibility.md has been rewritten: look at the difference, and commit it"
