"""Where a replay's channels stand: catalog types at addresses below the scripted upstream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.e2e.expected import TRAITS, Traits

ADMIN = "sk-" + "ad" * 24
TYPES: Mapping[str, str] = {
    "ollama.com": "ollama",
    "127.0.0.1": "any-api",
    "localhost": "any-api",
    "api.openai.com": "openai",
    "api.avian.io": "avian",
    "router.huggingface.co": "huggingface",
    "api.sambanova.ai": "sambanova",
    "api.cerebras.ai": "cerebras",
    "api.perplexity.ai": "perplexity",
    "api.hyperbolic.xyz": "hyperbolic",
    "api.studio.nebius.ai": "nebius",
    "api.cloudflare.com": "cloudflare",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.mistral.ai": "mistral",
    "api.together.xyz": "together",
    "api.x.ai": "xai",
    "api.novita.ai": "novita",
    "openrouter.ai": "openrouter",
    "api.z.ai": "zai",
    "open.bigmodel.cn": "zhipu",
    "dashscope.aliyuncs.com": "dashscope",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A channel of the test: a catalog type at an address below the scripted upstream."""

    name: str
    type: str
    base: str
    api_version: str = ""

    @property
    def key(self) -> str:
        return f"upstream-key-of-{self.name}-0123456789"

    @property
    def token(self) -> str:
        return "sk-" + self.name.replace("-", "0").rjust(48, "x")

    @property
    def traits(self) -> Traits:
        return TRAITS.get(self.type, Traits())
