from __future__ import annotations

import json

import pytest

from oneapi.dialects.anthropic_hosted import (
    allowed_betas,
    hosted_body,
    strip_betas,
    strip_fields,
)
from oneapi.wire.json import join, members

BODY = b'{"model": "m", "max_tokens": 1.0E+1, "stream": true, "messages": [ {"a" : 1} ]}'


def test_the_host_gets_version_and_betas_and_every_other_byte() -> None:
    out = hosted_body(members(BODY), version="v1", betas=["b1", "b2"], keep_stream=False)
    assert out == (
        b'{"max_tokens":1.0E+1,"messages":[ {"a" : 1} ],"anthropic_version":"v1",'
        b'"anthropic_beta":["b1","b2"]}'
    )


def test_a_host_that_streams_by_the_body_keeps_that() -> None:
    out = hosted_body(members(BODY), version="v1", betas=[], keep_stream=True)
    assert json.loads(out)["stream"] is True
    assert "anthropic_beta" not in json.loads(out)


def test_what_the_client_said_itself_stays() -> None:
    body = members(b'{"anthropic_version":"mine","anthropic_beta":["a","b"]}')
    out = json.loads(hosted_body(body, version="v1", betas=["b", "c"], keep_stream=False))
    assert out == {"anthropic_version": "mine", "anthropic_beta": ["a", "b", "c"]}


def test_betas_are_confined_to_patterns() -> None:
    assert allowed_betas(["context-1m-2025", "x", "y"], ["context-1m-*", "y"]) == [
        "context-1m-2025",
        "y",
    ]
    body = members(b'{"anthropic_beta":["a","b"],"x":1}')
    assert join(strip_betas(body, ["b"])) == b'{"anthropic_beta":["b"],"x":1}'
    assert join(strip_betas(body, [])) == b'{"x":1}'
    assert join(strip_betas(body, ["*"])) == join(body)


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("context_management", {"tools": [{"name": "a", "d": 1}, {"name": "b"}], "o": {"e": 1}}),
        ("tools[].d", {"tools": [{"name": "a"}, {"name": "b"}], "o": {"e": 1}}),
        ("o.e", {"tools": [{"name": "a", "d": 1}, {"name": "b"}], "o": {}}),
    ],
)
def test_members_that_a_host_refuses_are_taken_out(path: str, left: object) -> None:
    body: dict[str, object] = {
        "context_management": {},
        "tools": [{"name": "a", "d": 1}, {"name": "b"}],
        "o": {"e": 1},
    }
    kept, found = strip_fields(members(json.dumps(body).encode()), [path, "absent", "tools.x"])
    assert found == [path]
    expected = dict(body) if path != "context_management" else {}
    expected.update(left)  # type: ignore[call-overload]
    assert json.loads(join(kept)) == expected


def test_nothing_to_take_out_leaves_the_bytes() -> None:
    kept, found = strip_fields(members(BODY), ["messages[].zzz", "max_tokens.x", "stream[].y"])
    assert (found, bytes(kept["messages"])) == ([], b'[ {"a" : 1} ]')
