"""The exact tokenizer is an extra: imported when a text is counted, missed in plain words."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from oneapi import estimate
from oneapi.errors import ConfigError
from tests.estimate.texts import COUNTED

here = find_spec("bpe_openai") is not None


@pytest.mark.skipif(here, reason="the extra is installed")
def test_without_the_extra_the_error_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"server.exact_tokens: .*pip install 'oneapi\[exact\]'"):
        estimate.counter("o200k", exact=True)


def test_families_without_a_public_vocabulary_are_estimated() -> None:
    assert estimate.counter("claude", exact=True).exact is None


def test_nothing_is_imported_before_a_text_is_counted() -> None:
    code = (
        "import sys; from oneapi import estimate; estimate.tokens('x'); "
        "estimate.counter('o200k'); assert 'bpe_openai' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.skipif(not here, reason="the extra is not installed")
@pytest.mark.filterwarnings("ignore:open_binary is deprecated")  # how the library reads its data
@pytest.mark.parametrize("name", ["o200k", "cl100k"])
def test_with_the_extra_counts_are_exact(name: str) -> None:
    counter = estimate.counter(name, exact=True)
    for text, counts in COUNTED.values():
        assert counter.tokens(text) == counts[name]
    assert counter.tokens("<|endoftext|>") > 1
    assert counter.tokens("\ud800") > 0
    assert abs(counter.tokens("word " * 1_000_000) / 1_000_000 - 1) < 0.01
