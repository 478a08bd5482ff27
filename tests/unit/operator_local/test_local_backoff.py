import random

from hypothesis import given
from hypothesis import strategies as st

from gateway_operator.local.backoff import FIRST_DELAY, HEALTHY_AFTER, LONGEST_DELAY, RestartBackoff


def delays(*alive: float, seed: int = 0) -> list[float]:
    backoff = RestartBackoff(random.Random(seed))
    return [backoff.ended_after(seconds) for seconds in alive]


@given(st.integers(min_value=1, max_value=2000), st.integers())
def test_no_delay_is_longer_than_the_longest_nor_shorter_than_half_the_first(ends, seed):
    assert all(FIRST_DELAY / 2 <= delay <= LONGEST_DELAY for delay in delays(*[0.0] * ends, seed=seed))


def test_the_delay_doubles_with_each_early_end():
    class NoJitter(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    backoff = RestartBackoff(NoJitter())

    assert [backoff.ended_after(1.0) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_minute_alive_forgets_earlier_failures():
    *_, after_failures, after_a_minute = delays(0, 0, 0, 0, 0, HEALTHY_AFTER)

    assert after_failures > FIRST_DELAY
    assert after_a_minute <= FIRST_DELAY


def test_jitter_keeps_two_pods_apart():
    assert delays(0.0, seed=1) != delays(0.0, seed=2)
