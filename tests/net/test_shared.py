"""What may be written down of a path: no key that stands in it."""

from __future__ import annotations

import asyncio

import pytest

from oneapi.net.shared import Receive, Scope, Send, shown
from tests.net.fronts import connected, serving

SECRET = "sk-0123456789abcdef"


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/key/hunter2/api/chat", "/key/***/api/chat"),
        ("/KEY/hunter2", "/KEY/***"),
        (f"/v1/{SECRET}-channel/x", "/v1/***/x"),
        ("/v1/models/task-force", "/v1/models/task-force"),
        ("/key/", "/key/"),
    ],
)
def test_keys_are_masked(path: str, written: str) -> None:
    assert shown(path) == written


def test_an_application_that_fails_is_logged_without_the_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("half-way")

    async def run() -> int:
        async with serving(failing) as (_, port), connected(port) as client:
            client.write(b"GET /key/%b/x HTTP/1.1\r\nhost: a\r\n\r\n" % SECRET.encode())
            return (await client.answer()).status

    assert asyncio.run(run()) == 500
    assert "/key/***/x" in caplog.text
    assert SECRET not in caplog.text
