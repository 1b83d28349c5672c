"""The typed middle: what every dialect is parsed to and rendered from.

Step 1 needs the request's `Envelope` and the `Usage` buckets; messages, parts and stream events
join them with the translate lane.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Usage:
    """What one call used, in disjoint buckets: no token is counted twice.

    Tokens: `input` is fresh text, `cache_read`, `cache_write_5m` and `cache_write_1h` are the
    parts of the prompt that a cache served or stored; `output` is text, `reasoning` hidden
    thought. `audio_*` and `image_in` are tokens of those media. Units for what is not tokens:
    `images` made, `audio_ms` of speech heard or spoken, `characters` of speech input,
    `searches` of hosted tools.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    audio_in: int = 0
    image_in: int = 0
    output: int = 0
    reasoning: int = 0
    audio_out: int = 0
    images: int = 0
    audio_ms: int = 0
    characters: int = 0
    searches: int = 0

    @property
    def input_tokens(self) -> int:
        """All tokens of the prompt, cached ones included."""
        return (
            self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.audio_in
            + self.image_in
        )

    @property
    def output_tokens(self) -> int:
        """All tokens of the answer, reasoning included."""
        return self.output + self.reasoning + self.audio_out

    def as_tuple(self) -> tuple[int, ...]:
        """The buckets in the order of their fields, as the ledger stores them."""
        return tuple(getattr(self, name) for name in USAGE_BUCKETS)


USAGE_BUCKETS: tuple[str, ...] = tuple(f.name for f in fields(Usage))


@dataclass(slots=True)
class Envelope:
    """What the gateway must know of a request before it chooses a target.

    `size` is the body's length in bytes, `max_output` the client's own limit in tokens (0 when
    it gave none), `n` how many answers it asked for, `wants_usage` whether a streaming client
    asked for the usage chunk, `usage_option` whether its operation has that option at all.
    """

    model: str
    stream: bool = False
    size: int = 0
    max_output: int = 0
    n: int = 1
    wants_usage: bool = False
    usage_option: bool = False
