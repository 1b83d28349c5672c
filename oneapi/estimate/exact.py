"""The exact tokenizer, for who has installed the package's extra `exact`: bpe-openai, 70 MB.

It is imported when the first text is counted, never before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from oneapi.errors import ConfigError, Problem
from oneapi.estimate.text import sampled

SAMPLE = 128 * 1024
"""Characters that are counted: of a longer text, slices spaced evenly. 12 MB/s: 10 ms."""
_LIBRARY = "bpe_openai"


def exact(vocabulary: str) -> Callable[[str], float]:
    """Counts texts in a vocabulary of OpenAI's. Raises ConfigError where the extra is missing."""
    if find_spec(_LIBRARY) is None:
        problem = Problem(
            "counting exactly needs the package's extra `exact`, which is not installed",
            key="server.exact_tokens",
            hint="pip install 'oneapi[exact]', or leave the key out: tokens are then estimated",
        )
        raise ConfigError((problem,))
    return lambda text: sampled(text, lambda part: _count(part, vocabulary), SAMPLE)


def _count(text: str, vocabulary: str) -> int:
    """Names of special tokens are text like any other: clients cannot write these tokens."""
    return len(_encoder(vocabulary)(text.encode("utf-8", "replace").decode()))


@cache
def _encoder(vocabulary: str) -> Callable[[str], list[int]]:
    encoding = import_module(_LIBRARY).get_encoding(vocabulary)

    def encode(text: str) -> list[int]:
        found: list[int] = encoding.encode(text, disallowed_special=())
        return found

    return encode
