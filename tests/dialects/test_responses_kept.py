"""What is read out of requests and answers for keeping them: whatever their JSON."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.dialects import responses
from oneapi.dialects.responses_kept import Answered, Follows
from oneapi.dialects.responses_shapes import seal
from oneapi.errors import ApiError
from oneapi.wire.json import members

JSON = Any
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "type", "input", "output", "conversation", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def follows(body: JSON) -> Follows:
    return responses.follows(members(json.dumps(body).encode()))


def test_what_a_request_refers_to() -> None:
    found = follows(
        {
            "previous_response_id": "resp_1",
            "conversation": {"id": "conv_1"},
            "input": [
                {"type": "item_reference", "id": "msg_1"},
                {"id": "msg_2"},
                {"type": "message", "id": "msg_3", "role": "user", "content": "item_reference"},
                {"type": "reasoning", "id": "rs_1", "summary": []},
                {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "g"},
            ],
        }
    )
    assert found == Follows("resp_1", "conv_1", ("msg_1", "msg_2"), ("rs_1",))


@pytest.mark.parametrize("written", ["item\\u005freference", "item_reference"])
@pytest.mark.parametrize("filling", [0, 10_000])
def test_an_escaped_reference_is_one(written: str, filling: int) -> None:
    item = f'{{"type":"{written}","x":"{"y" * filling}","\\u0069d":"m"}}'
    assert responses.follows(members(f'{{"input":[{item}]}}'.encode())).items == ("m",)


def test_a_text_refers_to_nothing() -> None:
    assert follows({"input": '{"type":"item_reference","id":"m"}'}) == Follows()
    assert follows({"previous_response_id": None, "conversation": None}) == Follows()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"previous_response_id": 7}, "previous_response_id"),
        ({"conversation": 7}, "conversation"),
        ({"conversation": {}}, "conversation"),
        ({"conversation": {"id": [1]}}, "conversation"),
    ],
)
def test_an_id_that_is_none_is_refused_by_name(body: JSON, param: str) -> None:
    with pytest.raises(ApiError) as refused:
        follows(body)
    assert (refused.value.status, refused.value.param) == (400, param)


def test_what_an_answer_says_of_itself() -> None:
    body = {"id": "resp_1", "status": "completed", "output": [{"id": "a"}, {"type": "x"}]}
    assert responses.answered(json.dumps(body).encode()) == Answered("resp_1", ("a",), True)
    with_conversation = {**body, "store": False, "conversation": {"id": "conv_1"}}
    said = responses.answered(json.dumps(with_conversation).encode())
    assert said == Answered("resp_1", ("a", "conv_1"), False)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id":7}', b'{"id":"r","status":"failed"}', b"x"])
def test_what_is_no_answer_says_nothing(body: bytes) -> None:
    assert responses.answered(body) is None


def test_an_answer_with_odd_members_is_still_one() -> None:
    body = b'{"id":"resp_1","status":null,"output":[{"id":null},7,{"id":"a"}],"store":false}'
    assert responses.answered(body) == Answered("resp_1", ("a",), False)


def test_the_terminal_event_holds_the_answer() -> None:
    response = {"id": "resp_1", "output": []}
    event = json.dumps({"type": "response.completed", "response": response})
    for framing in ("data: {}\n\n", "event: x\r\ndata: {}\r\n\r\n"):
        tail = b": ping\n\n" + framing.replace("{}", event).encode() + b"data: [DONE]\n\n"
        assert json.loads(responses.stream_answer(tail) or b"") == response


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"data: [DONE]\n\n",
        b'data: {"type":"response.failed","response":{"id":"r"}}\n\n',
        b'data: {"type":"x","delta":"response.completed"}\n\n',
        b'data: {"type":"response.completed"}\n\n',
        b"data: response.completed\n\n",
    ],
)
def test_a_stream_without_its_end_has_no_answer(tail: bytes) -> None:
    assert responses.stream_answer(tail) is None


def test_notes_of_ours_are_taken_out_for_others() -> None:
    thought = {"type": "reasoning", "summary": [], "encrypted_content": seal({"text": "x"})}
    note = {"type": "compaction", "encrypted_content": seal({"summary": "They met."})}
    theirs = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    plain = responses.unsealed([thought, note, theirs, "odd"])
    assert plain[1:] == [theirs, "odd"]
    assert (plain[0]["role"], plain[0]["content"][-9:]) == ("user", "They met.")
    assert responses.is_sealed(json.dumps(note).encode())


def page(items: list[JSON], **options: Any) -> JSON:
    return json.loads(responses.item_page(items, "resp_1", **options))


def test_items_without_ids_get_the_same_ones_every_time() -> None:
    items: list[JSON] = [{"role": "user", "content": str(n)} for n in range(3)]
    names = [item["id"] for item in page(items)["data"]]
    assert names == [item["id"] for item in page(items)["data"]]
    assert len(set(names)) == 3
    after = page(items, after=names[0], limit=1)
    assert ([i["id"] for i in after["data"]], after["has_more"]) == ([names[1]], True)


def test_an_empty_list_is_one() -> None:
    assert page([]) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


@given(VALUES)
def test_any_json_is_read_or_refused(value: JSON) -> None:
    raw = json.dumps(value).encode()
    responses.answered(raw)
    responses.stream_answer(b"data: " + raw + b"\n\n")
    page([value])
    responses.unsealed([value])
    with contextlib.suppress(ApiError):
        follows({"input": [value], "conversation": value, "previous_response_id": value})


@given(st.binary(max_size=200))
def test_any_bytes_are_no_answer_or_one(data: bytes) -> None:
    responses.answered(data)
    responses.stream_answer(data)
    responses.stream_answer(b"data: response.completed" + data)
