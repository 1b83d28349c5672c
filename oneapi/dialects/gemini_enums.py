"""Enumerations as integers, for clients that ask for them, and back where a provider sends them.

`$alt=json;enum-encoding=int` is what Google's generated REST clients send. Numbers read 2026-11-24
from the protocol buffers of google.ai.generativelanguage.v1beta; Vertex AI
(google.cloud.aiplatform.v1beta1) numbers reasons and categories otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from oneapi.dialects.base_bodies import encode_text
from oneapi.wire.json import JSON, MalformedJSON, decode
from oneapi.wire.sse import data_of, split

Table = Mapping[str, Mapping[str, int]]


def _numbered(names: str, start: int = 0) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split(), start)}


_MODALITY: Final = _numbered("MODALITY_UNSPECIFIED TEXT IMAGE VIDEO AUDIO DOCUMENT")
_COMMON: Final[Table] = {
    "modality": _MODALITY,
    "probability": _numbered("HARM_PROBABILITY_UNSPECIFIED NEGLIGIBLE LOW MEDIUM HIGH"),
    "severity": _numbered(
        "HARM_SEVERITY_UNSPECIFIED HARM_SEVERITY_NEGLIGIBLE HARM_SEVERITY_LOW "
        "HARM_SEVERITY_MEDIUM HARM_SEVERITY_HIGH"
    ),
    "language": _numbered("LANGUAGE_UNSPECIFIED PYTHON"),
    "outcome": _numbered("OUTCOME_UNSPECIFIED OUTCOME_OK OUTCOME_FAILED OUTCOME_DEADLINE_EXCEEDED"),
    "urlRetrievalStatus": _numbered(
        "URL_RETRIEVAL_STATUS_UNSPECIFIED URL_RETRIEVAL_STATUS_SUCCESS "
        "URL_RETRIEVAL_STATUS_ERROR URL_RETRIEVAL_STATUS_PAYWALL URL_RETRIEVAL_STATUS_UNSAFE"
    ),
    "trafficType": _numbered("TRAFFIC_TYPE_UNSPECIFIED ON_DEMAND PROVISIONED_THROUGHPUT"),
    "blockReason": _numbered(
        "BLOCK_REASON_UNSPECIFIED SAFETY OTHER BLOCKLIST PROHIBITED_CONTENT IMAGE_SAFETY"
    ),
}
GEMINI: Final[Table] = {
    **_COMMON,
    "finishReason": _numbered(
        "FINISH_REASON_UNSPECIFIED STOP MAX_TOKENS SAFETY RECITATION OTHER LANGUAGE BLOCKLIST "
        "PROHIBITED_CONTENT SPII MALFORMED_FUNCTION_CALL IMAGE_SAFETY UNEXPECTED_TOOL_CALL "
        "TOO_MANY_TOOL_CALLS IMAGE_PROHIBITED_CONTENT IMAGE_OTHER NO_IMAGE IMAGE_RECITATION"
    ),
    "category": _numbered(
        "HARM_CATEGORY_UNSPECIFIED HARM_CATEGORY_DEROGATORY HARM_CATEGORY_TOXICITY "
        "HARM_CATEGORY_VIOLENCE HARM_CATEGORY_SEXUAL HARM_CATEGORY_MEDICAL "
        "HARM_CATEGORY_DANGEROUS HARM_CATEGORY_HARASSMENT HARM_CATEGORY_HATE_SPEECH "
        "HARM_CATEGORY_SEXUALLY_EXPLICIT HARM_CATEGORY_DANGEROUS_CONTENT "
        "HARM_CATEGORY_CIVIC_INTEGRITY"
    ),
}
CLOUD: Final[Table] = {
    **_COMMON,
    "finishReason": _numbered(
        "FINISH_REASON_UNSPECIFIED STOP MAX_TOKENS SAFETY RECITATION OTHER BLOCKLIST "
        "PROHIBITED_CONTENT SPII MALFORMED_FUNCTION_CALL MODEL_ARMOR IMAGE_SAFETY "
        "IMAGE_PROHIBITED_CONTENT IMAGE_RECITATION IMAGE_OTHER UNEXPECTED_TOOL_CALL NO_IMAGE"
    ),
    "category": _numbered(
        "HARM_CATEGORY_UNSPECIFIED HARM_CATEGORY_HATE_SPEECH HARM_CATEGORY_DANGEROUS_CONTENT "
        "HARM_CATEGORY_HARASSMENT HARM_CATEGORY_SEXUALLY_EXPLICIT HARM_CATEGORY_CIVIC_INTEGRITY "
        "HARM_CATEGORY_JAILBREAK"
    ),
}
TYPES: Final = "TYPE_UNSPECIFIED STRING NUMBER INTEGER BOOLEAN ARRAY OBJECT NULL".split()
MODES: Final = "MODE_UNSPECIFIED AUTO ANY NONE VALIDATED VALIDATED".split()
MODALITIES: Final = "MODALITY_UNSPECIFIED TEXT IMAGE AUDIO VIDEO".split()
"""Of requests, each at its number; the two services number VALIDATED differently."""
_DETAILS: Final = (
    "promptTokensDetails",
    "candidatesTokensDetails",
    "cacheTokensDetails",
    "toolUsePromptTokensDetails",
)


def integer_enums(body: bytes) -> bytes:
    """An answer, a list of them or server-sent events with integers for the names that have one.

    What is no JSON, and names without a number, stay.
    """
    if body.startswith((b"data:", b":")):
        return b"".join(map(_event, split(body)))
    try:
        value = decode(body)
    except MalformedJSON:
        return body
    for answer in value if isinstance(value, list) else (value,):
        to_integers(answer)
    return encode_text(value).encode()


def to_integers(answer: JSON) -> None:
    """Puts the integers into an answer of our own, in place."""
    for holder, name in _places(answer):
        number = GEMINI[name].get(holder[name]) if isinstance(holder[name], str) else None
        if number is not None:
            holder[name] = number


def to_names(answer: JSON) -> None:
    """Puts names where a provider sent integers, in place. `createTime` tells Vertex AI's numbers.

    A number without a name becomes its digits: nothing is lost, and it is a string for certain.
    """
    table = CLOUD if isinstance(answer, dict) and "createTime" in answer else GEMINI
    for holder, name in _places(answer):
        number = holder[name]
        if type(number) is int:
            holder[name] = name_of(table[name], number)


def word(value: JSON, names: Sequence[str]) -> str:
    """A request's enumeration as its name in capitals, given as a name or a number; "" for none."""
    if isinstance(value, str):
        return value.upper()
    if type(value) is int and 0 <= value < len(names):
        return names[value]
    return ""


def name_of(numbers: Mapping[str, int], number: int) -> str:
    """The first name with that number, its digits where there is none."""
    return next((name for name, known in numbers.items() if known == number), str(number))


def has_integers(answer: JSON) -> bool:
    """Whether reasons or modalities stand as integers here: cheap, and almost never so."""
    if not isinstance(answer, dict):
        return False
    usage = answer.get("usageMetadata")
    if isinstance(usage, dict):
        if type(usage.get("trafficType")) is int:
            return True
        details = usage.get("promptTokensDetails")
        if isinstance(details, list) and details and isinstance(details[0], dict):
            return type(details[0].get("modality")) is int
    feedback = answer.get("promptFeedback")
    if isinstance(feedback, dict) and type(feedback.get("blockReason")) is int:
        return True
    return any(type(c.get("finishReason")) is int for c in _objects(answer.get("candidates")))


def _event(event: bytes) -> bytes:
    data = data_of(event)
    if data is None:
        return event
    start = event.find(data)
    if start < 0:
        return event
    return event[:start] + integer_enums(data) + event[start + len(data) :]


def _places(answer: JSON) -> Iterator[tuple[dict[str, JSON], str]]:
    """Where enumerations stand in an answer: the object and the member's name."""
    if not isinstance(answer, dict):
        return
    for candidate in _objects(answer.get("candidates")):
        yield from _known(candidate, "finishReason")
        yield from _ratings(candidate)
        content = candidate.get("content")
        if isinstance(content, dict):
            for part in _objects(content.get("parts")):
                yield from _known(part.get("executableCode"), "language")
                yield from _known(part.get("codeExecutionResult"), "outcome")
        fetched = candidate.get("urlContextMetadata")
        if isinstance(fetched, dict):
            for entry in _objects(fetched.get("urlMetadata")):
                yield from _known(entry, "urlRetrievalStatus")
    feedback = answer.get("promptFeedback")
    yield from _known(feedback, "blockReason")
    yield from _ratings(feedback)
    usage = answer.get("usageMetadata")
    yield from _known(usage, "trafficType")
    if isinstance(usage, dict):
        for name in _DETAILS:
            for entry in _objects(usage.get(name)):
                yield from _known(entry, "modality")


def _ratings(holder: JSON) -> Iterator[tuple[dict[str, JSON], str]]:
    if isinstance(holder, dict):
        for rating in _objects(holder.get("safetyRatings")):
            for name in ("category", "probability", "severity"):
                yield from _known(rating, name)


def _known(holder: JSON, name: str) -> Iterator[tuple[dict[str, JSON], str]]:
    if isinstance(holder, dict) and name in holder:
        yield holder, name


def _objects(value: JSON) -> Iterator[dict[str, JSON]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))
