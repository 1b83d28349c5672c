"""An answer is kept before its last byte goes out."""

from __future__ import annotations

import asyncio

from oneapi.gateway.keeping import Keeping
from oneapi.net.base import Headers


class Recorder:
    """A client, and whoever keeps answers, writing down what happens in its order."""

    def __init__(self) -> None:
        self.begun = False
        self.got: list[str] = []

    async def begin(self, status: int, headers: Headers) -> None:
        self.begun = True
        self.got.append(f"begin {status}")

    async def write(self, data: bytes) -> None:
        self.got.append(f"write {data.decode()}")

    async def finish(self, data: bytes = b"") -> None:
        self.got.append(f"finish {data.decode()}")

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        self.got.append(f"answer {status}")

    async def keep(self, body: bytes) -> None:
        self.got.append(f"keep {body.decode()}")


def keeping(recorder: Recorder) -> Keeping:
    return Keeping(recorder, recorder.keep, lambda tail: tail[:1] or None)


def test_a_whole_answer_is_kept_first() -> None:
    recorder = Recorder()
    asyncio.run(keeping(recorder).answer(200, [], b"body"))
    assert recorder.got == ["keep body", "answer 200"]


def test_a_refusal_is_not_kept() -> None:
    recorder = Recorder()
    asyncio.run(keeping(recorder).answer(404, [], b"body"))
    assert recorder.got == ["answer 404"]


def test_a_stream_is_kept_before_its_end() -> None:
    recorder = Recorder()

    async def run() -> None:
        client = keeping(recorder)
        states = [client.begun]
        await client.begin(200, [])
        assert [*states, client.begun] == [False, True]
        await client.write(b"one")
        await client.finish(b"end")

    asyncio.run(run())
    assert recorder.got == ["begin 200", "write one", "keep e", "finish end"]


def test_a_stream_without_an_end_is_not_kept() -> None:
    recorder = Recorder()
    asyncio.run(keeping(recorder).finish(b""))
    assert recorder.got == ["finish "]
