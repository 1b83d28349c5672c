from __future__ import annotations

import pytest

from oneapi.dialects.responses import OPERATIONS, WATCHED, edit_request, peek
from oneapi.errors import ApiError
from oneapi.ir import Envelope
from oneapi.wire.json import members

CREATE = OPERATIONS["responses"]


def seen(body: bytes, name: str = "responses", path_model: str | None = None) -> Envelope:
    return peek(OPERATIONS[name], members(body, WATCHED), path_model)


def refused(body: bytes, path_model: str | None = None) -> ApiError:
    with pytest.raises(ApiError) as caught:
        seen(body, path_model=path_model)
    return caught.value


def test_a_request_tells_model_stream_and_limit() -> None:
    envelope = seen(b'{"model":"m","input":"hi","stream":true,"max_output_tokens":7}')

    assert envelope == Envelope("m", stream=True, max_output=7, wants_usage=True)


def test_null_counts_as_absent() -> None:
    body = b'{"model":"m","input":null,"stream":null,"max_output_tokens":null,"background":null}'

    assert seen(body) == Envelope("m", wants_usage=True)


def test_the_path_may_name_the_model() -> None:
    assert seen(b'{"input":[]}', path_model="m").model == "m"
    assert refused(b'{"model":"n"}', path_model="m").param == "model"


def test_counting_and_compacting_never_stream() -> None:
    for name in ("responses.input_tokens", "responses.compact"):
        assert not seen(b'{"model":"m","input":"x","stream":true}', name).stream


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"input":"hi"}', "model"),
        (b'{"model":""}', "model"),
        (b'{"model":7}', "model"),
        (b'{"model":"m","input":7}', "input"),
        (b'{"model":"m","input":{}}', "input"),
        (b'{"model":"m","stream":"yes"}', "stream"),
        (b'{"model":"m","max_output_tokens":1.5}', "max_output_tokens"),
        (b'{"model":"m","max_output_tokens":-5}', "max_output_tokens"),
        (b'{"model":"m","max_output_tokens":true}', "max_output_tokens"),
    ],
)
def test_a_wrong_type_is_named(body: bytes, param: str) -> None:
    error = refused(body)

    assert (error.status, error.param) == (400, param)


def test_answers_in_the_background_are_not_offered() -> None:
    error = refused(b'{"model":"m","input":"hi","background":true}')

    assert (error.status, error.code, error.param) == (501, "api_not_implemented", "background")


def test_edits_keep_every_other_byte() -> None:
    body = members(b'{"model":"m","input":"hi","temperature":1.0E+0}')

    assert edit_request(body, include_usage=True) is None
    assert edit_request(body, model="n", drop=["input"]) == b'{"model":"n","temperature":1.0E+0}'
