"""What a request asks for is read strictly where routing needs it, and edited to the letter."""

from __future__ import annotations

import pytest

from oneapi.dialects.openai import OPERATIONS, edit_request, peek, peek_form
from oneapi.errors import ApiError
from oneapi.ir import Envelope
from oneapi.wire.json import JSON, Raw, encode, members

CHAT = OPERATIONS["chat"]
MESSAGES = [{"role": "user", "content": "1+1=？"}]


def chat(**more: JSON) -> Envelope:
    return peek(CHAT, members(encode({"model": "m", "messages": MESSAGES, **more})))


def test_the_envelope_of_a_chat() -> None:
    found = chat(
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=7,
        max_tokens=9,
        n=2,
    )
    assert found == Envelope(
        "m", stream=True, max_output=9, n=2, wants_usage=True, usage_option=True
    )


def test_no_limit_in_either_name_is_none() -> None:
    assert chat(max_completion_tokens=1, max_tokens=-1).max_output == 0
    assert chat(max_completion_tokens=-1, max_tokens=9).max_output == 0
    assert chat(max_completion_tokens=7).max_output == 7


@pytest.mark.parametrize(
    ("more", "n"),
    [
        ({"prompt": "x"}, 1),
        ({"prompt": ["x", "y", "z"]}, 3),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": [[1, 2], [3]], "n": 2}, 4),
        ({"prompt": ["x", "y"], "best_of": 20, "n": 1}, 40),
        ({"prompt": []}, 1),
        ({"prompt": ["x" * 10] * 20_000}, 20_000),
        ({"prompt": [[1, 2, 3]] * 20_000}, 20_000),
        ({"prompt": list(range(50_000))}, 1),
        ({"prompt": Raw(b"[" + b" " * 70_000 + b'"x","y"]')}, 2),
    ],
)
def test_every_prompts_every_answer_is_counted(more: dict[str, JSON], n: int) -> None:
    found = members(encode({"model": "m", **more}))
    assert peek(OPERATIONS["completions"], found).n == n


def test_null_members_count_as_absent() -> None:
    nothing = dict.fromkeys(["stream", "stream_options", "max_tokens", "n", "stop"])
    assert chat(**nothing) == Envelope("m", usage_option=True)


def test_a_whole_number_written_as_a_float_is_an_integer() -> None:
    body = b'{"model":"m","messages":[1],"max_tokens":1.0E+2}'
    assert peek(CHAT, members(body)).max_output == 100


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model": None}, "missing_required_parameter"),
        ({"model": 3}, "invalid_type"),
        ({"model": ""}, "invalid_value"),
        ({"model": "x" * 257}, "invalid_value"),
        ({"model": "a\nb"}, "invalid_value"),
        ({"messages": None}, "missing_required_parameter"),
        ({"messages": "hi"}, "invalid_type"),
        ({"messages": {}}, "invalid_type"),
        ({"stream": "yes"}, "invalid_type"),
        ({"stream": 1}, "invalid_type"),
        ({"stream_options": True}, "invalid_type"),
        ({"max_tokens": -5}, "invalid_value"),
        ({"max_tokens": 1.5}, "invalid_type"),
        ({"max_tokens": "9"}, "invalid_type"),
        ({"max_tokens": True}, "invalid_type"),
        ({"max_completion_tokens": 2**40}, "invalid_value"),
        ({"n": 0}, "invalid_value"),
        ({"n": 129}, "invalid_value"),
        ({"n": []}, "invalid_type"),
    ],
)
def test_a_wrong_member_is_named(change: dict[str, JSON], code: str) -> None:
    with pytest.raises(ApiError) as caught:
        chat(**change)
    error = caught.value
    assert (error.status, error.code, error.param) == (400, code, next(iter(change)))


@pytest.mark.parametrize(
    ("operation", "needs", "value"),
    [
        ("completions", "prompt", "x"),
        ("completions", "prompt", [[1, 2]]),
        ("edits", "instruction", "x"),
        ("embeddings", "input", [1, 2]),
        ("moderations", "input", [{"type": "text"}]),
        ("images.generations", "prompt", "x"),
        ("images.edits", "prompt", "x"),
        ("speech", "input", "x"),
    ],
)
def test_an_endpoint_s_input_has_a_type_and_its_lack_is_the_provider_s_to_refuse(
    operation: str, needs: str, value: JSON
) -> None:
    known = OPERATIONS[operation]
    assert peek(known, members(encode({"model": "m", needs: value}))).model == "m"
    assert peek(known, members(b'{"model":"m"}')).model == "m"
    with pytest.raises(ApiError) as wrong:
        peek(known, members(encode({"model": "m", needs: 5})))
    assert (wrong.value.code, wrong.value.param) == ("invalid_type", needs)


@pytest.mark.parametrize(
    ("operation", "model"),
    [
        ("moderations", "text-moderation-stable"),
        ("images.generations", "dall-e-2"),
        ("transcriptions", "whisper-1"),
        ("translations", "whisper-1"),
    ],
)
def test_some_endpoints_know_what_is_meant_without_a_model(operation: str, model: str) -> None:
    assert peek(OPERATIONS[operation], members(b'{"input":"","prompt":""}')).model == model


def test_the_path_may_name_the_model_and_must_not_contradict_the_body() -> None:
    embeddings = OPERATIONS["embeddings"]
    assert peek(embeddings, members(b'{"input":"x"}'), "ada").model == "ada"
    assert peek(embeddings, members(b'{"input":"x","model":"ada"}'), "ada").model == "ada"
    with pytest.raises(ApiError) as caught:
        peek(embeddings, members(b'{"input":"x","model":"bob"}'), "ada")
    assert (caught.value.code, caught.value.param) == ("invalid_value", "model")


def test_only_what_can_stream_streams() -> None:
    body = members(b'{"model":"m","input":"x","stream":true,"stream_format":"sse"}')
    assert not peek(OPERATIONS["embeddings"], body).stream
    assert peek(OPERATIONS["speech"], body).stream


def test_a_form_is_read_as_json_is() -> None:
    fields = {"model": "whisper-1", "stream": "True", "n": "02", "file": ""}
    found = peek_form(OPERATIONS["transcriptions"], fields, 99)
    assert found == Envelope("whisper-1", stream=True, size=99, n=2)
    with pytest.raises(ApiError):
        peek_form(OPERATIONS["transcriptions"], {"n": "two"})


def test_an_empty_field_of_a_form_counts_as_absent() -> None:
    fields = {"model": "", "stream": "", "n": "", "file": ""}
    assert peek_form(OPERATIONS["transcriptions"], fields) == Envelope("whisper-1")


BODY = b'{"temperature":1.0E+2, "model":"a","unknown":{"x": [1, 2]},"messages":[{}]}'


def test_nothing_to_change_means_the_original_bytes() -> None:
    found = members(BODY)
    assert edit_request(found) is None
    assert edit_request(found, model="a", set={"temperature": 100.0}, drop=["absent"]) is not None
    assert edit_request(found, model="a", drop=["absent"]) is None


def test_an_edit_keeps_every_other_member_to_the_letter() -> None:
    edited = edit_request(members(BODY), model="b", include_usage=True, drop=["messages"])
    assert edited == (
        b'{"temperature":1.0E+2,"model":"b","unknown":{"x": [1, 2]},'
        b'"stream_options":{"include_usage":true}}'
    )


@pytest.mark.parametrize(
    ("options", "edited"),
    [
        (b"null", b'{"include_usage":true}'),
        (b"{}", b'{"include_usage":true}'),
        (b'{"include_usage": false,"x":1.0E+2}', b'{"include_usage":true,"x":1.0E+2}'),
        (b'{ "include_usage" : true }', None),
    ],
)
def test_stream_options_keep_their_other_members(options: bytes, edited: bytes | None) -> None:
    found = members(b'{"stream_options":' + options + b"}")
    wanted = None if edited is None else b'{"stream_options":' + edited + b"}"
    assert edit_request(found, include_usage=True) == wanted


def test_set_and_drop_have_the_last_word() -> None:
    found = members(b'{"model":"a","seed":1,"top_p":2}')
    edited = edit_request(
        found,
        model="b",
        include_usage=True,
        set={"seed": 5},
        drop=["seed", "top_p", "stream_options"],
    )
    assert edited == b'{"model":"b","seed":5}'
