"""Invented exchanges: what recordings that nobody here has seen may hold."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.e2e.recordings import Exchange

JSON = Any
CHAT = "https://api.openai.com/v1/chat/completions"
HOSTS = {
    "openai": CHAT,
    "xai": "https://api.x.ai/v1/chat/completions",
    "mistral": "https://api.mistral.ai/v1/chat/completions",
    "other": "https://llm.example.com/some/where/chat/completions",
    "azure": "https://x.openai.azure.com/openai/deployments/m.1%2Fa/chat/completions"
    "?api-version=2024-02-01",
}
JSON_TYPE, SSE_TYPE = "application/json", "text/event-stream; charset=utf-8"
USAGE = '"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}'
TEXT = '{"id":"1","model":"m-2026","choices":[{"index":0,"delta":{"content":"hi"}}]}'
LAST = '{"id":"1","model":"m-2026","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
COUNT = f'{{"id":"1","model":"m-2026","choices":[],{USAGE}}}'


def plain(
    name: str,
    body: str | bytes,
    status: int = 200,
    *,
    kind: str = JSON_TYPE,
    asks: JSON = None,
    host: str = "openai",
    model: str = "m-1",
    headers: tuple[tuple[str, str], ...] = (),
    path: str = "/chat/completions",
    api: str = "chat",
) -> Exchange:
    """An exchange that is no stream."""
    asked = {"model": model, "messages": [{"role": "user", "content": "x"}], **(asks or {})}
    request = json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode()
    return Exchange(
        id="invented-" + re.sub(r"[^0-9a-z]+", "-", name),
        api=api,
        model=model,
        method="POST",
        url=HOSTS[host].replace("/chat/completions", path),
        request_type=JSON_TYPE,
        request=request,
        spaced_request=json.dumps(asked).encode(),
        status=status,
        headers=(("content-type", kind), *headers) if kind else headers,
        body=body if isinstance(body, bytes) else body.encode(),
        is_stream=False,
        synthetic=False,
    )


def stream(name: str, body: str | bytes, *, asked: bool = True, **keywords: Any) -> Exchange:
    """A stream; `asked`: the client asks for the usage chunk."""
    options = {"stream_options": {"include_usage": True}} if asked else {}
    asks = {"stream": True, **options, **keywords.pop("asks", {})}
    found = plain(name, body, asks=asks, **{"kind": SSE_TYPE, **keywords})
    members = {field: getattr(found, field) for field in Exchange.__dataclass_fields__}
    return Exchange(**{**members, "is_stream": True})


def events(*data: str, end: str = "\n\n", head: str = "data: ") -> str:
    return "".join(f"{head}{value}{end}" for value in data)


def answered(rest: str = "", *, usage: str = USAGE, model: str = '"model":"m-2026",') -> str:
    message = '{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}'
    return f'{{"id":"1",{model}"choices":[{message}],{usage}{rest}}}'


def spent(**more: JSON) -> str:
    whole = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, **more}
    return f'"usage":{json.dumps(whole)}'


STREAMS = [
    stream("crlf", events(TEXT, LAST, COUNT, "[DONE]", end="\r\n\r\n")),
    stream("crlf, not asked", events(TEXT, LAST, COUNT, "[DONE]", end="\r\n\r\n"), asked=False),
    stream("cr alone", events(TEXT, LAST, COUNT, "[DONE]", end="\r\r")),
    stream("no space", events(TEXT, LAST, COUNT, "[DONE]", head="data:")),
    stream("no space, not asked", events(TEXT, COUNT, "[DONE]", head="data:"), asked=False),
    stream("comments", ": a\n\n" + events(TEXT) + ": b\n\n:\n\n" + events(LAST, COUNT, "[DONE]")),
    stream("comment in event", ": keep\n" + events(TEXT) + events(LAST, COUNT, "[DONE]")),
    stream("other fields", events(TEXT, LAST, COUNT, "[DONE]", head="event: m\nid: 3\ndata: ")),
    stream("fields behind", events(TEXT, LAST, COUNT, "[DONE]", end="\nretry: 10\n\n")),
    stream("byte order mark", b"\xef\xbb\xbf" + events(TEXT, LAST, COUNT, "[DONE]").encode()),
    stream("extra empty lines", events(TEXT, LAST, COUNT, "[DONE]", end="\n\n\n\n")),
    stream("no done", events(TEXT, LAST, COUNT)),
    stream("no done, no last newline", events(TEXT, LAST, COUNT)[:-1]),
    stream("text behind done", events(TEXT, LAST, COUNT, "[DONE]") + ": bye\n\n"),
    stream("usage in the finish chunk", events(TEXT, LAST[:-1] + f",{USAGE}}}", "[DONE]")),
    stream("no usage", events(TEXT, LAST, "[DONE]"), asked=False),
    stream("usage null", events(TEXT[:-1] + ',"usage":null}', LAST, COUNT, "[DONE]")),
    stream("usage empty", events(TEXT[:-1] + ',"usage":{}}', LAST, COUNT, "[DONE]")),
    stream("usage grows", events(TEXT[:-1] + f",{USAGE}}}", LAST[:-1] + f",{spent()}}}", "[DONE]")),
    stream("usage then null", events(LAST[:-1] + f",{USAGE}}}", TEXT[:-1] + ',"usage":null}')),
    stream("groq's", events(TEXT, LAST[:-1] + f',"x_groq":{{"id":"r",{USAGE}}}}}', "[DONE]")),
    stream("pretty", events(TEXT.replace('":', '" : ').replace(",", " , "), LAST, COUNT, "[DONE]")),
    stream(
        "azure's first", events('{"choices":[],"model":"","id":""}', TEXT, LAST, COUNT, "[DONE]")
    ),
    stream("model behind", events('{"choices":[{"delta":{"content":"x"}}],"model":"m"}', COUNT)),
    stream("model inside", events(TEXT.replace("hi", r"\"model\":\"m-2026\""), LAST, COUNT)),
    stream("done in text", events(TEXT.replace("hi", "data: [DONE]"), LAST, COUNT, "[DONE]")),
    stream("error in text", events(TEXT.replace("hi", r"{\"error\":1}"), LAST, COUNT, "[DONE]")),
    stream("usage in text", events(TEXT.replace("hi", r"\"usage\":{\"total_tokens\":9}"), LAST)),
    stream("error at the end", events(TEXT) + 'event: error\ndata: {"error":{"code":500}}\n\n'),
    stream(
        "odd numbers", events(TEXT[:-1] + ',"n":[1.0E+2,1e400,-0.0,123456789012345678901]}', LAST)
    ),
    stream("odd texts", events(TEXT.replace("hi", r"\u0000\ud83d\/\u00e9é😀"), LAST, COUNT)),
    stream("ends of line in text", events(TEXT.replace("hi", "a\u2028b\u0085c\x0bd"), LAST, COUNT)),
    stream("not utf-8", events(TEXT).encode().replace(b"hi", b"\xff\xfe") + events(COUNT).encode()),
    stream(
        "tool calls", events(TEXT.replace('"content":"hi"', '"tool_calls":[{"index":0}]'), COUNT)
    ),
    stream("two choices", events(TEXT, TEXT.replace('"index":0', '"index":1'), LAST, COUNT)),
    stream("empty delta only", events(LAST, COUNT, "[DONE]"), asked=False),
    stream("long event", events(TEXT.replace("hi", "x" * 300_000), LAST, COUNT, "[DONE]")),
    stream("many", events(*[TEXT] * 300, LAST, COUNT, "[DONE]")),
    stream("many, not asked", events(*[TEXT] * 300, LAST, COUNT, "[DONE]"), asked=False),
    stream("other model names", events(TEXT, TEXT.replace("m-2026", "m-2"), LAST, COUNT, "[DONE]")),
    stream(
        "mistral's", events(TEXT, LAST[:-1] + f",{USAGE}}}", "[DONE]"), host="mistral", asked=False
    ),
    stream("mistral's, extra", events(TEXT, LAST, COUNT, "[DONE]"), host="mistral", asked=False),
    stream(
        "xai's",
        events(
            TEXT,
            COUNT.replace("12", "15").replace(
                '"total', '"completion_tokens_details":{"reasoning_tokens":3},"total'
            ),
            "[DONE]",
        ),
        host="xai",
    ),
    stream("azure deployment", events(TEXT, COUNT), host="azure", model="m.1/a"),
    stream("other place", events(TEXT, COUNT, "[DONE]"), host="other"),
    stream(
        "options kept",
        events(TEXT, LAST, "[DONE]"),
        asked=False,
        asks={"stream_options": {"x": [1.5]}},
    ),
    stream(
        "options null", events(TEXT, LAST, "[DONE]"), asked=False, asks={"stream_options": None}
    ),
    stream("text type", events(TEXT, LAST, COUNT, "[DONE]"), kind="text/plain; charset=utf-8"),
    stream("no type", events(TEXT, LAST, COUNT, "[DONE]"), kind=""),
    stream("octets", events(TEXT, LAST, COUNT, "[DONE]"), kind="application/octet-stream"),
    stream(
        "type in capitals",
        events(TEXT, LAST, COUNT, "[DONE]"),
        kind="text/event-stream;charset=UTF-8",
    ),
    stream(
        "total alone",
        events(
            TEXT,
            LAST,
            COUNT.replace('"prompt_tokens":7,"completion_tokens":5,', '"prompt_tokens":12,'),
        ),
    ),
    stream(
        "usage refused",
        events(TEXT, COUNT),
        asked=False,
        asks={"stream_options": {"include_usage": False}},
    ),
]
ANSWERS = [
    plain("cached", answered(usage=spent(prompt_tokens_details={"cached_tokens": 60}))),
    plain("cached too much", answered(usage=spent(prompt_tokens_details={"cached_tokens": 600}))),
    plain("cache hit", answered(usage=spent(prompt_cache_hit_tokens=64))),
    plain(
        "cache write",
        answered(
            usage=spent(prompt_tokens_details={"cached_tokens": 10, "cache_write_tokens": 20})
        ),
    ),
    plain(
        "sound and pictures",
        answered(usage=spent(prompt_tokens_details={"audio_tokens": 10, "image_tokens": 20})),
    ),
    plain(
        "sound out",
        answered(
            usage=spent(completion_tokens_details={"audio_tokens": 40, "reasoning_tokens": 5})
        ),
    ),
    plain(
        "details null",
        answered(usage=spent(prompt_tokens_details=None, completion_tokens_details=None)),
    ),
    plain("reasoning beside", answered(usage=spent(reasoning_tokens=30))),
    plain(
        "xai's",
        answered(usage=spent(total_tokens=180, completion_tokens_details={"reasoning_tokens": 30})),
        host="xai",
    ),
    plain(
        "named input",
        answered(usage='"usage":{"input_tokens":4,"output_tokens":2,"total_tokens":6}'),
    ),
    plain(
        "floats",
        answered(usage='"usage":{"prompt_tokens":4.0,"completion_tokens":2.0,"total_tokens":6.0}'),
    ),
    plain("no usage", answered(usage='"usage":null')),
    plain("no model", answered(model="")),
    plain("model null", answered(model='"model":null,')),
    plain("model empty", answered(model='"model":"",')),
    plain("model a number", answered(model='"model":5,')),
    plain("model escaped", answered(model=r'"mod\u0065l":"a",')),
    plain(
        "model inside",
        answered(',"x":{"model":"y"},"y":["model"]', model='"x":{"model":"a"},"model":"m",'),
    ),
    plain("white space", f"\r\n \t{answered()}\n\n"),
    plain("odd numbers", answered(',"n":[1.0E+2,1e400,-0.0,0.10,123456789012345678901234567890]')),
    plain("odd texts", answered(r',"t":"\u0000\ud83d\/\u00e9é😀"')),
    plain("pretty", json.dumps(json.loads(answered()), indent=4)),
    plain("charset", answered(), kind="application/json; charset=utf-8"),
    plain("octets", answered(), kind="application/octet-stream"),
    plain("text type", answered(), kind="text/plain"),
    plain("no type", answered(), kind=""),
    plain("large", answered(f',"t":"{"x" * 400_000}"')),
    plain("created", answered(), 201),
    plain("dots and slashes", answered(), model="@cf/meta/llama-3.3:free"),
    plain("azure deployment", answered(), host="azure", model="m.1/a"),
    plain(
        "odd request",
        answered(),
        asks={"seed": 12345678901234567890, "é": "😀", "": None, "top_p": 1e-10},
    ),
]
EMBEDDED = '{"object":"list","data":[{"embedding":[0.1],"index":0}],"model":"e",'
OTHERS = [
    plain(
        "spoken, the client's own count",
        b"\xff\xf3sound",
        path="/audio/speech",
        api="speech",
        asks={"input": "x" * 30, "usage": {"input_tokens": 1, "output_tokens": 1}},
        kind="audio/mpeg",
    ),
    plain(
        "embeddings",
        EMBEDDED + '"usage":{"prompt_tokens":8,"total_tokens":8}}',
        path="/embeddings",
        api="embeddings",
        asks={"input": "x"},
    ),
    plain(
        "images",
        '{"created":1,"data":[{"url":"a"},{"url":"b"}]}',
        path="/images/generations",
        api="images",
        asks={"prompt": "x"},
    ),
    plain(
        "spoken as json",
        '{"audio":"QUJD"}',
        path="/audio/speech",
        api="speech",
        asks={"input": "häuser"},
    ),
    plain(
        "spoken",
        b"\xff\xf3sound",
        path="/audio/speech",
        api="speech",
        asks={"input": "x" * 30},
        kind="audio/mpeg",
    ),
    plain("completions", answered(), path="/completions", api="completions", asks={"prompt": "x"}),
    stream(
        "pictures",
        events(
            '{"type":"image_generation.partial_image","b64_json":"QQ=="}',
            '{"type":"image_generation.completed","b64_json":"QUI=","usage":{"input_tokens":9,"output_tokens":40,"total_tokens":49,"input_tokens_details":{"image_tokens":4,"text_tokens":5}}}',
            head="event: x\ndata: ",
        ),
        asked=False,
        path="/images/generations",
        api="images",
        asks={"prompt": "x"},
    ),
    stream(
        "spoken piece by piece",
        events(
            '{"type":"speech.audio.delta","audio":"QQ=="}',
            '{"type":"speech.audio.done","usage":{"input_tokens":9,"output_tokens":40,"total_tokens":49}}',
        ),
        asked=False,
        path="/audio/speech",
        api="speech",
        asks={"input": "x", "stream_format": "sse"},
    ),
    stream(
        "spoken, not counted",
        events('{"type":"speech.audio.delta","audio":"QQ=="}', '{"type":"speech.audio.done"}'),
        asked=False,
        path="/audio/speech",
        api="speech",
        asks={"input": "häu", "stream_format": "sse"},
    ),
    plain(
        "heard by tokens",
        '{"text":"hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":5,"total_tokens":19}}',
        path="/audio/transcriptions",
        api="transcription",
    ),
    plain(
        "heard by time",
        '{"text":"hi","usage":{"type":"duration","seconds":9}}',
        path="/audio/transcriptions",
        api="transcription",
    ),
    plain(
        "heard, verbose",
        '{"task":"transcribe","duration":8.47,"text":"hi"}',
        path="/audio/transcriptions",
        api="transcription",
    ),
    plain(
        "heard as text",
        "hi there\n",
        kind="text/plain; charset=utf-8",
        path="/audio/transcriptions",
        api="transcription",
    ),
    plain(
        "heard as subtitles",
        "1\n00:00:00,000 --> 00:00:01,000\nhi\n",
        kind="text/srt",
        path="/audio/transcriptions",
        api="transcription",
    ),
    plain(
        "images as json",
        '{"created":1,"data":[{"b64_json":"QQ=="}]}',
        path="/images/edits",
        api="images",
        asks={"prompt": "x"},
    ),
    plain(
        "embeddings in base64",
        EMBEDDED.replace("[0.1]", '"AAAA"') + '"usage":{"prompt_tokens":8,"total_tokens":8}}',
        path="/embeddings",
        api="embeddings",
        asks={"input": ["x"]},
    ),
    plain(
        "embeddings, not counted",
        EMBEDDED[:-1] + "}",
        path="/embeddings",
        api="embeddings",
        asks={"input": ["x y"]},
    ),
    plain(
        "moderation",
        '{"id":"m","model":"o","results":[{"flagged":false}]}',
        path="/moderations",
        api="moderation",
        asks={"input": "x"},
    ),
]
ERRORS = [
    plain("html", "<html><body>502 Bad Gateway</body></html>", 502, kind="text/html"),
    plain("html as json", "<!DOCTYPE html><p>no", 500),
    plain("413", "<html>413 Request Entity Too Large</html>", 413, kind="text/html; charset=utf-8"),
    plain("text", "missing field `messages` at line 1", 422, kind="text/plain; charset=utf-8"),
    plain("empty", "", 404, kind=""),
    plain("empty 500", "", 500),
    plain(
        "int code",
        '{"error":{"message":"no","code":400,"metadata":{"raw":"x"}},"user_id":"u"}',
        400,
    ),
    plain("error a text", '{"error":"model \'x\' not found"}', 404),
    plain("code beside", '{"code":"invalid-argument","error":"bad"}', 400, host="xai"),
    plain(
        "a bad key at 400",
        '{"code":"invalid-argument","error":"Incorrect API key provided: x"}',
        400,
        host="xai",
    ),
    plain("detail", '{"detail":[{"type":"missing","loc":["body","messages"]}]}', 422),
    plain("detail a text", '{"detail":"Invalid API Key"}', 401, host="mistral"),
    plain("an array", '[{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}]', 400),
    plain("octets", '{"error":{"message":"no"}}', 400, kind="application/octet-stream"),
    plain("object error", '{"object":"error","message":"no","type":"x","code":"1500"}', 400),
    plain(
        "failed generation", '{"error":{"message":"no","failed_generation":"{\\"a\\": 1}"}}', 400
    ),
    plain("not utf-8", b'{"error":"\xff\xfe"}', 400),
    plain("spaces kept", '{ "error" : {"message" : "no" , "code" : null } }\n', 400),
    plain(
        "model named", '{"error":{"message":"The model `m-1` does not exist"},"model":"m-1"}', 404
    ),
    plain("402", '{"error":{"message":"pay"}}', 402),
    plain("403", '{"error":{"message":"no"}}', 403),
    plain("409", '{"error":{"message":"no"}}', 409),
    plain(
        "429",
        '{"error":{"message":"slow","code":"rate_limit_exceeded"}}',
        429,
        headers=(("retry-after", "7"),),
    ),
    plain("451", '{"error":{"message":"no"}}', 451),
    plain("503", '{"error":{"message":"later"}}', 503),
    plain("529", '{"error":{"message":"overloaded"}}', 529),
    plain(
        "organisation", '{"error":{"message":"no access for org-0123456789abcdefgh, sorry"}}', 404
    ),
    plain("long", json.dumps({"error": {"message": "x" * 100_000}}), 400),
    plain("a stream asked", '{"error":{"message":"no","code":"x"}}', 400, asks={"stream": True}),
]
GROUPS = {"streams": STREAMS, "answers": ANSWERS, "others": OTHERS, "errors": ERRORS}
