"""The file → `Loaded`: read, resolved, overridden, validated, checked; or every error at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from glob import has_magic
from pathlib import Path
from typing import Any

from oneapi.config.commands import Commands
from oneapi.config.documents import Documents, included, read_documents
from oneapi.config.environ import Environment, read_environment
from oneapi.config.facts import TypeFacts
from oneapi.config.findings import Finding
from oneapi.config.layers import Layers, join
from oneapi.config.locate import dotted
from oneapi.config.references import check, without_empty_channels
from oneapi.config.resolve import Resolver
from oneapi.config.revision import masked, revision
from oneapi.config.schema import Settings
from oneapi.config.validate import validate
from oneapi.errors import ConfigError, Problem


@dataclass(frozen=True)
class Sources:
    """The files a configuration depends on. `patterns` are its includes, absolute."""

    path: Path
    patterns: tuple[str, ...]
    others: tuple[Path, ...]  # `.env` and what `file:` names

    def watched(self) -> list[Path]:
        """Files and folders whose change may change the configuration: the includes as of now."""
        folders = [_fixed_part(pattern) for pattern in self.patterns]
        return [self.path, *self.others, *included(self.patterns), *folders]


@dataclass
class LoadError(ConfigError):
    """A configuration that does not load, and what to watch until it does."""

    sources: Sources | None = None


@dataclass(frozen=True)
class Loaded:
    """A configuration that loads. `problems` are its warnings, in the order of their places.

    `settings` has the group `default` in any case, and neither the channels of `dropped_channels`
    (whose keys are all empty) nor routes to them: a model may be left with no route.
    """

    settings: Settings
    path: Path
    revision: str
    problems: tuple[Problem, ...]
    dropped_channels: tuple[str, ...]
    sources: Sources
    environ: Mapping[str, str] = field(repr=False)  # with what `.env` adds
    documents: Documents = field(repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file it was made from, `.env` included whether it exists or not."""
        return (*(part.path for part in self.documents.parts), *self.sources.others)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders of those files and of the includes' patterns."""
        found = [p if p.is_dir() else p.parent for p in self.sources.watched()]
        return tuple(dict.fromkeys(found))

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """Each file's text with its secrets masked, for the store."""
        return {str(part.path): masked(part) for part in self.documents.parts}

    def beside(self, name: str) -> Path:
        """A path of the file: relative ones start where the file is."""
        return self.path.parent / Path(name).expanduser()


def load(
    path: Path,
    *,
    types: Mapping[str, TypeFacts],
    environ: Mapping[str, str],
    flags: Mapping[str, Any] | None = None,
    secrets: bool = True,
    commands: Commands | None = None,
    fingerprint_key: bytes = b"",
) -> Loaded:
    """The configuration at `path`. Blocking: file reads and `cmd:` programs (10 s each).

    `flags` maps dotted keys to values, None where a flag was not given. `secrets` False runs no
    command, reads no `file:` and lets a placeholder stand for secrets that the environment lacks.
    `commands` keeps what programs printed, over loads. Raises `LoadError` with all problems.
    """
    path = path.absolute()
    environment = read_environment(path.parent, environ)
    documents = read_documents(path)
    resolver = Resolver(documents, environment.values, commands or Commands(), secrets)
    layers = join(resolver.tree(documents.joined()), environ=environment.values, flags=flags or {})
    settings, findings = validate(layers.tree)
    findings += _still_there(resolver.findings, layers)
    if documents.complete:
        findings += _new(check(settings, layers.tree, types), findings)
    settings, dropped, warnings = without_empty_channels(settings)
    problems = [
        *environment.problems,
        *documents.problems,
        *_placed(findings + warnings, documents, layers),
    ]
    problems += [_of_variable(name, finding) for name, finding in layers.findings]
    problems = _in_order(problems)
    sources = _sources(path, documents, environment, resolver)
    errors = [p for p in problems if p.severity == "error"]
    if errors:
        raise LoadError(errors, sources)
    return Loaded(
        settings=settings,
        path=path,
        revision=revision(settings, fingerprint_key, _addresses(settings, types, environment)),
        problems=tuple(problems),
        dropped_channels=dropped,
        sources=sources,
        environ=environment.values,
        documents=documents,
    )


def _addresses(
    settings: Settings, types: Mapping[str, TypeFacts], environment: Environment
) -> dict[str, str]:
    """Variables beyond the file that say where a channel is: a new value is a new configuration."""
    names = {types[c.type].host_env for c in settings.channels.values() if c.type in types}
    return {n: environment.values[n] for n in sorted(names) if n in environment.values}


def _sources(
    path: Path, documents: Documents, environment: Environment, resolver: Resolver
) -> Sources:
    others = tuple(dict.fromkeys([environment.file, *resolver.files]))
    return Sources(path, documents.patterns, others)


def _still_there(findings: Sequence[Finding], layers: Layers) -> list[Finding]:
    """What resolving the file found, without what the environment or a flag overrides."""
    return [f for f in findings if layers.giver(f.path) is None]


def _new(found: Iterable[Finding], known: Sequence[Finding]) -> list[Finding]:
    """What is wrong between entries, where no key concerned is wrong in itself already."""
    wrong = {f.path[:length] for f in known for length in range(3, len(f.path) + 1)}
    whole = {f.path for f in known}
    return [
        f
        for f in found
        if f.path not in wrong and not any(f.path[:n] in whole for n in range(1, len(f.path) + 1))
    ]


def _placed(findings: Sequence[Finding], documents: Documents, layers: Layers) -> list[Problem]:
    placed: dict[tuple[object, ...], Problem] = {}
    for finding in findings:
        giver = layers.giver(finding.path)
        if giver is None:
            problem = documents.problem(finding)
        elif finding.path[0] in Settings.model_fields:
            problem = _of_variable(giver, finding)
        else:
            continue  # told by the layers already
        placed.setdefault((finding.path, finding.message), problem)
    return list(placed.values())


def _of_variable(name: str, finding: Finding) -> Problem:
    """A finding about a value that a variable or a flag gave: it has no line."""
    key = dotted(finding.path)
    return Problem(
        finding.message, file=name, key=key, hint=finding.hint, severity=finding.severity
    )


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    """File by file, as they came up; within one by line and column."""
    files = list(dict.fromkeys(p.file for p in problems))
    return sorted(problems, key=lambda p: (files.index(p.file), p.line, p.column))


def _fixed_part(pattern: str) -> Path:
    """The deepest folder of a pattern that has no wildcard."""
    folder = Path(pattern).parent
    while has_magic(str(folder)):
        folder = folder.parent
    return folder
