"""What the configuration must know of a provider's type. The catalog reaches this room as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """A provider's preset, as far as checking a channel needs it.

    `variables` are the placeholders of the preset's address that the channel must give in `vars`;
    `local` is a provider on this machine; `has_models` says that the models are known or can be
    discovered, so that the channel need not list them; `scripted` that it takes `mock` options.
    `host_env` is the variable that holds its address by its users' custom. `optional` are
    placeholders with a default, `signing` those that signing in needs whatever the address;
    `dialects` is what it speaks, `known_dialects` all that any may,
    `options` the settings that each of them takes.
    """

    name: str
    needs_key: bool = True
    needs_base_url: bool = False
    variables: tuple[str, ...] = ()
    local: bool = False
    has_models: bool = False
    scripted: bool = False
    host_env: str = ""
    optional: tuple[str, ...] = ()
    signing: tuple[str, ...] = ()
    dialects: tuple[str, ...] = ("openai-chat",)
    known_dialects: tuple[str, ...] = ("openai-chat",)
    options: Mapping[str, frozenset[str]] = field(default_factory=dict)
