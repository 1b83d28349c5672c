"""Work on many bytes does not stop the loop."""

from __future__ import annotations

import asyncio
import threading

from oneapi.gateway.aside import SLOW, Aside


def test_many_bytes_are_worked_on_in_a_thread_and_few_are_not() -> None:
    async def run() -> tuple[bool, bool]:
        here = threading.get_ident()
        few = await Aside(SLOW - 1)(threading.get_ident)
        many = await Aside(SLOW)(threading.get_ident)
        return few == here, many == here

    assert asyncio.run(run()) == (True, False)
