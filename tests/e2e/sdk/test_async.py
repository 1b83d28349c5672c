"""The current OpenAI library's asynchronous client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.e2e.harness import KEY, Received, Reply, json_reply, sse_reply, until
from tests.e2e.sdk.stage import Stage, as_recorded, recorded, replay
from tests.e2e.sdk.test_chat import HELLO, PLAIN
from tests.e2e.talk import DONE, sse

MANY = 24


@asynccontextmanager
async def client_of(stage: Stage) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        api_key=KEY, base_url=f"{stage.running.base_url}/v1", max_retries=0, timeout=20
    ) as client:
        yield client


def echo(request: Received) -> Reply:
    """Answers with the words of the question, streamed where that is asked for."""
    asked = json.loads(request.body)
    words = asked["messages"][0]["content"]
    if asked.get("stream"):
        return sse_reply(*(sse(w + " ") for w in words.split()), 0.02, DONE)
    message = {"role": "assistant", "content": words}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json_reply({**PLAIN, "choices": [choice]})


@pytest.mark.anyio
async def test_many_chats_at_once_do_not_mix(stage: Stage) -> None:
    stage.upstream.script = echo

    async def ask(client: AsyncOpenAI, number: int) -> tuple[str, str | None]:
        words = f"question {number}"
        if number % 2:
            stream = await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": words}], stream=True
            )
            text = "".join([c.choices[0].delta.content or "" async for c in stream])
            return text.strip(), stream.response.headers["x-request-id"]
        whole = await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": words}]
        )
        return whole.choices[0].message.content or "", whole._request_id

    async with client_of(stage) as client:
        got = await asyncio.gather(*(ask(client, n) for n in range(MANY)))
    assert [text for text, _ in got] == [f"question {n}" for n in range(MANY)]
    assert {r["request_id"] for r in stage.records(MANY)} == {i for _, i in got}


@pytest.mark.anyio
async def test_a_recorded_stream_is_assembled(stage: Stage) -> None:
    exchange = recorded("openai", "openai-f80701dd13")
    stage.play(replay(exchange))
    names: list[str] = []
    asks: Any = as_recorded(exchange)
    async with client_of(stage) as client:
        async for chunk in await client.chat.completions.create(**asks):
            for choice in chunk.choices:
                for call in choice.delta.tool_calls or []:
                    names += [call.function.name] if call.function and call.function.name else []
    assert names == ["get_weather", "get_product_name"]


@pytest.mark.anyio
async def test_cancelling_a_plain_call_cancels_the_call_to_the_provider(stage: Stage) -> None:
    stage.play(Reply(200, body=b'{"choices"', hang=True))
    gone = stage.upstream.gone
    async with client_of(stage) as client:
        task = asyncio.ensure_future(client.chat.completions.create(model="gpt-4o", messages=HELLO))
        await asyncio.to_thread(until, lambda: bool(stage.upstream.received))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(until, lambda: stage.upstream.gone == gone + 1)
    assert await asyncio.to_thread(until, lambda: stage.record()["settlement"] == "client_left")


@pytest.mark.anyio
async def test_errors_are_the_librarys_own(stage: Stage) -> None:
    stage.play(json_reply({"error": {"message": "no", "type": "x", "code": "teapot"}}, 409))
    async with client_of(stage) as client:
        with pytest.raises(openai.ConflictError) as caught:
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert caught.value.code == "teapot"
    assert stage.record(caught.value.request_id)["status"] == 409
