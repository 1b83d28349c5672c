"""Estimates stand near o200k's counts, take bounded time, and survive any request."""

from __future__ import annotations

import base64
import json
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.estimate import message_tokens, tokens
from oneapi.wire.json import JSON, members

# Texts written for this test; counts by o200k (bpe-openai 0.1.4).
COUNTED = {
    "Korean": (
        "안녕하세요. 오늘은 서울의 날씨가 맑고 따뜻합니다. "
        "저는 아침에 일찍 일어나서 공원을 산책했습니다. "
        "설정 파일을 저장하면 바로 적용되며, 사용량은 데이터베이스에 정확하게 기록됩니다.",
        54,
    ),
    "Russian": (
        "Здравствуйте! Сегодня в Москве хорошая погода, и многие люди гуляют в парках. "
        "Эта программа "
        "позволяет обращаться к моделям разных поставщиков через один общий интерфейс.",
        35,
    ),
    "Arabic": (
        "مرحبا بكم. الطقس اليوم جميل في القاهرة، والكثير من الناس يتنزهون في الحدائق. يسمح هذا "
        "البرنامج باستخدام نماذج من مزودين مختلفين عبر واجهة واحدة.",
        42,
    ),
    "Hindi": (
        "नमस्ते। आज दिल्ली में मौसम बहुत अच्छा है और बहुत से लोग पार्क में घूम रहे हैं। "
        "सभी अनुरोध डेटाबेस में दर्ज किए जाते हैं ताकि लागत की सही गणना हो सके।",
        42,
    ),
    "Thai": (
        "สวัสดีครับ วันนี้อากาศที่กรุงเทพดีมาก ผู้คนจำนวนมากเดินเล่นในสวนสาธารณะ "
        "โปรแกรมนี้ช่วยให้ใช้แบบจำลองจากผู้ให้บริการหลายรายผ่านอินเทอร์เฟซเดียว",
        48,
    ),
    "Hebrew": (
        "שלום לכולם. היום מזג האוויר בתל אביב נעים מאוד ואנשים רבים מטיילים בפארק. "
        "קמתי מוקדם בבוקר, "
        "שתיתי כוס קפה וקראתי כמה פרקים מספר חדש על תכנות.",
        52,
    ),
    "German": (
        "Heute ist das Wetter in München sehr schön, und viele Menschen gehen im Park "
        "spazieren. Für Änderungen genügt es, die Datei zu speichern; größere Störungen müssen "
        "überprüft werden.",
        37,
    ),
    "Japanese": (
        "おはようございます。今日は東京の天気がとても良くて、多くの人が公園を散歩しています。"
        "このプログラムは、さまざまな提供者のモデルを一つのインターフェースで使えるようにします。",
        58,
    ),
    "Chinese": (
        "早上好。今天北京的天气非常好，很多人在公园里散步。"
        "这个程序可以通过一个统一的接口使用不同供应商的模型。"
        "所有请求都会记录在数据库中，以便准确计算费用。",
        47,
    ),
    "English": (
        "Good morning. The gateway keeps one file of settings in git and one database beside it; "
        "whoever saves the file changes how requests are routed, without a restart. What a client "
        "saw completed is in the ledger, even when the process is killed a moment later.",
        52,
    ),
    "Python": (
        "def cooldown_s(failures: int) -> float:\n"
        '    """Seconds to leave a target alone after `failures` in a row."""\n'
        "    if failures <= 0:\n        return 0.0\n"
        "    return float(min(2**failures, MAX_COOLDOWN_S))\n",
        59,
    ),
    "JSON": (
        '{"model":"gpt-4o-mini","messages":[{"role":"user",'
        '"content":"What is the weather in Paris?"}],'
        '"tools":[{"type":"function",'
        '"function":{"name":"get_weather","parameters":{"type":"object"}}}]}',
        50,
    ),
    "base64": (base64.b64encode(random.Random(1).randbytes(900)).decode(), 817),
    "hex": (random.Random(2).randbytes(500).hex(), 563),
}


@pytest.mark.parametrize("writing", COUNTED)
def test_the_estimate_stands_near_the_count(writing: str) -> None:
    text, count = COUNTED[writing]
    assert abs(tokens(text) / count - 1) < 0.16


def test_the_median_error_is_a_few_percent() -> None:
    errors = sorted(abs(tokens(text) / count - 1) for text, count in COUNTED.values())
    assert errors[len(errors) // 2] < 0.06


def test_a_long_text_is_sampled_evenly() -> None:
    mixed = COUNTED["English"][0] * 300 + COUNTED["Chinese"][0] * 900
    count = COUNTED["English"][1] * 300 + COUNTED["Chinese"][1] * 900
    assert abs(tokens(mixed) / count - 1) < 0.1


def test_a_huge_text_takes_bounded_time() -> None:
    text = COUNTED["Python"][0] * 50_000
    start = time.process_time()
    tokens(text)
    assert time.process_time() - start < 0.1  # about 3 ms


@given(st.text())
def test_any_text_has_a_count(text: str) -> None:
    assert 0 <= tokens(text) <= 8 * len(text) + 1


def test_nothing_is_no_token() -> None:
    assert (tokens(""), message_tokens({}), message_tokens(None)) == (0, 0, 0)


def test_messages_count_their_texts_parts_and_tools() -> None:
    plain = message_tokens({"messages": [{"role": "user", "content": "hello there world"}]})
    parts = [{"type": "text", "text": "hello there world"}]
    listed = message_tokens({"messages": [{"role": "user", "content": parts}]})
    assert plain == listed
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    with_tool = {"messages": [{"role": "user", "content": parts}], "tools": [tool]}
    assert message_tokens(with_tool) > listed


@pytest.mark.parametrize(("detail", "count"), [("low", 85), ("high", 765), (None, 765)])
def test_an_image_counts_flat_whatever_its_bytes(detail: str | None, count: int) -> None:
    url = "data:image/png;base64," + "A" * 100_000
    image = {"type": "image_url", "image_url": {"url": url, "detail": detail}}
    with_image = message_tokens({"messages": [{"role": "user", "content": [image]}]})
    assert with_image - message_tokens({"messages": [{"role": "user", "content": []}]}) == count


@pytest.mark.parametrize(
    ("value", "count"),
    [([5, 6, 7], 3), ([[5, 6], [7]], 3), ("hello world", 2), (["hello", "sir"], 3)],
)
def test_inputs_are_texts_or_arrays_of_tokens(value: JSON, count: int) -> None:
    for name in ("input", "prompt"):
        assert abs(message_tokens({name: value}) - count) <= 1


def test_members_count_as_the_decoded_object_does() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello there"}], "n": 1}
    assert message_tokens(members(json.dumps(body).encode())) == message_tokens(body)


ANY: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "image_url", "content"]), inner)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["messages", "prompt", "input", "tools"]), ANY))
def test_odd_shapes_raise_nothing(request: JSON) -> None:
    assert message_tokens(request) >= 0


def test_deep_nesting_is_followed_so_far_and_no_further() -> None:
    value: JSON = "hello"
    for _ in range(100_000):
        value = [value]
    assert message_tokens({"input": value}) == 0


@pytest.mark.parametrize("name", ["messages", "contents", "input", "prompt", "tools"])
def test_a_list_too_long_to_be_looked_at_counts_as_the_whole(name: str) -> None:
    item = {"name": "user", "content": "one two three four five six seven eight"}
    few, many = message_tokens({name: [item] * 1000}), message_tokens({name: [item] * 100_000})
    assert abs(many / few - 100) < 3


def test_a_long_list_of_tokens_is_counted_by_its_length() -> None:
    assert message_tokens({"input": list(range(50_000))}) == 50_000
