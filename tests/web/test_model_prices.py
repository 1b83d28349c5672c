"""What clients are told of prices in the lists of models."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.harness import gateway, people

TEXT = """[channels.m]
type = "mock"
models = ["demo", "free", "picture"]
[groups.default]
ratio = 0.5
[prices.demo]
input = 0.25
output = 2
tiers = [{ above = 1000, input = 1 }]
[prices.picture]
image = { "hd" = 0.08, "*" = 0.04 }
"""


def test_a_model_is_listed_with_what_its_caller_pays(tmp_path: Path) -> None:
    with gateway(tmp_path, TEXT + people()) as running:
        listed = running.get("/v1/models").json()["data"]
    found = {model["id"]: model.get("pricing", {}) for model in listed}
    assert found["demo"]["input"] == "0.125"
    assert (found["demo"]["cache_read"], found["demo"]["reasoning"]) == ("0.125", "1")
    [tier] = found["demo"]["tiers"]
    assert (tier["above"], tier["input"], tier["output"]) == (1000, "0.5", "1")
    assert found["picture"]["image"] == "0.02"
    assert found["picture"]["images"] == {"hd": "0.04"}
    assert found["free"] == {"input": "0", "output": "0"}
