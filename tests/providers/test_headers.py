"""Header allow-lists in both directions (D16)."""

from __future__ import annotations

import pytest

from oneapi.providers.headers import request_headers, response_headers


@pytest.mark.parametrize(
    "name",
    """authorization cookie origin referer x-api-key api-key x-goog-api-key host connection
    content-length transfer-encoding forwarded x-forwarded-for x-forwarded-proto x-real-ip via
    accept-encoding user-agent x-stainless-os openai-organization openai-project x-request-id
    te upgrade proxy-authorization sec-fetch-site expect x-oneapi-anything""".split(),
)
def test_a_clients_header_stays_with_us(name: str) -> None:
    assert request_headers([(name.encode(), b"x")]) == []


@pytest.mark.parametrize(
    "name", "accept content-type idempotency-key openai-beta x-title http-referer".split()
)
def test_a_clients_header_goes_upstream(name: str) -> None:
    assert request_headers({name.encode(): b"x"}) == [(name.encode(), b"x")]


@pytest.mark.parametrize(
    "name",
    """set-cookie openai-organization openai-project x-ratelimit-limit-requests
    x-ratelimit-remaining-tokens anthropic-ratelimit-requests-limit ratelimit-reset
    x-request-id cf-ray server via date connection keep-alive transfer-encoding content-length
    x-ms-region x-ms-deployment-name apim-request-id x-envoy-upstream-service-time location
    www-authenticate strict-transport-security alt-svc access-control-allow-origin
    x-kong-request-id x-groq-region trailer""".split(),
)
def test_a_providers_header_stays_with_us(name: str) -> None:
    assert response_headers([(name.encode(), b"x")]) == []


@pytest.mark.parametrize(
    "name",
    """content-type content-disposition content-encoding openai-processing-ms openai-version
    retry-after x-should-retry""".split(),
)
def test_a_providers_header_goes_to_the_client(name: str) -> None:
    assert response_headers([(name.encode(), b"x")]) == [(name.encode(), b"x")]


def test_the_accounts_own_header_wins_over_the_clients() -> None:
    own = ((b"openai-beta", b"ours"),)
    client = {b"openai-beta": b"theirs", b"accept": b"*/*"}
    assert request_headers(client, own) == [(b"openai-beta", b"ours"), (b"accept", b"*/*")]
