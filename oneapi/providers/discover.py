"""Asks a provider which models it serves.

Read are the three shapes in use: `{"data": [{"id"}]}` (OpenAI), the bare list `[{"id"}]`
(together.ai), and `{"models": [{"name"}]}` (Ollama's `GET /api/tags`).
"""

from __future__ import annotations

from collections.abc import Mapping

from oneapi.errors import ApiError
from oneapi.net.base import Call, Carrier, Timeouts
from oneapi.providers.account import Account
from oneapi.providers.address import from_host
from oneapi.providers.calls import signed
from oneapi.wire.json import JSON, decode

TIMEOUTS = Timeouts(connect=3.0, first_byte=15.0, idle=15.0)
MAX_LIST = 16 * 1024 * 1024
"""Bytes of the longest list that is read: OpenRouter's has about one million."""
_MAX_NAME = 256


async def discover(
    carrier: Carrier, account: Account, key: str, *, timeouts: Timeouts = TIMEOUTS
) -> list[str]:
    """The names of the models, each once, in the provider's order.

    Raises `CarrierError` where the provider cannot be reached, and `ValueError` in words where it
    answers something else. Ollama means the same by `name` and `name:latest`; what stands here is
    its own word, so whoever asks for `name` looks for both.
    """
    lines = (*account.headers(key), *account.models_headers, (b"accept", b"*/*"))
    call = Call(b"GET", account.models_target(), lines)
    try:
        call = await signed(account, key, call)
    except ApiError as error:
        raise ValueError(error.message) from error
    reply = await carrier.send(account.origin, call, timeouts)
    try:
        if reply.status != 200:
            raise ValueError(f"the list of models was answered with {reply.status}")
        body = await reply.read(MAX_LIST)
    finally:
        await reply.aclose()
    return parse_models(body, prefix=account.preset.models_prefix)


def parse_models(body: bytes, *, prefix: str = "") -> list[str]:
    """The names in a list of models, without `prefix`. Raises `ValueError` for anything else."""
    try:
        value = decode(body)
    except ValueError:
        raise ValueError("the list of models is not JSON") from None
    entries = value
    if isinstance(value, dict):
        entries = next((value[member] for member in ("data", "models") if member in value), "")
        entries = [] if entries is None else entries  # null: a server without a model
    if not isinstance(entries, list):
        raise ValueError("the answer is not a list of models")
    names = (_name(entry) for entry in entries)
    return list(dict.fromkeys(name.removeprefix(prefix) for name in names if name))


def ollama_base(environ: Mapping[str, str], default: str = "http://127.0.0.1:11434/v1") -> str:
    """Ollama's address from `OLLAMA_HOST`: host, host:port, :port, http://host:port or nothing.

    Raises `ValueError` in words for what is none of these.
    """
    return from_host(environ.get("OLLAMA_HOST", ""), default)


def _name(entry: JSON) -> str:
    if isinstance(entry, dict):
        entry = entry.get("id") or entry.get("name") or entry.get("model")
    if not isinstance(entry, str) or len(entry) > _MAX_NAME or not entry.isprintable():
        return ""
    return entry
