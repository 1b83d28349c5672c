"""Which headers pass between client and provider: allow-lists in both directions (D16).

What is not named here stays on its side: hop-by-hop headers, cookies, credentials, forwarding
headers and `Origin` of the client; cookies, organisation, rate limits, request ids and
infrastructure of the provider. Names are lower-case bytes, as both ends of the gateway give them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

REQUEST: frozenset[bytes] = frozenset(
    {
        b"accept",
        b"content-type",
        b"idempotency-key",
        # Switches of the wire formats: without them a client does not get what it asked for.
        b"openai-beta",
        b"anthropic-beta",
        b"anthropic-version",
        b"prefer",
        b"x-dashscope-async",
        b"x-dashscope-datainspection",
        b"x-dashscope-ossresourceresolve",
        b"x-dashscope-plugin",
        b"x-dashscope-sse",
        # How an application names itself to a provider that ranks applications; not `referer`.
        b"http-referer",
        b"x-title",
    }
)
"""From the client to the provider. User-agent and x-stainless-* describe the client's machine."""

RESPONSE: frozenset[bytes] = frozenset(
    {
        b"content-type",
        b"content-disposition",
        b"content-encoding",  # a provider that encodes although asked for identity
        b"content-language",
        b"cache-control",
        b"openai-model",
        b"openai-processing-ms",
        b"openai-version",
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
    }
)
"""From the provider to the client."""

Lines = Iterable[tuple[bytes, bytes]]


def request_headers(
    client: Mapping[bytes, bytes] | Lines, own: Lines = ()
) -> list[tuple[bytes, bytes]]:
    """The lines of a call: `own` (the account's), then what passes of the client's beside them."""
    lines = list(own)
    taken = {name for name, _ in lines}
    pairs = client.items() if isinstance(client, Mapping) else client
    lines.extend(pair for pair in pairs if pair[0] in REQUEST and pair[0] not in taken)
    return lines


def response_headers(upstream: Lines) -> list[tuple[bytes, bytes]]:
    """What may go back to the client of a provider's header lines."""
    return [pair for pair in upstream if pair[0] in RESPONSE]
