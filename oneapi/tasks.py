"""The typed middles of what is not chat: embeddings, rerank, images, speech, transcription and
moderation. Small on purpose: a question, an answer, and what only the source can say in `extra`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from oneapi.ir import Extra, Media, Usage
from oneapi.wire.json import JSON


@dataclass(slots=True)
class EmbeddingRequest:
    """Texts, token lists or media to be turned into vectors.

    `encoding` is how the client wants vectors written; `dimensions` how long, None for the model's
    own. `purpose` is search_document, search_query, classification, clustering, similarity or "";
    `single` says that the client asked for one and wants no list. `each` holds, input by input,
    what the source says of single ones, as it says it; `names` is what the source calls this
    middle's fields where it calls them otherwise (`purpose` → `taskType`), for naming them.
    """

    model: str
    inputs: list[str | list[int] | list[Media]]
    source: str
    encoding: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    purpose: str = ""
    title: str = ""
    user: str = ""
    truncate: bool | None = None
    single: bool = False
    each: Sequence[Extra] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class EmbeddingReply:
    """Vectors in the order of the inputs."""

    model: str
    vectors: list[list[float]]
    usage: Usage | None = None
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class RerankRequest:
    """Documents to be ordered by how well they answer a query. A document is a text, or an object
    whose `text` counts. `return_documents` is None where the client leaves it open.
    """

    model: str
    query: str
    documents: list[JSON]
    source: str
    top_n: int | None = None
    return_documents: bool | None = None
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Ranked:
    """One document's place: its index in the request and its score."""

    index: int
    score: float
    document: JSON = None


@dataclass(slots=True)
class RerankReply:
    """Best first."""

    results: list[Ranked]
    id: str = ""
    model: str = ""
    usage: Usage | None = None
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class ImageRequest:
    """A picture to be made. `size` is WIDTHxHEIGHT or "auto", `want` how the client wants it;
    `stream` that it waits for events.
    """

    model: str
    prompt: str
    source: str
    n: int = 1
    size: str = ""
    quality: str = ""
    style: str = ""
    background: str = ""
    file_format: str = ""
    want: Literal["", "url", "b64_json"] = ""
    user: str = ""
    stream: bool = False
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Picture:
    """By `url` or as base64 `data`."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    revised_prompt: str = ""


@dataclass(slots=True)
class ImageReply:
    pictures: list[Picture]
    created: int = 0
    usage: Usage | None = None
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class SpeechRequest:
    """A text to be spoken. `file_format` is mp3, opus, aac, flac, wav or pcm, "" where the client
    leaves it open; `stream` says that it waits for events.
    """

    model: str
    text: str
    source: str
    voice: str = ""
    file_format: str = ""
    speed: float | None = None
    instructions: str = ""
    stream: bool = False
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class SpeechReply:
    audio: bytes
    media_type: str
    usage: Usage | None = None


@dataclass(slots=True)
class ModerationRequest:
    """Texts and images to be judged; `single` says that the client asked about one."""

    model: str
    inputs: list[str | Media]
    source: str
    single: bool = False
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Judgement:
    """Whether something is flagged, and per category whether and how much (0 to 1)."""

    flagged: bool
    categories: dict[str, bool]
    scores: dict[str, float]
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class ModerationReply:
    results: list[Judgement]
    id: str = ""
    model: str = ""
    usage: Usage | None = None
