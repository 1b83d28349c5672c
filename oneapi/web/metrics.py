"""Prometheus' text format, version 0.0.4, written from the state's counters.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from oneapi import __version__
from oneapi.gateway.gateway import Gateway

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


def exposition(gateway: Gateway) -> str:
    """All metrics as one text."""
    return "\n".join(_lines(gateway)) + "\n"


def _lines(gateway: Gateway) -> Iterator[str]:
    counters = gateway.state.counters
    yield from _family("oneapi_info", "gauge", "Version and revision in force.", [
        ({"version": __version__, "revision": gateway.snapshot.revision[:12]}, 1)
    ])  # fmt: skip
    yield from _family("oneapi_requests_total", "counter", "Requests.", [
        ({"endpoint": e, "channel": c, "status": str(s)}, n)
        for (e, c, s), n in sorted(counters.requests.items())
    ])  # fmt: skip
    yield from _family("oneapi_tokens_total", "counter", "Tokens by channel and kind.", [
        ({"channel": c, "kind": k}, n) for (c, k), n in sorted(counters.tokens.items())
    ])  # fmt: skip
    yield from _family("oneapi_cost_dollars_total", "counter", "Cost by channel.", [
        ({"channel": c}, n / 1e9) for c, n in sorted(counters.cost_nanousd.items())
    ])  # fmt: skip
    yield from _family("oneapi_request_seconds_sum", "counter", "Seconds of all requests.", [
        ({}, counters.seconds_sum)
    ])  # fmt: skip
    yield from _family("oneapi_request_seconds_count", "counter", "Requests timed.", [
        ({}, counters.seconds_count)
    ])  # fmt: skip
    yield from _family("oneapi_reloads_total", "counter", "Reloads by outcome.", [
        ({"outcome": o}, n) for o, n in sorted(counters.reloads.items())
    ])  # fmt: skip
    yield from _family("oneapi_requests_in_flight", "gauge", "Requests under way.", [
        ({}, len(gateway.state.flights))
    ])  # fmt: skip


def _family(name: str, kind: str, text: str, samples: list[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        inner = ",".join(f'{k}="{_escaped(v)}"' for k, v in labels.items())
        yield f"{name}{{{inner}}} {value}" if inner else f"{name} {value}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
