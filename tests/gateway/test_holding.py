"""What is held is never below what a request can use, and is money in whole nano-dollars."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.dialects import registry
from oneapi.dialects.base import Hints
from oneapi.dialects.base_edit import shortened
from oneapi.gateway.bodies import JsonBody
from oneapi.gateway.demand import Demand, affordable, cost, estimated, wants
from oneapi.gateway.holding import MEDIUM, UNKNOWN_OUTPUT, bound
from oneapi.gateway.job import Job
from oneapi.gateway.lanes import Lane
from oneapi.gateway.pictures import dearest_picture, made, picture_price, variant
from oneapi.gateway.snapshot import Target
from oneapi.gateway.spent import MOST, cleaned
from oneapi.ir import USAGE_BUCKETS, Envelope, Usage
from oneapi.ledger.accounts import Account, Budget
from oneapi.ledger.prices import Price, Rates, Rule, Tier
from oneapi.wire.json import decode, encode, join, members

NOTHING = cast(Any, None)
CHEAP = Price(Rule("cheap", Rates(input=1_000_000_000, output=2_000_000_000)))
DEAR = Price(Rule("dear", Rates(input=3_000_000_000, output=4_000_000_000, request=5)))
counts = st.integers(0, 10**7)
rates = st.integers(0, 10**11)


def asked(dialect: str, operation: str, value: object, size: int | None = None) -> Job:
    speaker = registry.client(dialect)
    raw = encode(value)
    found = members(raw)
    envelope = speaker.peek(speaker.OPERATIONS[operation], found, "m")
    envelope.size = len(raw) if size is None else size
    return Job(
        dialect=speaker,
        operation=speaker.OPERATIONS[operation],
        envelope=envelope,
        headers={},
        body=JsonBody(raw, found, True),
        client=NOTHING,
        meter=NOTHING,
        flight=NOTHING,
        stamp=NOTHING,
    )


def target(price: Price | None = CHEAP, most: int = 0) -> Target:
    return Target(NOTHING, "m", "m", 1, 0, price, Lane("", "", Hints(max_output=most)))


def chat(**more: object) -> Job:
    talk = [{"role": "user", "content": "hello"}]
    return asked("openai-chat", "chat", {"model": "m", "messages": talk, **more})


def test_a_request_without_a_limit_may_have_the_models_longest_answer() -> None:
    assert bound(chat(), [target(most=900), target(most=4000)]).output == 4000
    assert bound(chat(), [target()]).output == UNKNOWN_OUTPUT


def test_a_clients_limit_counts_where_the_model_could_say_more() -> None:
    assert bound(chat(max_tokens=70), [target(most=4000)]).output == 70
    assert bound(chat(max_tokens=2**30), [target(most=4000)]).output == 4000
    assert bound(chat(max_tokens=2**30), [target()]).output == 2**30
    assert bound(chat(max_tokens=70, n=5), [target()]).output == 350


def test_every_prompt_of_a_list_may_have_a_whole_answer() -> None:
    value = {"model": "m", "prompt": ["x"] * 500, "max_tokens": 1000}
    assert bound(asked("openai-chat", "completions", value), [target()]).output == 500_000


def test_media_by_address_are_held_beside_the_bytes() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    job = asked("openai-chat", "chat", {"messages": [{"role": "user", "content": [part]}]})
    assert bound(job, [target()]).input >= job.envelope.size + MEDIUM


def test_cached_input_is_held_at_what_storing_it_costs() -> None:
    text = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    talk = [{"role": "user", "content": [text]}]
    job = asked("anthropic", "messages", {"max_tokens": 1, "messages": talk})
    assert "cache_write_5m" in bound(job, [target()]).reads
    assert "cache_write_1h" not in bound(job, [target()]).reads


@pytest.mark.parametrize(
    ("operation", "value", "most"),
    [
        ("images.generations", {"prompt": "a", "n": 3}, Usage(images=3)),
        ("speech", {"input": "hello", "voice": "a"}, Usage(characters=5, audio_ms=600)),
        ("embeddings", {"input": ["hello"] * 9}, Usage(input=9)),
    ],
)
def test_tasks_are_held_in_their_own_units(operation: str, value: object, most: Usage) -> None:
    found = bound(asked("openai-chat", operation, value), [target()])
    for bucket in ("images", "characters", "audio_ms", "input"):
        assert getattr(found, bucket) >= getattr(most, bucket)


@pytest.mark.parametrize(
    ("more", "held"),
    [
        ({"tools": [{"type": "web_search"}]}, 10),
        ({"tools": [{"googleSearch": {}}]}, 10),
        ({"web_search_options": {}}, 10),
        ({"tools": [{"type": "function", "function": {"name": "add"}}]}, 0),
        ({"user": "research"}, 0),
    ],
)
def test_searches_of_the_provider_are_held(more: dict[str, object], held: int) -> None:
    assert bound(chat(**more), [target()]).searches == held


def test_sound_is_held_by_the_size_of_its_upload() -> None:
    job = asked("openai-chat", "transcriptions", {"model": "m"}, size=2_000_000)
    assert bound(job, [target()]).audio_ms >= 1_000_000


def test_counting_tokens_costs_nothing_whatever_a_request_does() -> None:
    job = asked("anthropic", "messages.count_tokens", {"messages": []})
    assert cost(bound(job, [target(DEAR)]), [DEAR]) == 0


def test_the_dearest_target_is_held() -> None:
    need = Demand(input=10, output=10)
    assert cost(need, [CHEAP, None, DEAR, CHEAP]) == DEAR.cost(Usage(input=10, output=10))
    assert cost(need, [None]) == 0


@given(
    used=st.builds(Usage, input=counts, cache_read=counts, output=counts, reasoning=counts),
    prices=st.lists(
        st.builds(
            lambda a, b, c, d, ratio: Price(
                Rule("r", Rates(input=max(a, b), cache_read=b, output=c, reasoning=d)), ratio
            ),
            *[rates] * 4,
            st.integers(1, 3_000_000),
        ),
        min_size=1,
    ),
)
def test_no_usage_within_a_demand_costs_more_than_it(used: Usage, prices: list[Price]) -> None:
    need = Demand(input=used.input_tokens, output=used.output_tokens)
    assert cost(need, prices) >= max(price.cost(used) for price in prices)


@given(
    left=st.integers(-(10**9), 10**12),
    need=st.builds(Demand, input=counts, output=st.integers(1, 10**6), answers=st.integers(1, 9)),
    a=rates,
    b=rates,
)
def test_what_is_affordable_fits_into_what_is_left(left: int, need: Demand, a: int, b: int) -> None:
    price = Price(Rule("r", Rates(input=a, output=b), (Tier(10**6, Rates(input=2 * a)),)))
    flat = Price(Rule("r", Rates(input=a, output=b)))
    budget = Budget(Account("user", "u", "nanousd"), 0)
    for one in (price, flat):
        most = affordable(need, [(budget, left)], [one])
        lower = Demand(input=need.input, output=most * need.answers, answers=need.answers)
        assert most >= 0
        assert not most or cost(lower, [one]) <= left


def test_every_unit_is_wanted_in_its_own_measure() -> None:
    units = ("nanousd", "tokens", "requests")
    budgets = [Budget(Account("user", "u", unit), 1) for unit in units]  # type: ignore[arg-type]
    found = wants(budgets, Demand(input=10, output=20), [CHEAP])
    assert [amount for _, amount in found] == [10_000 + 40_000, 30, 1]


def test_an_estimate_is_held_with_a_margin_and_never_above_the_bound() -> None:
    assert estimated(Demand(input=1000), 101).input == 132
    assert estimated(Demand(input=100), 1000).input == 100


PICTURES = Price(
    Rule("p", Rates(image=50), images=(("1024x1024 standard", 40), ("1024x1024 hd", 80)))
)


def test_pictures_are_held_at_their_dearest_and_charged_as_they_are() -> None:
    assert dearest_picture(PICTURES, "", "").cost(Usage(images=1)) == 80
    assert dearest_picture(PICTURES, "1024x1024", "standard").cost(Usage(images=1)) == 40
    assert picture_price(PICTURES, "", "").cost(Usage(images=2)) == 80
    assert picture_price(PICTURES, "1024x1024", "hd").cost(Usage(images=1)) == 80
    assert picture_price(PICTURES, "256x256", "low").cost(Usage(images=1)) == 50
    bare = Price(Rule("p", images=(("1024x1024 hd", 80),)))
    assert picture_price(bare, "256x256", "low").cost(Usage(images=1)) == 80


def test_what_an_answer_says_of_its_pictures_counts() -> None:
    assert variant(members(b'{"size":"512x512","quality":7}')) == ("512x512", "")
    assert made(b'{"data":[],"quality":"high"}', ("1x1", "")) == ("1x1", "high")
    assert made(b"no JSON", ("1x1", "")) == ("1x1", "")


@given(st.lists(st.integers(-(2**70), 2**70), min_size=13, max_size=13))
def test_a_providers_counts_are_cleaned(counts: list[int]) -> None:
    found = cleaned(Usage(**dict(zip(USAGE_BUCKETS, counts, strict=True))))
    assert all(0 <= count <= MOST for count in found.as_tuple())


LIMITS = [
    ("openai-chat", "chat", {"max_tokens": 9}, {"max_tokens": 5}),
    ("openai-chat", "chat", {"max_completion_tokens": 9}, {"max_completion_tokens": 5}),
    ("openai-chat", "chat", {}, {"usual": 5}),
    ("anthropic", "messages", {"max_tokens": 9, "a": 1.0}, {"max_tokens": 5, "a": 1.0}),
    ("openai-responses", "responses", {"max_output_tokens": 9}, {"max_output_tokens": 5}),
    (
        "gemini",
        "generate",
        {"generation_config": {"topK": 1}},
        {"generation_config": {"topK": 1, "max_output_tokens": 5}},
    ),
    (
        "gemini",
        "generate",
        {"generationConfig": {"maxOutputTokens": 9}},
        {"generationConfig": {"maxOutputTokens": 5}},
    ),
    ("ollama", "ollama.chat", {"options": {"num_predict": -1}}, {"options": {"num_predict": 5}}),
]


@pytest.mark.parametrize(("dialect", "operation", "given", "wanted"), LIMITS)
def test_an_answer_is_shortened_in_each_dialects_own_member(
    dialect: str, operation: str, given: object, wanted: object
) -> None:
    found = registry.client(dialect).OPERATIONS[operation]
    edited = shortened(members(encode(given)), found.limits, 5, usual="usual")
    assert decode(join(edited)) == wanted


@pytest.mark.parametrize(("most", "left"), [(5000, 2500), (1500, 1024), (1024, None)])
def test_a_budget_of_thoughts_fits_into_the_shortened_answer(most: int, left: int | None) -> None:
    given = {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 8000}}
    edited = shortened(
        members(encode(given)),
        ("max_tokens",),
        most,
        usual="max_tokens",
        budget="thinking.budget_tokens",
    )
    thinking = decode(join(edited)).get("thinking")
    assert thinking == (left and {"type": "enabled", "budget_tokens": left})


def test_absurd_limits_are_refused_or_bounded() -> None:
    with pytest.raises(Exception, match="max_tokens"):
        chat(max_tokens=2**40)
    assert Envelope("m").max_output == 0
