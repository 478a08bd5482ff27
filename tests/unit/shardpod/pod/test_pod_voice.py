"""What a pod passes on of the operator's word on voice and on telling the bot, and what it reports."""

import pytest

from shardpod.pod.assembly import neighbours
from shardpod.pod.observation import observe
from shardpod.worker import WorkerReport


@pytest.mark.parametrize("field", ["rejoin_voice", "announce", "inherits"])
def test_the_operators_word_reaches_the_workers(make_assignment, config, field):
    assert getattr(neighbours(make_assignment(**{field: True}), config, stopping=False), field) is True
    assert getattr(neighbours(make_assignment(), config, stopping=False), field) is False


@pytest.mark.parametrize(("all_running", "told"), [(True, (2, 1)), (False, (None, None))])
def test_voice_is_known_only_while_every_worker_runs(make_assignment, all_running, told):
    observed = observe(
        pod="p",
        assignment=make_assignment(),
        report=WorkerReport(voice=2, voice_to_rejoin=1),
        stopping=False,
        http_address=None,
        all_running=all_running,
    )

    assert (observed.voice, observed.voice_to_rejoin) == told
