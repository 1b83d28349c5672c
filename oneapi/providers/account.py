"""An account at a provider: a channel bound to its preset, with everything computed at build time.

What is left for a call is a look-up for its headers, one for its target, and its signature where
the provider wants one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from oneapi.dialects.base import Hints
from oneapi.errors import ApiError
from oneapi.net.base import Origin
from oneapi.providers.address import path_problem
from oneapi.providers.auth.base import HeaderLines, Signer
from oneapi.providers.auth.static import key_line
from oneapi.providers.facts import ModelFacts, facts_for
from oneapi.providers.preset import Preset, Quirk
from oneapi.providers.targets import Place, resolve
from oneapi.providers.verdict import Verdict, classify
from oneapi.wire.json import JSON

__all__ = ["Account", "HeaderLines", "Verdict", "classify", "header_lines", "key_fingerprint"]

_WRAPPED = "messages"
"""The operation whose body a wrapping transport packs; counting tokens goes as it is."""


def key_fingerprint(key: str) -> str:
    """A short name for a key in logs and state, from which the key cannot be found."""
    return hashlib.sha256(b"oneapi key " + key.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """Where a channel's calls go, what they speak and what they carry. Frozen; made by `bind`.

    `signer` is None where `headers` sign in already. `hidden` are secrets that no text may show
    besides the keys themselves.
    """

    name: str
    preset: Preset
    origin: Origin
    base: str
    """The path of its address, without a slash at its end."""
    signer: Signer | None = field(repr=False)
    hidden: tuple[str, ...] = field(repr=False)
    _own_dialects: tuple[str, ...] | None
    _hints: Hints
    _settings: frozenset[str]
    _targets: Mapping[str, Place]
    _streams: Mapping[str, Place]
    _common: Mapping[bytes, bytes] = field(repr=False)
    _override: Mapping[bytes, bytes] = field(repr=False)
    _headers: Mapping[str, HeaderLines] = field(repr=False)

    def supports(self, operation: str) -> bool:
        return operation in self._targets

    @property
    def spoken(self) -> tuple[str, ...]:
        """Every dialect of the account, preferred first."""
        return self.preset.dialects if self._own_dialects is None else self._own_dialects

    def dialects(self, model: str) -> tuple[str, ...]:
        """The dialects that a model is served in there, preferred first.

        The channel's own list counts before what is known of single models: what is known only
        narrows it, and never to nothing.
        """
        for rule in self.preset.model_dialects:
            if fnmatchcase(model.lower(), rule.models):
                spoken = self.spoken
                if self._own_dialects is None:
                    return tuple(d for d in rule.dialects if d in spoken)
                return tuple(d for d in spoken if d in rule.dialects) or spoken
        return self.spoken

    def target(self, operation: str, model: str, *, stream: bool = False) -> bytes:
        """Path and query of an operation; the model stands in it where the provider wants that."""
        return (self._streams if stream else self._targets)[operation].of(model)

    def wrap(self, operation: str) -> str:
        """How the operation's format is transported: "" as it is, `bedrock-invoke`, `vertex`."""
        return self.preset.wrap if operation == _WRAPPED else ""

    def hints_for(self, model: str, dialect: str) -> Hints:
        """What the catalog and the channel know of a model, for rendering requests in `dialect`."""
        known: dict[str, JSON] = {}
        for quirk in self.quirks_for(dialect, model):
            known |= quirk.options
        hints = replace(self._hints, options={**known, **self._hints.options})
        facts = self.facts(model)
        if facts is None:
            return hints
        return replace(hints, max_output=facts.max_output, context=facts.context)

    def translates(self, dialect: str) -> bool:
        """Whether the channel has settings that only rendering a request in `dialect` can put into
        it: its chats go through the translate lane, even in their own dialect.
        """
        return dialect in self._settings

    def facts(self, model: str) -> ModelFacts | None:
        """What is known of a public model; nothing of those on the user's own machine."""
        return None if self.preset.local else facts_for(model)

    def quirks_for(self, dialect: str, model: str, task: str | None = None) -> tuple[Quirk, ...]:
        """What its provider does otherwise there, for `quirks.apply`: in one task, or in any."""
        return tuple(
            q
            for q in self.preset.quirks
            if q.dialect == dialect
            and (not q.task or task in (None, q.task))
            and fnmatchcase(model.lower(), q.models)
        )

    def models_target(self) -> bytes:
        """Path of the provider's list of models."""
        return resolve(self.base, self.preset.models_path).encode()

    @property
    def models_headers(self) -> HeaderLines:
        """Header lines of that call beside the account's."""
        return tuple((n.encode(), v.encode()) for n, v in self.preset.models_headers.items())

    def headers(self, key: str) -> HeaderLines:
        """Lower-case header lines of a call: the account's key, the preset's and the channel's."""
        found = self._headers.get(key)
        if found is not None:
            return found
        return header_lines(self.preset, self._common, key, self._override)

    def join(self, rest: bytes, query: bytes = b"") -> bytes:
        """Path and query of a raw call: `rest` below `base`, or whole where it begins with that.

        The authority stays what it is (D36). Raises `ApiError` 400 where `rest` tries otherwise.
        """
        problem = "" if not rest or rest.startswith(b"/") else "the path must begin with /"
        problem = problem or path_problem(rest)
        if not problem and any(c <= 0x20 or c >= 0x7F or c == 0x23 for c in query):
            problem = "the query holds a character that must be percent-encoded"
        if problem:
            raise ApiError(400, problem, code="invalid_path", param="path")
        base = self.base.encode()
        inside = rest == base or rest.startswith(base + b"/")
        path = (rest if inside else base + rest) or b"/"
        return path + b"?" + query if query else path


def header_lines(
    preset: Preset, common: Mapping[bytes, bytes], key: str, override: Mapping[bytes, bytes]
) -> HeaderLines:
    """The static header lines of a call with `key`."""
    lines = dict(common)
    line = key_line(preset.auth, key)
    if line is not None:
        lines[line[0].encode()] = line[1].encode("latin-1")
    lines.update(override)
    return tuple(lines.items())
