"""Recorded requests in their own dialect: parsed, rendered again, and compared to the recording.

What may differ is listed in `NORMALISED`: each line says what is done to both before they are
compared, and why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from oneapi.dialects import bedrock, cohere, dashscope, registry
from oneapi.dialects.anthropic_hosted import hosted_body
from oneapi.dialects.base import Hints
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, Envelope
from oneapi.wire.json import decode, members
from tests.translation.recordings import Exchange, exchanges

OPERATION_OF = {
    "chat": "chat",
    "completions": "completions",
    "responses": "responses",
    "messages": "messages",
    "invoke": "messages",
    "predict": "messages",
    "generateContent": "generate",
    "ollama_chat": "ollama.chat",
    "ollama_generate": "ollama.generate",
}
"""The client's operation that a recorded request is one of."""
NATIVE = {
    "bedrock-converse": bedrock.parse_request,
    "cohere": cohere.parse_request,
    "dashscope": dashscope.parse_request,
}
"""Providers' own dialects whose requests are parsed too, though no client speaks them."""
HINTS = Hints(include_usage=False)
VERSIONS = {"bedrock-invoke": "bedrock-2023-05-31", "vertex-predict": "vertex-2023-10-16"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One normalisation. `apply` changes a recorded body (its own copy) and says whether it did."""

    why: str
    apply: Callable[[Any], bool]


def no_request(exchange: Exchange) -> str:
    """Why a recording of the 452 holds no request that could be parsed, "" where it does."""
    if exchange.method != "POST":
        return "asks again for an earlier answer"
    if exchange.dialect in ("deepl", "replicate"):
        return "its format is rendered only: chats of other dialects become it"
    if not isinstance(exchange.request, dict):
        return "no body was recorded"
    if exchange.api in ("invoke", "predict") and "anthropic_version" not in exchange.request:
        return "a model's own format, not the chat's"
    if exchange.status == 422 and "messages" not in exchange.request:
        return "refused by its provider, and by our parser, for having no messages"
    return ""


def asked() -> list[Exchange]:
    """Every recording with a chat's request that can be parsed, refused ones included."""
    spoken = {*OPERATION_OF.values(), *NATIVE}
    found = (e for e in exchanges() if OPERATION_OF.get(e.api, e.dialect) in spoken)
    return [e for e in found if not no_request(e)]


def parsed(exchange: Exchange) -> ChatRequest:
    """The request in the typed middle, as the gateway has it of a client."""
    body = exchange.request
    model = body.get("model", "m")
    if exchange.dialect in NATIVE:
        return NATIVE[exchange.dialect](body, Envelope(model, stream=exchange.stream))
    operation = OPERATION_OF[exchange.api]
    client = registry.client(exchange.spoken)
    face = registry.face(exchange.spoken, operation)
    assert face is not None
    raw = json.dumps(body).encode()
    in_path = None if "model" in body else "m"
    envelope = client.peek(client.OPERATIONS[operation], members(raw), in_path)
    return face.parse_request(decode(raw), envelope)


def differences(exchange: Exchange) -> list[str]:
    """Where what the face and the provider render differs from the normalised recording."""
    chat = parsed(exchange)
    before = deepcopy(chat)
    wanted, _ = normalised(exchange, exchange.request)
    found = [
        f"by the {who}: {line}"
        for who, body in _rendered(exchange, chat)
        for line in diff(wanted, normalised(exchange, body)[0])
    ]
    return found if chat == before else [*found, "the request was changed by rendering it"]


def _rendered(exchange: Exchange, chat: ChatRequest) -> Iterator[tuple[str, Any]]:
    if exchange.dialect not in NATIVE:
        face = registry.face(exchange.spoken, OPERATION_OF[exchange.api])
        assert face is not None
        yield "face", _hosted(exchange, json.loads(json.dumps(face.render_request(chat))))
    if exchange.api == "completions":
        return  # providers are asked for a chat
    provider = registry.chat_provider(exchange.spoken)
    assert provider is not None
    outgoing = provider.render_request(chat, chat.model, HINTS)
    yield "provider", _hosted(exchange, decode(outgoing.body))


def _hosted(exchange: Exchange, body: Any) -> Any:
    """The body as the host of Claude takes it."""
    version = VERSIONS.get(exchange.dialect)
    if version is None:
        return body
    keep = exchange.dialect == "vertex-predict"
    raw = members(json.dumps(body).encode())
    return decode(hosted_body(raw, version=version, betas=[], keep_stream=keep))


def normalised(exchange: Exchange, body: Any) -> tuple[Any, list[str]]:
    """A copy of the body with its dialect's normalisations, and the reasons of those that changed
    it.
    """
    body = deepcopy(body)
    used = [r.why for r in NORMALISED.get(exchange.dialect, ()) if r.apply(body)]
    return body, used


def needed(exchange: Exchange) -> list[str]:
    """The normalisations without which the rendered request would differ from the recording."""
    _, used = normalised(exchange, exchange.request)
    if not used:
        return []
    rendered = next(_rendered(exchange, parsed(exchange)))[1]
    _, still = normalised(exchange, rendered)
    return [why for why in used if why not in still]


def diff(a: Any, b: Any, at: str = "body") -> Iterator[str]:
    """Where two JSON values differ; 1 and 1.0 are equal, 1 and true are not."""
    if isinstance(a, dict) and isinstance(b, dict):
        for name in [*a, *(name for name in b if name not in a)]:
            if name not in b:
                yield f"{at}.{name} is lost: {_short(a[name])}"
            elif name not in a:
                yield f"{at}.{name} was not there: {_short(b[name])}"
            else:
                yield from diff(a[name], b[name], f"{at}.{name}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, (one, other) in enumerate(zip(a, b, strict=True)):
            yield from diff(one, other, f"{at}[{index}]")
    elif a != b or isinstance(a, bool) is not isinstance(b, bool):
        yield f"{at} is {_short(b)}, not {_short(a)}"


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:120]


# --- what may differ -----------------------------------------------------------------------


_SNAKE = re.compile(r"_([a-z])")
_DATA = frozenset(
    "args response parametersJsonSchema responseJsonSchema responseSchema parameters".split()
)
"""Members of Gemini's format in which names are the client's own."""


def _camel_names(value: Any) -> bool:
    changed = False
    if isinstance(value, dict):
        for name in list(value):
            inner = value.pop(name)
            camel = _SNAKE.sub(lambda found: found[1].upper(), name)
            value[camel] = inner
            changed |= camel != name
            if camel not in _DATA:
                changed |= _camel_names(inner)
    elif isinstance(value, list):
        changed = sum(map(_camel_names, value)) > 0
    return changed


def _model_named(body: Any) -> bool:
    return "model" not in body and bool(body.setdefault("model", "m"))


def _standard_base64(value: Any) -> bool:
    changed = False
    if isinstance(value, dict):
        data = value.get("inlineData")
        if isinstance(data, dict):
            before = data["data"]
            data["data"] = before.replace("-", "+").replace("_", "/")
            changed = data["data"] != before
        return any([changed, *map(_standard_base64, value.values())])
    return isinstance(value, list) and any(list(map(_standard_base64, value)))


def _levels_in_capitals(body: Any) -> bool:
    config = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
    before = config.get("thinkingLevel", "")
    if before:
        config["thinkingLevel"] = before.upper()
    return bool(before.upper() != before)


def _user_roles(body: Any) -> bool:
    system = body.get("systemInstruction")
    missing = [c for c in body["contents"] if isinstance(c, dict) and "role" not in c]
    if isinstance(system, dict) and system.get("role") != "user":
        missing.append(system)
    for content in missing:
        content["role"] = "user"
    return bool(missing)


_NAMED = Rule("the model that was chosen is named, where the recording names none", _model_named)
NORMALISED: dict[str, tuple[Rule, ...]] = {
    "openai-chat": (_NAMED,),
    "openai-completions": (_NAMED,),
    "gemini": (
        Rule("member names in camelCase: protobuf's JSON has two spellings", _camel_names),
        Rule("inline data in base64's standard alphabet: both are allowed", _standard_base64),
        Rule("thinking levels in capitals: the enumeration's own spelling", _levels_in_capitals),
        Rule("contents without a role are the user's, as documented", _user_roles),
    ),
}
"""By dialect. No line for a dialect: what is rendered equals the recording."""


def refusal(exchange: Exchange) -> ApiError | None:
    """The error that the parser has for a request, None where it takes it."""
    try:
        parsed(exchange)
    except ApiError as error:
        return error
    return None
