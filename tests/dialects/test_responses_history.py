from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from oneapi.dialects.base import Hints
from oneapi.dialects.responses import (
    CHAT_PROVIDER,
    compact_request,
    compact_response,
    input_items,
    output_items,
    previous_id,
    render_input_tokens,
    stores,
    with_history,
)
from oneapi.errors import ApiError
from oneapi.ir import ChatResponse, Choice, Envelope, Reasoning, Text, Usage
from tests.dialects.responses_recorded import FACE, STAMP, parsed

SAID = {"type": "message", "id": "msg_1", "role": "assistant", "content": "a"}
HI = {"type": "message", "role": "user", "content": "hi"}


def compacted(body: Any) -> dict[str, Any]:
    choice = Choice([Reasoning("hm"), Text("they "), Text("agreed")], "stop")
    reply = ChatResponse("x", "m", [choice], Usage(input=3, output=2), "elsewhere")
    found: dict[str, Any] = json.loads(compact_response(reply, body, STAMP))
    return found


def test_what_a_request_follows_and_whether_it_is_kept() -> None:
    assert previous_id({"previous_response_id": "resp_1"}) == "resp_1"
    assert previous_id({"previous_response_id": None}) == previous_id([]) == ""
    assert stores({})
    assert not stores({"store": False})


def test_items_of_requests_and_answers() -> None:
    assert input_items({"input": "hi"}) == [HI]
    assert input_items({"input": [SAID]}) == [SAID]
    assert input_items({}) == input_items(7) == []
    assert output_items({"output": [SAID]}) == [SAID]
    assert output_items(None) == []


def test_history_comes_before_what_is_new() -> None:
    body = {"model": "m", "input": "and?", "previous_response_id": "resp_1", "store": True}
    before = copy.deepcopy(body)

    whole = with_history(body, [HI], [SAID])

    assert whole == {"model": "m", "store": True, "input": [HI, SAID, {**HI, "content": "and?"}]}
    assert body == before


def test_references_become_what_they_refer_to() -> None:
    body = {"input": [{"type": "item_reference", "id": "msg_1"}, {"id": "unknown"}, HI]}

    assert with_history(body, [], [SAID])["input"] == [SAID, SAID, {"id": "unknown"}, HI]
    assert with_history("no object", [], []) == "no object"


def test_a_compaction_asks_for_a_summary_without_tools() -> None:
    body = {"model": "m", "input": [HI, SAID], "tools": [{"type": "bad"}], "instructions": "i"}

    chat = compact_request(body, Envelope("m"))

    assert [m.role for m in chat.messages] == ["system", "user", "assistant", "user"]
    assert not chat.tools
    assert not chat.stream
    with pytest.raises(ApiError):
        compact_request([], Envelope("m"))


def test_a_compaction_keeps_the_users_words_and_seals_the_rest() -> None:
    answer = compacted({"input": [HI, SAID]})

    assert answer["object"] == "response.compaction"
    assert answer["output"][0] == HI
    assert answer["output"][1]["type"] == "compaction"
    assert answer["usage"]["total_tokens"] == 5
    responses = pytest.importorskip("openai.types.responses")
    responses.CompactedResponse.model_validate({**answer, "output": answer["output"][1:]})


def test_a_compaction_of_ours_is_read_back_for_every_provider() -> None:
    body = {"model": "m", "input": [*compacted({"input": "hi"})["output"], HI]}
    chat = parsed(body)

    said = [part.text for m in chat.messages for part in m.parts if isinstance(part, Text)]
    assert "they agreed" in said[1]
    assert FACE.render_request(chat) == body
    sent = json.loads(CHAT_PROVIDER.render_request(chat, "m", Hints()).body)["input"]
    assert [item["role"] for item in sent] == ["user", "user", "user"]
    assert "they agreed" in sent[1]["content"]


def test_a_wish_for_a_compaction_goes_to_providers_of_this_dialect_as_it_is() -> None:
    body = {"model": "m", "input": [HI, {"type": "compaction_trigger"}]}
    chat = parsed(body)

    assert json.loads(CHAT_PROVIDER.render_request(chat, "m", Hints()).body) == body
    assert [m.role for m in chat.messages] == ["user", "user"]


def test_a_compaction_of_the_providers_own_stays_opaque() -> None:
    item = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"}
    chat = parsed({"model": "m", "input": [item, HI]})

    sent = json.loads(CHAT_PROVIDER.render_request(chat, "m", Hints()).body)["input"]

    assert sent == [item, HI]


def test_counted_tokens_are_told() -> None:
    answer = json.loads(render_input_tokens(42))

    assert answer == {"object": "response.input_tokens", "input_tokens": 42}
    responses = pytest.importorskip("openai.types.responses")
    responses.InputTokenCountResponse.model_validate(answer)
