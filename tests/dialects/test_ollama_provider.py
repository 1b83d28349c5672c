from __future__ import annotations

import json
from dataclasses import replace

import pytest

from oneapi.dialects.base import Hints
from oneapi.dialects.base_turns import with_media
from oneapi.dialects.ollama import CHAT_PROVIDER, will_be_cut
from oneapi.dialects.ollama_provider import prompt_tokens, window
from oneapi.dialects.ollama_shapes import CHAT, GENERATE
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, Media, Message, Part, Text, ToolResult
from oneapi.wire.json import JSON
from tests.dialects.ollama_recorded import parsed

LONG = "The quick brown fox jumps over the lazy dog. " * 1000
"""Some ten thousand tokens."""


def foreign(text: str = "hi", **members: JSON) -> ChatRequest:
    return replace(ChatRequest("m", [Message("user", [Text(text)])], "another"), **members)


def sent(chat: ChatRequest, hints: Hints | None = None) -> JSON:
    return json.loads(CHAT_PROVIDER.render_request(chat, "served", hints or Hints()).body)


def test_the_targets_name_and_operation() -> None:
    outgoing = CHAT_PROVIDER.render_request(foreign(stream=True), "served", Hints())
    assert json.loads(outgoing.body)["model"] == "served"
    assert (outgoing.operation, outgoing.streams, outgoing.warnings) == (CHAT, True, [])


@pytest.mark.parametrize(
    ("prompt", "answer", "context", "size"),
    [
        (10, 1024, 0, 4096),
        (2793, 1024, 0, 4096),
        (2795, 1024, 0, 8192),
        (10_000, 1024, 0, 16_384),
        (10_000, 8192, 0, 32_768),
        (10_000, 1024, 12_000, 12_000),
        (10, 1024, 2048, 2048),
    ],
)
def test_the_window_grows_in_few_steps(prompt: int, answer: int, context: int, size: int) -> None:
    assert window(prompt, answer, context) == size


def test_the_window_fits_the_prompt() -> None:
    assert sent(foreign())["options"]["num_ctx"] == 4096
    assert sent(foreign(LONG))["options"]["num_ctx"] == 16_384
    assert sent(foreign(max_output=5000))["options"]["num_ctx"] == 8192


def test_a_great_limit_does_not_take_all_memory() -> None:
    assert sent(foreign(max_output=64_000))["options"]["num_ctx"] == 16_384


def test_the_channels_window_and_options_stand() -> None:
    options = {"num_ctx": 32_768, "keep_alive": "1h", "repeat_penalty": 1.1, "api_version": "x"}
    body = sent(foreign(temperature=0.1), Hints(options=options))
    assert body["options"] == {"temperature": 0.1, "repeat_penalty": 1.1, "num_ctx": 32_768}
    assert body["keep_alive"] == "1h"


def test_what_an_ollama_client_says_goes_before_the_channels_word() -> None:
    given = {"model": "m", "options": {"num_ctx": 2048}, "keep_alive": 0}
    body = sent(parsed(given), Hints(options={"num_ctx": 8192, "keep_alive": "1h"}))
    assert (body["options"], body["keep_alive"]) == ({"num_ctx": 2048}, 0)


def test_an_ollama_client_that_names_no_window_gets_none() -> None:
    assert sent(parsed({"model": "served", "messages": []})) == {"model": "served", "messages": []}


def test_generate_goes_to_generate() -> None:
    outgoing = CHAT_PROVIDER.render_request(
        parsed({"model": "m", "prompt": "hi"}, GENERATE), "served", Hints()
    )
    assert outgoing.operation == GENERATE
    assert json.loads(outgoing.body) == {"model": "served", "prompt": "hi"}


def test_a_prompt_that_will_be_cut_is_warned_of() -> None:
    hints = Hints(context=8192)
    (warning,) = CHAT_PROVIDER.render_request(foreign(LONG), "m", hints).warnings
    assert "8192" in warning
    assert will_be_cut(foreign(LONG), hints)
    assert will_be_cut(foreign(LONG), Hints(options={"num_ctx": 4096}))
    assert not will_be_cut(foreign(LONG), Hints())
    assert not will_be_cut(foreign(), hints)


def test_a_window_beyond_the_models_own_is_warned_of() -> None:
    assert will_be_cut(foreign(LONG), Hints(context=8192, options={"num_ctx": 65_536}))


def test_images_count_but_not_by_their_base64() -> None:
    picture = Media("image", data="A" * 400_000)
    chat = ChatRequest("m", [Message("user", [Text("hi"), picture, picture])], "another")
    assert 1600 < prompt_tokens(sent(chat)) < 1700


def test_images_by_address_are_fetched_and_sent_bare() -> None:
    url, inner = "https://example.org/a.png", "https://example.org/b.png"
    parts: list[Part] = [
        Media("image", url=url),
        Media("image", url=url),
        Media("file", url="https://example.org/c.pdf"),
        ToolResult("c", [Media("image", url=inner)]),
    ]
    chat = ChatRequest("m", [Message("user", parts)], "another")
    assert CHAT_PROVIDER.fetches(chat, Hints()) == [url, inner]
    only = ChatRequest("m", [Message("user", [Media("image", url=url)])], "another")
    filled = with_media(only, {url: ("image/png", "QUJD")})
    assert sent(filled)["messages"] == [{"role": "user", "content": "", "images": ["QUJD"]}]


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ApiError) as caught:
        CHAT_PROVIDER.render_request(foreign("\ud800"), "m", Hints())
    assert caught.value.status == 400


def test_it_never_asks_again() -> None:
    assert CHAT_PROVIDER.follow_up(b"{}") is None
