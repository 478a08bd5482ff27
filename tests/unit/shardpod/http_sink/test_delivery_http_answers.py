"""What the bot's answers mean: how much of a batch it took, whether the event is unwelcome, and what to do."""

import pytest

from shardpod.delivery.http_answers import refusal
from shardpod.delivery.http_connection import Answer


def refusal_of(status, body=b"", *, events=4, batching=True, retry_after=None):
    return refusal(Answer(status, retry_after, body), events, batching=batching)


# Batches.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"ok",
        b"{}",
        b"[4]",
        b'{"taken":1}',
        b"4",
        b'{"acknowledged":4}',
        b'{"acknowledged":5}',
        b'{"acknowledged":4,"more":{"acknowledged":1}}',
        b'{"acknowledged":',
        b'\xff{"acknowledged":1}',
        b"[" * 60_000,
    ],
)
def test_a_2xx_acknowledges_the_whole_batch_unless_it_says_less(body):
    assert refusal_of(200, body) is None


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_2xx_may_acknowledge_the_first_events_only(taken):
    error = refusal_of(200, b' {"acknowledged": %d}\n' % taken)

    assert str(error) == f"the bot acknowledged {taken} of 4 events"
    assert (error.acknowledged, error.rejected, error.unreachable) == (taken, False, False)


@pytest.mark.parametrize("said", [b"-1", b'"3"', b"null", b"true", b"2.5", b"[1]", b"{}"])
def test_a_number_of_events_that_is_none_acknowledges_nothing_and_says_so(said):
    error = refusal_of(200, b'{"acknowledged":%b}' % said)

    assert str(error) == 'the bot answered 200, but its "acknowledged" is no number of events'
    assert (error.acknowledged, error.rejected) == (0, False)


@pytest.mark.parametrize(("said", "acknowledged"), [(b"3", 3), (b"0", 0), (b"-2", 0), (b'"3"', 0)])
def test_an_error_may_acknowledge_the_first_events_as_well(said, acknowledged):
    error = refusal_of(503, b'{"acknowledged":%b}' % said, retry_after=7.0)

    assert str(error) == "the bot answered 503"
    assert (error.acknowledged, error.retry_after, error.rejected) == (acknowledged, 7.0, False)


def test_an_error_that_acknowledges_every_event_leaves_nothing_to_repeat():
    assert refusal_of(500, b'{"acknowledged":4}') is None


def test_an_unwelcome_event_in_a_batch_is_the_one_after_those_that_were_taken():
    error = refusal_of(422, b'{"acknowledged":2}')

    assert (error.acknowledged, error.rejected) == (2, True)


@pytest.mark.parametrize("status", [200, 500])
def test_without_batches_the_body_is_the_bots_own_business(status):
    error = refusal_of(status, b'{"acknowledged":0}', events=1, batching=False)

    assert (error is None) is (status == 200)


def test_an_error_without_batches_acknowledges_nothing_whatever_its_body_says():
    assert refusal_of(500, b'{"acknowledged":1}', events=1, batching=False).acknowledged == 0


# Whose fault it is.


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 451, 499])
def test_a_4xx_is_about_the_event(status):
    assert refusal_of(status).rejected


@pytest.mark.parametrize("status", [300, 301, 304, 308, 399, 408, 425, 429, 500, 502, 503, 504, 599, 600])
def test_any_other_answer_is_about_the_bot(status):
    assert not refusal_of(status).rejected


# What to do.


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_authorization_names_the_field_of_the_secret(status):
    assert str(refusal_of(status)) == (
        f"the bot answered {status}: check the secret that delivery.sink.http.authorizationSecretRef names"
    )


@pytest.mark.parametrize("status", [404, 405])
def test_a_wrong_path_names_the_field_of_the_url(status):
    assert str(refusal_of(status)).endswith("check the path of delivery.sink.http.url")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_asks_for_the_final_address(status):
    assert str(refusal_of(status)) == (
        f"the bot answered {status}: redirects are not followed; give the final address as delivery.sink.http.url"
    )


def test_what_is_too_large_or_of_a_wrong_type_names_the_settings_that_decide_it():
    assert "delivery.sink.http.batch.maxEvents" in str(refusal_of(413))
    assert "delivery.sink.http.compression" in str(refusal_of(415))
