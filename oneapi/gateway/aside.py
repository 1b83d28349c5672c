"""Work on many bytes goes into a thread, so that others do not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

SLOW = 1024 * 1024
"""Bytes from which parsing, rendering and estimating are worth a thread."""


class Aside:
    """Calls functions that work on `size` bytes, here or in a thread."""

    def __init__(self, size: int) -> None:
        self._slow = size >= SLOW

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._slow:
            return await asyncio.to_thread(function, *args, **kwargs)
        return function(*args, **kwargs)
