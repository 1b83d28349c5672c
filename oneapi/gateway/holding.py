"""The most that a request can use and cost: what is held of its budgets before it is sent.

The first bound is cheap and never below the truth where the request tells everything: a token is a
byte at least, an answer ends at the client's own limit or at the model's. It is far too high for
pictures inside the body and high for text; where it does not fit, the offline estimate with a
margin takes its place (`Demand.input` by `MARGIN`, D27). What no request tells is guessed: the
constants below say how. A request that uses more than was held is charged all of it, of course.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from oneapi.gateway.demand import LEAST_OUTPUT, Demand
from oneapi.gateway.job import Job
from oneapi.gateway.pictures import IMAGES, dearest_picture
from oneapi.gateway.snapshot import Target
from oneapi.ledger.prices import Price

UNKNOWN_OUTPUT: Final = 16_384
"""Tokens that a model is taken to answer at most where neither request nor table says it."""
MEDIUM: Final = 3_072
"""Tokens of a picture, sound or document that is named by its address or id."""
SEARCHES: Final = 10
"""Searches of a hosted tool in one answer."""
PICTURE_TOKENS: Final = 8_192
"""Tokens of a picture that is made, where they are priced (6,240 in the largest of 2026)."""
UPLOAD: Final = 1_000_000
"""Bytes of an uploaded picture that count as one."""
BYTES_A_SECOND: Final = 2_000
"""Of sound that is uploaded: 16 kbit/s, less than speech is commonly sent with."""
HEARD: Final = 10
"""Tokens of a second of sound that is read; what is said in it is half as many at most."""
SPOKEN: Final = 4
"""Tokens of sound that a character of text becomes at most."""
CHARACTER_MS: Final = 120
"""Milliseconds in which a character is spoken."""
RANKED: Final = 50_000
"""Bytes of documents that a provider counts as one search, at a hundred documents a search."""
MOST_OUTPUT: Final = 2**30

COUNTING: Final = frozenset(
    {"messages.count_tokens", "gemini.count_tokens", "responses.input_tokens"}
)
"""Operations that tell what others would use."""
UNKNOWN: Final = "proxy"
"""An admin's call through a channel: nothing is known of it but what a request costs."""

_MEDIA: Final = re.compile(
    rb'"(?:input_)?(?:image|file|audio|video|document)s?(?:_url|_data|_uri|_id|Uri)?"'
    rb'|"(?:inline|file)_?[dD]ata"'
)
_SEARCHING: Final = (
    b'"tools"',
    b'"web_search_options"',
    b'"search_parameters"',
    b'"enable_search"',
)
_MARKS: Final = (b"image", b"file", b"audio", b"video", b"document", b"inline")
_RICH: Final = re.compile(b"|".join((*_SEARCHING, b"cache", b"AUDIO", *_MARKS)))
"""What has none of them can cost no more than its text. One look for all: an `in` for each of them
takes up to twice as long. Words that begin with e or s would make it a tenth slower: every such
letter is looked at."""


def prices_of(job: Job, targets: Iterable[Target]) -> list[Price | None]:
    """What each target may charge; pictures at the size and quality that were asked."""
    if job.operation.name not in IMAGES:
        return [target.price for target in targets]
    return [
        None if target.price is None else dearest_picture(target.price, *job.meter.variant)
        for target in targets
    ]


def bound(job: Job, targets: Sequence[Target]) -> Demand:
    """The most that the request can use, by a glance at it."""
    size = job.envelope.size
    match job.operation.task:
        case "chat":
            return _chat(job, targets)
        case "embeddings" | "moderation":
            return Demand(input=size, reads=_reads(job.body.text()), writes=("output",))
        case "rerank":
            documents = 1 + job.body.text().count(b",") // 100
            return Demand(input=size, searches=documents + size // RANKED)
        case "images":
            n = job.envelope.n
            return Demand(input=size, output=n * PICTURE_TOKENS, images=n, writes=("output",))
        case "speech":
            return Demand(
                input=size,
                output=size * SPOKEN,
                writes=("output", "audio_out"),
                characters=size,
                audio_ms=size * CHARACTER_MS,
            )
        case "transcription":
            return _heard(size)
        case _:
            return _other(job, targets)


def _other(job: Job, targets: Sequence[Target]) -> Demand:
    """Operations that no other can stand in for."""
    size, name = job.envelope.size, job.operation.name
    if name in IMAGES:
        n, given = job.envelope.n, 1 + size // UPLOAD
        return Demand(
            input=LEAST_OUTPUT + given * MEDIUM,
            output=n * PICTURE_TOKENS,
            reads=("input", "image_in"),
            writes=("output",),
            images=n,
        )
    if name == "translations":
        return _heard(size)
    if name == "edits":
        return _chat(job, targets)
    if name in COUNTING:
        return Demand(free=True)
    return Demand(input=0 if name == UNKNOWN else size)


def _heard(size: int) -> Demand:
    seconds = 1 + size // BYTES_A_SECOND
    return Demand(
        input=seconds * HEARD + LEAST_OUTPUT,
        output=seconds * HEARD // 2 + LEAST_OUTPUT,
        reads=("input", "audio_in"),
        writes=("output",),
        audio_ms=seconds * 1000,
    )


def _chat(job: Job, targets: Sequence[Target]) -> Demand:
    raw, answers = job.body.text(), max(job.envelope.n, 1)
    if not _RICH.search(raw):
        return Demand(len(raw), answers * output_limit(job, targets), answers)
    writes: tuple[str, ...] = ("output", "reasoning")
    if b'"audio"' in raw or b'"AUDIO"' in raw:
        writes = (*writes, "audio_out")
    return Demand(
        input=longest_input(raw),
        output=answers * output_limit(job, targets),
        answers=answers,
        reads=_reads(raw),
        writes=writes,
        searches=SEARCHES if _searches(raw) else 0,
    )


def _searches(raw: bytes) -> bool:
    """Whether the provider may search: by a tool (`google_search`, `googleSearch`), or an option of
    its own.
    """
    return b"earch" in raw and any(name in raw for name in _SEARCHING)


def output_limit(job: Job, targets: Sequence[Target]) -> int:
    """Tokens that one answer can have: the client's own limit, the model's where that is less or
    there is none.
    """
    asked = job.envelope.max_output
    if len(targets) == 1:
        most = targets[0].lane.hints.max_output
        if not asked:
            return most or UNKNOWN_OUTPUT
        return min(asked, most or MOST_OUTPUT)
    model = max((target.lane.hints.max_output or UNKNOWN_OUTPUT for target in targets), default=0)
    known = all(target.lane.hints.max_output for target in targets)
    if not asked:
        return model
    return min(asked, model) if known else min(asked, MOST_OUTPUT)


def longest_input(raw: bytes) -> int:
    """Tokens that a request's input can be at most, by a glance: a token is a byte at least, and
    what is named by an address is more than its name.
    """
    return len(raw) + _media(raw) * MEDIUM


def _media(raw: bytes) -> int:
    """How often pictures, sounds and documents are spoken of; each has two such members or so."""
    for mark in _MARKS:
        if mark in raw:
            break
    else:
        return 0
    return sum(1 for _ in _MEDIA.finditer(raw))


def _reads(raw: bytes) -> tuple[str, ...]:
    """Buckets that the input can fall into."""
    found = ["input"]
    if b"cache_control" in raw or b"cachePoint" in raw:
        found += ["cache_write_5m", "cache_write_1h"] if b'"1h"' in raw else ["cache_write_5m"]
    if b"image" in raw:
        found.append("image_in")
    if b"audio" in raw:
        found.append("audio_in")
    return tuple(found)
