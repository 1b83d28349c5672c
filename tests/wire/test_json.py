"""Members keep their bytes; what is not JSON, or stands twice, is refused."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.wire.json import (
    DuplicateMember,
    MalformedJSON,
    decode,
    decode_mended,
    encode,
    join,
    members,
    replace_string,
)

WATCHED = frozenset({"model", "stream"})
VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e300, 1e300) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("raw", [b"1.0E+2", b"-0.0", b"1e999", b"123456789012345678901234567890"])
def test_unusual_numbers_survive_to_the_letter(raw: bytes) -> None:
    assert join(members(b'{"model":"a","x": ' + raw + b"}")) == b'{"model":"a","x":' + raw + b"}"


def test_unknown_members_keep_their_spaces_and_escapes() -> None:
    body = b'{"a":{ "b" : [1, 2] },"c":"\\u0041\\/"}'
    assert join(members(body)) == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b'"model"',
        b"{",
        b'{"a":1,}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":"\xff"}',
        b'{"\xff":1}',
        b'{"a":1} x',
        b"\xef\xbb\xbf{}",
        b'{"a":"\x01"}',
        b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedJSON):
        members(body, WATCHED)


def test_the_place_of_an_error_is_told() -> None:
    with pytest.raises(MalformedJSON) as caught:
        members(b'{"a":tru}')
    assert caught.value.position == 6


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","x":1,"mod\\u0065l":"b"}',
        b'{"stream":true, "model":"a" , "stream" :false}',
    ],
)
def test_a_watched_member_that_stands_twice_is_refused(body: bytes) -> None:
    with pytest.raises(DuplicateMember):
        members(body, WATCHED)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","tools":[{"model":"x","model":"y"}]}',
        b'{"model":"model","x":"\\"model\\":","y":["model"]}',
        b'{"model":"a","note":"\\u0041"}',
    ],
)
def test_a_name_that_stands_twice_elsewhere_is_no_duplicate(body: bytes) -> None:
    assert "model" in members(body, WATCHED)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","temperature":1,"temperature":2}',
        b'{"model": "a", "temperature": 1, "temperature": 2}',
        b'{"model":"a","Model":"b"}',
        b'{"model":"a","STREAM":true}',
    ],
)
def test_any_doubled_member_and_a_watched_one_in_another_case_is_refused(body: bytes) -> None:
    with pytest.raises(DuplicateMember):
        members(body, WATCHED)


def test_a_duplicate_is_found_beside_numbers_of_any_length() -> None:
    with pytest.raises(DuplicateMember):
        members(b'{"model":"a","n":' + b"9" * 10_000 + b',"model":"b"}', WATCHED)


def test_lone_surrogates_and_huge_numbers_are_taken() -> None:
    body = b'{"model":"a","text":"\\ud83d","x":1e999}'
    assert bytes(members(body)["text"]) == b'"\\ud83d"'
    assert decode(body)["text"] == "\ud83d"


@given(st.dictionaries(st.text(max_size=6), VALUES, max_size=5), st.booleans())
def test_members_joined_are_the_same_object(value: dict[str, object], ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        found = members(body)
    except MalformedJSON:
        assert not ascii_only  # a lone surrogate, written raw
        return
    assert json.loads(join(found)) == json.loads(body)


@given(st.binary() | st.text().map(str.encode))
def test_arbitrary_bytes_raise_only_what_is_declared(body: bytes) -> None:
    for read in (decode, lambda b: members(b, WATCHED)):
        try:
            read(body)
        except MalformedJSON:
            pass
    assert isinstance(replace_string(body, "model", "x"), bytes)


@pytest.mark.parametrize(
    ("body", "renamed"),
    [
        (b' { "id" : 1, "model" : "a" }\n', b' { "id" : 1, "model" : "NEW" }\n'),
        (b'{"x":{"model":"q"},"model":"a"}', b'{"x":{"model":"q"},"model":"NEW"}'),
        (b'{"x":{"model":"q"}}', b'{"x":{"model":"q"}}'),
        (b'{"model":"","x":1.0E+2}', b'{"model":"","x":1.0E+2}'),
        (b'{"model":null}', b'{"model":null}'),
        (b'{"model":{"model":"a"}}', b'{"model":{"model":"a"}}'),
        (b'{"mod\\u0065l":"a"}', b'{"mod\\u0065l":"NEW"}'),
        (b'{"y":"model","model":"a\\"b"}', b'{"y":"model","model":"NEW"}'),
        (b"not json", b"not json"),
        (b'["model","a"]', b'["model","a"]'),
    ],
)
def test_only_the_top_level_string_is_replaced(body: bytes, renamed: bytes) -> None:
    assert replace_string(body, "model", "NEW") == renamed


@given(st.dictionaries(st.text(max_size=6), VALUES, max_size=4), VALUES, st.sampled_from([None, 1]))
def test_a_replacement_changes_nothing_else(
    value: dict[str, object], nested: object, indent: int | None
) -> None:
    value = {**value, "in": {"model": nested}, "model": "old", "after": [nested]}
    body = json.dumps(value, indent=indent).encode()
    assert json.loads(replace_string(body, "model", "n\u00e9w")) == {**value, "model": "n\u00e9w"}


def test_encoding_is_compact_utf8() -> None:
    assert encode({"a": [1, "é"]}) == '{"a":[1,"é"]}'.encode()


def test_a_member_list_of_a_large_body_is_quick() -> None:
    messages = b",".join([b'{"role":"user","content":"x"}'] * 40_000)
    body = b'{"model":"a","messages":[' + messages + b"]}"
    start = time.process_time()
    members(body, WATCHED)
    assert time.process_time() - start < 0.1  # 1.2 MB; about 2 ms


def test_a_cut_character_can_be_mended_and_other_faults_cannot() -> None:
    assert decode_mended(b'{"a":"x\xe2\x82"}') == {"a": "x\ufffd"}
    assert decode_mended('{"a":"€"}'.encode()) == {"a": "€"}
    for broken in (b'{"a":', b'{"a":"\xe2'):
        with pytest.raises(MalformedJSON):
            decode_mended(broken)
