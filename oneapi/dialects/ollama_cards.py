"""Models as Ollama's clients look them up: tags, show, ps and version; and what is refused.

https://github.com/ollama/ollama/blob/main/docs/api.md (read 2026-11-24). VS Code's provider reads
`capabilities`, `model_info["general.architecture"]` and `["<architecture>.context_length"]`, and
skips a model, or all of them, where one is missing: nothing here is ever null.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from oneapi.dialects.ollama_shapes import rfc3339
from oneapi.errors import ApiError
from oneapi.ir import Extra
from oneapi.wire.json import encode

OLDEST: Final = (0, 6, 4)
"""The oldest version that VS Code's provider talks to."""
SPOKEN: Final = "0.12.6"
"""The version whose API this is: named where our own number would be too low for clients."""
UNKNOWN_CONTEXT: Final = 131_072
"""The window named where none is known: clients take a missing one for 4096, too few for a tool."""
_DATE: Final = 1_626_777_600
_FOREVER: Final = "2318-01-01T00:00:00Z"
"""When a model is unloaded that never is."""
_MODALITIES: Final[Mapping[str, str]] = {"image": "vision", "audio": "audio"}
_ORDER: Final = (
    "completion",
    "tools",
    "insert",
    "vision",
    "embedding",
    "thinking",
    "image",
    "audio",
)
_DONE: Final[Mapping[str, str]] = {
    "pull": "pulled",
    "push": "pushed",
    "create": "created",
    "copy": "copied",
    "delete": "deleted",
    "blobs": "uploaded",
}


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What the gateway knows of a model that it serves.

    `context` and `max_output` are tokens (0: unknown), `size` bytes, `parameters` their number (0:
    unknown), `modified_at` Unix seconds. `modalities` are those of the input (text, image, audio),
    `capabilities` Ollama's words (completion, tools, vision, thinking, embedding …), found from
    modalities where none are given. `efforts` are the levels of reasoning that it takes. The
    digest is made of the name where there is none.
    """

    name: str
    family: str = ""
    context: int = 0
    max_output: int = 0
    modalities: Sequence[str] = ("text",)
    capabilities: Sequence[str] = ()
    efforts: Sequence[str] = ()
    size: int = 0
    digest: str = ""
    modified_at: int = _DATE
    parameters: int = 0
    quantization: str = ""

    @property
    def architecture(self) -> str:
        """The first word of a `model_info` key: letters and digits."""
        given = self.family or re.split(r"[:/]", self.name.rpartition("/")[2])[0]
        return re.sub(r"[^a-z0-9]+", "", given.lower()) or "model"

    @property
    def abilities(self) -> list[str]:
        found = set(self.capabilities) or {"completion", "tools"}
        found |= {_MODALITIES[kind] for kind in self.modalities if kind in _MODALITIES}
        if self.efforts:
            found.add("thinking")
        return sorted(found, key=lambda word: (_index(word), word))

    @property
    def fingerprint(self) -> str:
        return self.digest or sha256(self.name.encode("utf-8", "replace")).hexdigest()


def tags(entries: Iterable[ModelCard]) -> bytes:
    """The body of `GET /api/tags`: the models in the order given."""
    return encode({"models": [_entry(card) for card in entries]})


def ps(entries: Iterable[ModelCard]) -> bytes:
    """The body of `GET /api/ps`: models that are ready at once. What is served always is."""
    return encode({"models": [_running(card) for card in entries]})


def show(entry: ModelCard) -> bytes:
    """The body of `POST /api/show`."""
    architecture, context = entry.architecture, entry.context or UNKNOWN_CONTEXT
    out: Extra = {
        "license": "",
        "modelfile": f"FROM {entry.name}\nPARAMETER num_ctx {context}\n",
        "parameters": f"num_ctx {context}",
        "template": "{{ .Prompt }}",
        "system": "",
        "details": _details(entry),
        "model_info": {
            "general.architecture": architecture,
            "general.basename": entry.name,
            "general.parameter_count": entry.parameters,
            f"{architecture}.context_length": context,
        },
        "tensors": [],
        "capabilities": entry.abilities,
        "modified_at": rfc3339(entry.modified_at),
    }
    if entry.max_output:
        out["parameters"] += f"\nnum_predict {entry.max_output}"
        out["model_info"]["general.max_output_tokens"] = entry.max_output
    if entry.efforts:
        out["supportedReasoningEfforts"] = list(entry.efforts)
    return encode(out)


def version(text: str) -> bytes:
    """The body of `GET /api/version`: our own where clients would take it, else the API's."""
    numbers = tuple(int(n) for n in re.findall(r"\d+", text.partition("+")[0])[:3])
    return encode({"version": text if numbers >= OLDEST else SPOKEN})


def refusal(verb: str) -> ApiError:
    """Why nothing is pulled, pushed, created, copied, deleted or uploaded here."""
    return ApiError(
        403,
        f"models cannot be {_DONE.get(verb, 'changed')} through this gateway: "
        "which ones it serves stands in its configuration file",
        code="not_supported",
    )


def show_name(body: Mapping[str, object]) -> str:
    """The model that a request to show, pull or delete names: `name` is the older word. Raises
    `ApiError` 400.
    """
    found = body.get("model") or body.get("name")
    if not isinstance(found, str):
        raise ApiError(400, "model is required", code="missing_required_parameter", param="model")
    return found


def _entry(card: ModelCard) -> Extra:
    return {
        "name": card.name,
        "model": card.name,
        "modified_at": rfc3339(card.modified_at),
        "size": card.size,
        "digest": card.fingerprint,
        "details": _details(card),
        "capabilities": card.abilities,
    }


def _running(card: ModelCard) -> Extra:
    entry = _entry(card)
    del entry["modified_at"], entry["capabilities"]
    context = card.context or UNKNOWN_CONTEXT
    return {**entry, "expires_at": _FOREVER, "size_vram": card.size, "context_length": context}


def _details(card: ModelCard) -> Extra:
    family = card.family or card.architecture
    return {
        "parent_model": "",
        "format": "gguf",
        "family": family,
        "families": [family],
        "parameter_size": _billions(card.parameters),
        "quantization_level": card.quantization,
        "context_length": card.context or UNKNOWN_CONTEXT,
    }


def _billions(parameters: int) -> str:
    return f"{parameters / 1e9:.1f}B" if parameters else ""


def _index(word: str) -> int:
    return _ORDER.index(word) if word in _ORDER else len(_ORDER)
