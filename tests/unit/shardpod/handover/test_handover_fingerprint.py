"""One event has one fingerprint, however and by whichever session it is written; another event has another."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shardpod.handover import fingerprint, has_own_id

QUICK = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
BODIES = st.dictionaries(TEXTS.filter(lambda name: name != "_trace"), VALUES, max_size=5)


def envelope(d: str, s=7, t="TYPING_START") -> bytes:
    return f'{{"t":"{t}","s":{s},"op":0,"d":{d}}}'.encode()


def of(d, t="TYPING_START", s=7) -> bytes:
    return fingerprint(t, envelope(d if isinstance(d, str) else json.dumps(d), s, t))


class Writer:
    """Writes JSON in another way each time: order of keys, spaces, escapes, and the forms of a number."""

    def __init__(self, draw):
        self._draw = draw

    def write(self, value):
        if isinstance(value, dict):
            items = self._draw(st.permutations(list(value.items())))
            return f"{{{','.join(f'{self._space()}{self._text(key)}:{self.write(each)}' for key, each in items)}}}"
        if isinstance(value, list):
            return f"[{','.join(self.write(each) + self._space() for each in value)}]"
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bool) or value is None:
            return json.dumps(value)
        return self._draw(st.sampled_from(self._forms(value)))

    def _space(self):
        return self._draw(st.sampled_from(["", " ", "\n\t"]))

    def _text(self, value):
        plain, escaped = json.dumps(value, ensure_ascii=False), json.dumps(value)
        hexed = "".join(f"\\u{ord(each):04X}" if ord(each) < 0x10000 else each for each in value)
        return self._draw(st.sampled_from([plain, escaped, f'"{hexed}"']))

    def _forms(self, value):
        forms = [json.dumps(value)]
        if isinstance(value, int):
            forms += [f"{value}.0", f"{value}e0", f"{value}00E-2"]
        elif value.is_integer() and abs(value) < 2**53:
            forms += [f"{int(value)}"]
        return forms


@QUICK
@given(BODIES, st.data())
def test_the_same_json_has_one_fingerprint_however_it_is_written(d, data):
    assert of(Writer(data.draw).write(d), s=1) == of(d, s=2)


@QUICK
@given(BODIES, BODIES)
def test_different_json_has_different_fingerprints(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    if same or _equal(one, other):
        assert of(one) == of(other)
    else:
        assert of(one) != of(other)


def _equal(one, other):
    """As JSON: true is not 1, but 1.0 is."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one == other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": 1}, {"n": True}),
        ({"n": 1}, {"n": "1"}),
        ({"n": 0}, {"n": None}),
        ({"n": None}, {}),
        ({"n": [1, 2]}, {"n": [2, 1]}),
        ({"a": {"_trace": 1}}, {"a": {"_trace": 2}}),
    ],
)
def test_values_that_look_alike_are_told_apart(one, other):
    assert of(one) != of(other)


def test_the_type_is_part_of_it():
    assert of({"id": "1"}, t="CHANNEL_UPDATE") != of({"id": "1"}, t="CHANNEL_DELETE")
    assert of({"id": "1"}, t="MESSAGE_CREATE") != of({"id": "1"}, t="MESSAGE_DELETE")


def test_what_is_the_sessions_own_is_not_part_of_it():
    assert of({"_trace": ["one"], "a": 1}, s=1) == of({"a": 1, "_trace": ["other"]}, s=2) == of({"a": 1})


def test_an_id_of_its_own_is_all_that_counts():
    one = of({"id": "41", "content": "hi", "nonce": "a"}, t="MESSAGE_CREATE")
    assert one == of({"content": "hi", "id": 41}, t="MESSAGE_CREATE")
    assert one != of({"id": "42", "content": "hi", "nonce": "a"}, t="MESSAGE_CREATE")
    assert has_own_id(one)


def test_a_nested_id_is_not_the_events_own():
    one, other = ({"author": {"id": "1"}, "id": own} for own in ("2", "3"))
    assert of(one, t="MESSAGE_CREATE") != of(other, t="MESSAGE_CREATE")


def test_types_that_come_again_for_one_id_are_told_by_their_content():
    for type_ in ("MESSAGE_UPDATE", "THREAD_CREATE", "GUILD_MEMBER_ADD", "GUILD_CREATE", "SOMETHING_NEW"):
        assert not has_own_id(of({"id": "1"}, t=type_))


@pytest.mark.parametrize("d", ["{}", '{"id":null}', '{"id":{}}', "[]", "null", "3"])
def test_without_its_id_an_event_is_told_by_its_content(d):
    assert not has_own_id(of(d, t="MESSAGE_CREATE"))
    assert of(d, t="MESSAGE_CREATE") != of('{"id":[1]}', t="MESSAGE_CREATE")


def test_a_guild_that_comes_is_told_by_its_id_and_whether_it_is_there():
    one = of({"id": "1", "members": [1, 2], "unavailable": False}, t="GUILD_CREATE")
    assert one == of({"members": [2, 1], "id": "1"}, t="GUILD_CREATE")
    assert one != of({"id": "1", "unavailable": True}, t="GUILD_CREATE")
    assert one != of({"id": "2", "members": [1, 2]}, t="GUILD_CREATE")
    assert of({"name": "x"}, t="GUILD_CREATE") != of({"name": "y"}, t="GUILD_CREATE")


@pytest.mark.parametrize("d", ['{"n":1e999}', '{"n":123456789012345678901234567890}'])
def test_what_can_be_read_but_not_written_again_is_told_by_its_own_bytes(d):
    assert of(d, s=1) == of(d, s=2)
    assert of(d) != of(f"[{d}]")


@pytest.mark.parametrize(
    "raw", [b"", b"no json", b'{"d":', b'{"d":"\xff"}', b"\xff\xfe", b'{"d":"\\ud800"}', b"[" * 9999]
)
def test_what_cannot_be_read_is_told_by_its_bytes(raw):
    for type_ in ("TYPING_START", "MESSAGE_CREATE", "GUILD_CREATE"):
        assert fingerprint(type_, raw) == fingerprint(type_, bytes(bytearray(raw)))
        assert fingerprint(type_, raw) != fingerprint(type_, raw + b" x")


@QUICK
@given(st.text(st.characters(codec="utf-8"), max_size=10), st.binary(max_size=40))
def test_a_fingerprint_has_16_bytes_whatever_came(type_, raw):
    assert len(fingerprint(type_, raw)) == 16
