"""What the current OpenAI library raises: its own classes, true codes, ids that can be found."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.e2e.harness import Reply, json_reply, sse_reply
from tests.e2e.sdk.stage import UPSTREAM_KEY, Stage, json_of, recorded, replay, whole
from tests.e2e.sdk.test_chat import HELLO, PLAIN
from tests.e2e.talk import sse

NOT_OFFERED: list[tuple[str, Callable[[Any], object]]] = [
    ("files", lambda c: c.files.create(file=("a.jsonl", b"{}"), purpose="fine-tune")),
    ("files", lambda c: c.files.list()),
    ("files", lambda c: c.files.retrieve("file-1")),
    ("files", lambda c: c.files.content("file-1")),
    ("files", lambda c: c.files.delete("file-1")),
    ("fine_tuning", lambda c: c.fine_tuning.jobs.create(model="m", training_file="f")),
    ("fine_tuning", lambda c: c.fine_tuning.jobs.list()),
    ("assistants", lambda c: c.beta.assistants.create(model="m")),
    ("assistants", lambda c: c.beta.assistants.list()),
    ("threads", lambda c: c.beta.threads.create()),
    ("threads", lambda c: c.beta.threads.runs.create("thread_1", assistant_id="a")),
    (
        "batches",
        lambda c: c.batches.create(
            input_file_id="f", endpoint="/v1/chat/completions", completion_window="24h"
        ),
    ),
    ("vector_stores", lambda c: c.vector_stores.create()),
    ("uploads", lambda c: c.uploads.create(bytes=1, filename="f", mime_type="t", purpose="p")),
    ("containers", lambda c: c.containers.list()),
    ("evals", lambda c: c.evals.list()),
    ("conversations", lambda c: c.conversations.create()),
    ("videos", lambda c: c.videos.list()),
]


def error(message: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "x", "param": None, "code": code}}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the library's, of its own methods
@pytest.mark.parametrize(("family", "call"), NOT_OFFERED)
def test_what_is_not_offered_is_refused_in_words_and_once(
    stage: Stage, family: str, call: Callable[[Any], object]
) -> None:
    stage.play(json_reply({}))
    before = stage.record()["id"] if stage.records(1) else 0
    patient = stage.client.with_options(max_retries=3)
    with pytest.raises(openai.APIStatusError, match="this gateway does not offer") as caught:
        call(patient)
    assert (caught.value.status_code, caught.value.code) == (501, "api_not_implemented")
    fresh = [r for r in stage.records(5) if r["id"] > before]
    assert [(r["request_id"], r["status"]) for r in fresh] == [(caught.value.request_id, 501)]
    assert (fresh[0]["endpoint"], fresh[0]["attempts"]) == (family, 0)
    assert stage.upstream.received == []


def test_a_wrong_key_is_an_authentication_error(stage: Stage) -> None:
    client = stage.client.with_options(api_key="sk-" + "w" * 48, max_retries=2)
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert (caught.value.status_code, caught.value.code) == (401, "invalid_api_key")
    assert caught.value.request_id is not None
    assert caught.value.request_id in caught.value.message
    record = stage.record(caught.value.request_id)
    assert (record["status"], record["error_code"], record["user"]) == (401, "invalid_api_key", "")


def test_an_unknown_model_is_not_found_by_name_and_by_a_provider(stage: Stage) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        stage.client.models.retrieve("no/such model")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    exchange = recorded("openai", "openai-298aacd780")
    stage.play(replay(exchange))
    with pytest.raises(openai.NotFoundError) as caught:
        whole(stage.client, exchange)
    assert caught.value.body == json_of(exchange)["error"]
    record = stage.record(caught.value.request_id)
    assert (record["status"], record["upstream_status"]) == (404, 404)
    assert (record["error_code"], record["usage_source"]) == ("model_not_found", "none")
    assert record["cost_nanousd"] == 0


def test_a_recorded_bad_request_keeps_its_code_and_parameter(stage: Stage) -> None:
    exchange = recorded("openai", "openai-b8b89f28ef")
    stage.play(replay(exchange))
    with pytest.raises(openai.BadRequestError) as caught:
        whole(stage.client.with_options(max_retries=2), exchange)
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "stop")
    assert caught.value.body == json_of(exchange)["error"]
    assert len(stage.upstream.received) == 1
    assert stage.record(caught.value.request_id)["error_code"] == "unsupported_parameter"


def test_our_own_bad_request_names_the_parameter(stage: Stage) -> None:
    wrong: Any = "Hello!"
    with pytest.raises(openai.BadRequestError) as caught:
        stage.client.chat.completions.create(model="gpt-4o", messages=wrong)
    assert (caught.value.code, caught.value.param) == ("invalid_type", "messages")
    assert stage.record(caught.value.request_id)["attempts"] == 0


@pytest.mark.parametrize(("header", "seconds"), [("retry-after-ms", 0.7), ("retry-after", 1.0)])
def test_a_rate_limit_is_waited_out_as_the_provider_says(
    stage: Stage, header: str, seconds: float
) -> None:
    """Both times are longer than the half second that the library waits by itself."""
    value = str(int(seconds * 1000)) if header.endswith("ms") else str(int(seconds))
    body = json_reply(error("slow down", "rate_limit_exceeded"), 429)
    limited = Reply(429, (*body.headers, (header, value)), body.body)
    stage.play(limited, json_reply(PLAIN))
    start = time.monotonic()
    patient = stage.client.with_options(max_retries=1)
    found = patient.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert found.choices[0].message.content == "2"
    assert time.monotonic() - start >= seconds
    assert [r["status"] for r in stage.records(2)] == [429, 200]


def test_a_rate_limit_without_patience_is_a_rate_limit_error(stage: Stage) -> None:
    headers = (("content-type", "application/json"), ("retry-after", "17"))
    body = b'{"error":{"message":"slow","type":"requests","param":null,"code":"rate_limit"}}'
    stage.play(Reply(429, headers, body))
    with pytest.raises(openai.RateLimitError) as caught:
        stage.client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert caught.value.response.headers["retry-after"] == "17"
    assert (caught.value.code, caught.value.type) == ("rate_limit", "requests")
    assert stage.record(caught.value.request_id)["status"] == 429


def test_the_account_of_the_channel_is_not_the_clients_fault(stage: Stage) -> None:
    exchange = recorded("openai", "openai-a5e9da81dd")
    stage.play(replay(exchange))
    with pytest.raises(openai.InternalServerError) as caught:
        whole(stage.client.with_options(max_retries=2), exchange)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_auth")
    assert "test_ope" not in str(caught.value.body)
    assert UPSTREAM_KEY not in str(caught.value.body)
    record = stage.record(caught.value.request_id)
    assert (record["upstream_status"], record["error_code"]) == (401, "upstream_auth")
    assert len(stage.upstream.received) == 1


def test_a_server_error_is_tried_again_by_the_library(stage: Stage) -> None:
    stage.play(json_reply(error("overloaded", "busy"), 503), json_reply(PLAIN))
    patient = stage.client.with_options(max_retries=1)
    found = patient.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert found.choices[0].message.content == "2"
    assert [r["status"] for r in stage.records(2)] == [503, 200]


@pytest.mark.parametrize("hang", [False, True], ids=["and the end", "and silence"])
def test_an_error_in_a_stream_is_raised_and_on_record(stage: Stage, hang: bool) -> None:
    luck = sse(error={"message": "out of luck", "code": "luck"})
    stage.play(sse_reply(sse("Once"), luck, hang=hang))
    stream = stage.client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    got: list[str | None] = []
    with pytest.raises(openai.APIError, match="out of luck"):
        got.extend(c.choices[0].delta.content for c in stream)
    assert got == ["Once"]
    record = stage.record(stream.response.headers["x-request-id"])
    assert (record["status"], record["error_code"]) == (200, "upstream_error")
    assert (record["settlement"], record["output"]) == ("complete", 1)


def test_a_stream_that_breaks_is_raised_and_not_taken_for_whole(stage: Stage) -> None:
    stage.play(sse_reply(sse("Once upon a time"), 0.05, cut=True))
    stream = stage.client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert caught.value.code == "upstream_broke"
    record = stage.record(stream.response.headers["x-request-id"])
    assert (record["settlement"], record["usage_source"]) == ("upstream_broke", "estimated")


def test_a_stream_refused_before_it_begins_has_its_own_status(stage: Stage) -> None:
    stage.play(json_reply(error("no such luck", "luck"), 422))
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        stage.client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    assert caught.value.code == "luck"


def test_no_key_is_an_authentication_error(stage: Stage) -> None:
    with OpenAI(api_key="none", base_url=stage.client.base_url, max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
