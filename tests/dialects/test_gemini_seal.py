"""Thoughts of other providers travel in a signature, and come back as they were."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from oneapi.dialects.gemini import FACES
from oneapi.dialects.gemini_seal import Borrowed, seal, unseal
from oneapi.ir import Envelope, Part, Reasoning, Text

JSON = Any
FACE = FACES["generate"]
THOUGHT = Reasoning("über 🏔", signature="+/+/c2ln==", id="t1")
SEALED = seal(THOUGHT, len(THOUGHT.text))


def contents(*parts: JSON) -> JSON:
    return {"contents": [{"role": "model", "parts": list(parts)}]}


def parsed(*parts: JSON) -> list[Part]:
    return FACE.parse_request(contents(*parts), Envelope("m")).messages[0].parts


def thought(text: str, signature: str = "") -> JSON:
    signed = {"thoughtSignature": signature} if signature else {}
    return {"text": text, "thought": True, **signed}


def is_the_thought(part: Part) -> bool:
    assert isinstance(part, Borrowed)
    said = (part.text, part.signature, part.id, part.summary)
    return said == (THOUGHT.text, THOUGHT.signature, THOUGHT.id, False)


def test_a_thought_comes_back_whole() -> None:
    (part,) = parsed(thought(THOUGHT.text, SEALED))
    assert is_the_thought(part)


def test_a_thought_comes_back_in_the_other_alphabet_of_base64() -> None:
    other = base64.urlsafe_b64encode(base64.b64decode(SEALED)).decode().rstrip("=")
    (part,) = parsed(thought(THOUGHT.text, other))
    assert is_the_thought(part)


def test_the_pieces_of_a_stream_are_one_thought() -> None:
    pieces = [thought("ü"), thought("ber "), thought("🏔"), thought("", SEALED)]
    earlier = thought("before")
    found = parsed(earlier, *pieces, {"text": "said"})
    assert [type(part) for part in found] == [Reasoning, Borrowed, Text]
    assert is_the_thought(found[1])


def test_pieces_that_do_not_add_up_are_left_as_they_are() -> None:
    found = parsed(thought("over"), thought("long text", SEALED))
    assert [part.text for part in found if isinstance(part, Reasoning)] == ["over", "long text"]


def test_what_was_only_encrypted_comes_back() -> None:
    (part,) = parsed(thought("", seal(Reasoning(data="ENC"), 0)))
    assert isinstance(part, Borrowed)
    assert (part.text, part.data) == ("", "ENC")


def test_a_request_is_written_as_it_came() -> None:
    given = contents(thought(THOUGHT.text, SEALED), {"text": "said"})
    assert FACE.render_request(FACE.parse_request(given, Envelope("m"))) == given


@pytest.mark.parametrize(
    "word", ["", "c2ln", SEALED[:14], SEALED[:-6] + "!!", SEALED[:12] + "W10="]
)
def test_a_signature_that_is_none_of_ours_is_left_alone(word: str) -> None:
    assert unseal("x", word) is None


def test_nothing_is_sealed_where_nothing_vouches() -> None:
    assert seal(Reasoning("hm"), 2) == ""
