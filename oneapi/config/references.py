"""What no entry can know alone: names that lead nowhere or stand twice, routes nobody reaches."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from oneapi.config.facts import TypeFacts
from oneapi.config.findings import Finding, did_you_mean
from oneapi.config.locate import KeyPath
from oneapi.config.schema import Channel, Group, Model, Settings, Token

DEFAULT_GROUP = "default"
_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WITH_WAS = ("channels", "models", "groups", "users", "policies", "tokens")


def check(
    settings: Settings, tree: Mapping[str, Any], types: Mapping[str, TypeFacts]
) -> Iterator[Finding]:
    """Everything wrong between entries. `tree` has the names of those that are wrong themselves."""
    declared = {name: _names(tree, name) for name in Settings.model_fields}
    declared["groups"] = {*declared["groups"], DEFAULT_GROUP}
    yield from _server(settings, declared, types)
    for name, channel in settings.channels.items():
        yield from _channel(name, channel, types)
        yield from _dangling(channel.groups, ("channels", name, "groups"), declared, "groups")
    for name, model in settings.models.items():
        yield from _model(name, model, settings, declared)
    for name, group in settings.groups.items():
        yield from _dangling(group.may_issue, ("groups", name, "may_issue"), declared, "policies")
    yield from _signing_up(settings, declared)
    for name, user in settings.users.items():
        yield from _dangling([user.group], ("users", name, "group"), declared, "groups")
    for name, policy in settings.policies.items():
        literal = [p if not _is_glob(p) else "" for p in policy.channels]
        yield from _dangling(literal, ("policies", name, "channels"), declared, "channels")
    yield from _tokens(settings.tokens, declared)
    yield from _former_names(settings)


def without_empty_channels(settings: Settings) -> tuple[Settings, tuple[str, ...], list[Finding]]:
    """The settings without the channels whose keys are all empty (`${VAR:-}`) and routes to them.

    Keys that are empty beside others go too. The group `default` is there in any case.
    """
    dropped = tuple(
        name for name, c in settings.channels.items() if c.keys and not any(k.key for k in c.keys)
    )
    findings = [
        Finding(
            ("channels", name, "keys"),
            "all its keys are empty: the channel is left out",
            "set the variable that holds its key",
            severity="warning",
        )
        for name in dropped
    ]
    channels = {
        name: c.model_copy(update={"keys": [k for k in c.keys if k.key]}) if c.keys else c
        for name, c in settings.channels.items()
        if name not in dropped
    }
    models = settings.models
    if dropped:
        models = {name: _without(name, m, dropped, findings) for name, m in models.items()}
    groups = {DEFAULT_GROUP: Group(), **settings.groups}
    update = {"channels": channels, "models": models, "groups": groups}
    return settings.model_copy(update=update), dropped, findings


def _without(name: str, model: Model, dropped: Collection[str], findings: list[Finding]) -> Model:
    for index, route in enumerate(model.routes):
        if route.channel in dropped:
            words = f"the channel {route.channel} is left out: the route is skipped"
            path = ("models", name, "routes", index, "channel")
            findings.append(Finding(path, words, severity="warning"))
    routes = [r for r in model.routes if r.channel not in dropped]
    return model.model_copy(update={"routes": routes})


def _names(tree: Mapping[str, Any], table: str) -> set[str]:
    value = tree.get(table)
    return set(value) if isinstance(value, dict) else set()


def _is_glob(pattern: str) -> bool:
    return any(c in pattern for c in "*?[")


def _dangling(
    names: Sequence[str],
    path: KeyPath,
    declared: Mapping[str, Collection[str]],
    table: str,
) -> Iterator[Finding]:
    """A finding for each of `names` that `table` does not hold. A list's items have an index."""
    listed = path[-1] not in ("group", "user", "policy", "channel", "anonymous")
    singular = {"policies": "policy"}.get(table, table[:-1])
    for index, name in enumerate(names):
        if name == "" or name in declared[table]:
            continue
        where: KeyPath = (*path, index) if listed else path
        hint = did_you_mean(name, declared[table], "there are") or f"add [{table}.{name}]"
        yield Finding(where, f"there is no {singular} '{name}'", hint)


def _server(
    settings: Settings, declared: Mapping[str, Collection[str]], types: Mapping[str, TypeFacts]
) -> Iterator[Finding]:
    server = settings.server
    if server.anonymous is None:
        return
    path = ("server", "anonymous")
    yield from _dangling([server.anonymous], path, declared, "policies")
    if server.trusted_proxies:
        words = "keyless calls are refused behind a proxy: they come from this machine alone"
        hint = "with trusted_proxies, give every program a key"
        yield Finding(path, words, hint, severity="warning")
    if not _is_loopback(server.host):
        words = f"keyless calls are refused while the server listens on {server.host}"
        hint = 'listen on "127.0.0.1", or give every program a key'
        yield Finding(path, words, hint, severity="warning")
    policy = settings.policies.get(server.anonymous)
    for name, channel in settings.channels.items() if policy else ():
        facts = types.get(channel.type)
        nearby = facts is None or facts.local or _is_loopback(_host(channel.base_url))
        remote = channel.enabled and not nearby
        if policy and remote and any(fnmatchcase(name, p) for p in policy.channels):
            words = f"programs without a key may use the channel {name}, which is not local"
            hint = f"name the local channels in policies.{server.anonymous}.channels"
            yield Finding(path, words, hint, severity="warning")


def _host(base_url: str | None) -> str:
    return urlsplit(base_url).hostname or "" if base_url else ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _signing_up(settings: Settings, declared: Mapping[str, Collection[str]]) -> Iterator[Finding]:
    auth = settings.auth
    yield from _dangling([auth.group], ("auth", "group"), declared, "groups")
    group = settings.groups.get(auth.group)
    rewards = (auth.invitations.inviter, auth.invitations.invited)
    if auth.invitations.after_use and any(rewards) and (group is None or group.grant is None):
        words = "nobody who is invited can make a first request: their group has no grant"
        hint = f"give groups.{auth.group} a grant, or pay at once"
        yield Finding(("auth", "invitations", "after_use"), words, hint, severity="warning")


def _channel(name: str, channel: Channel, types: Mapping[str, TypeFacts]) -> Iterator[Finding]:
    path = ("channels", name)
    facts = types.get(channel.type)
    if facts is None:
        hint = did_you_mean(channel.type, types) or "the README lists them"
        yield Finding((*path, "type"), f"there is no type '{channel.type}'", hint)
        return
    if facts.needs_base_url and channel.base_url is None:
        yield Finding(
            (*path, "base_url"), f"is missing: type '{facts.name}' has no address of its own"
        )
    if facts.needs_key and not channel.keys:
        yield Finding((*path, "keys"), f"is missing: type '{facts.name}' needs a key")
    yield from _variables(name, channel, facts)
    yield from _dialects(name, channel, facts)
    if channel.mock is not None and not facts.scripted:
        words = f"type '{facts.name}' takes no mock options"
        yield Finding((*path, "mock"), words, at="key")
    clash = set(channel.set) & set(channel.drop)
    for field in sorted(clash):
        words = f"the field '{field}' is set and dropped at once"
        yield Finding((*path, "drop", channel.drop.index(field)), words)


def _variables(name: str, channel: Channel, facts: TypeFacts) -> Iterator[Finding]:
    wanted, optional = set(facts.variables), set(facts.optional)
    if channel.base_url is not None:
        wanted = set(_VARIABLE.findall(channel.base_url)) - {"api_version"}
        bare = not urlsplit(channel.base_url).path.strip("/")
        optional = {*facts.signing, *((*facts.variables, *facts.optional) if bare else ())}
    for variable in sorted(wanted - set(channel.vars)):
        words = f"is missing: the address of type '{facts.name}' needs it"
        yield Finding(("channels", name, "vars", variable), words)
    for variable in channel.vars:
        if variable not in wanted | optional:
            words = f"the address of type '{facts.name}' has no such placeholder"
            hint = did_you_mean(variable, wanted | optional, "it has")
            yield Finding(("channels", name, "vars", variable), words, hint, at="key")


_OF_DIALECTS: Mapping[str, str] = {
    "safety": "gemini",
    "num_ctx": "ollama",
    "keep_alive": "ollama",
}
"""Keys that act in one dialect's requests alone."""


def _dialects(name: str, channel: Channel, facts: TypeFacts) -> Iterator[Finding]:
    path = ("channels", name)
    for index, dialect in enumerate(channel.dialects or ()):
        if dialect not in facts.known_dialects:
            hint = did_you_mean(dialect, facts.known_dialects, "there are")
            yield Finding((*path, "dialects", index), f"there is no dialect '{dialect}'", hint)
        elif dialect in (channel.dialects or ())[:index]:
            yield Finding((*path, "dialects", index), f"the dialect '{dialect}' stands twice")
    spoken = facts.dialects if channel.dialects is None else channel.dialects
    for key, dialect in _OF_DIALECTS.items():
        if getattr(channel, key) and dialect not in spoken:
            words = f"acts in the dialect '{dialect}' alone, which this channel does not speak"
            yield Finding((*path, key), words, at="key")
    known = {option for dialect in spoken for option in facts.options.get(dialect, ())}
    for option in channel.options:
        if option not in known:
            words = "no dialect of this channel has such an option"
            hint = did_you_mean(option, known, "they have")
            yield Finding((*path, "options", option), words, hint, at="key")


def _model(
    name: str, model: Model, settings: Settings, declared: Mapping[str, Collection[str]]
) -> Iterator[Finding]:
    path = ("models", name)
    yield from _dangling(model.groups, (*path, "groups"), declared, "groups")
    seen: dict[tuple[str, str], int] = {}
    usable = False
    for index, route in enumerate(model.routes):
        where = (*path, "routes", index)
        target = (route.channel, route.model or name)
        first = seen.setdefault(target, index)
        if first != index:
            words = f"is the same as route {first}: {target[1]} at {route.channel}"
            yield Finding(where, words, "give one of them the sum of the weights")
        if route.channel not in declared["channels"]:
            hint = did_you_mean(route.channel, declared["channels"], "there are")
            words = f"there is no channel '{route.channel}'"
            yield Finding((*where, "channel"), words, hint or f"add [channels.{route.channel}]")
        channel = settings.channels.get(route.channel)
        usable = usable or channel is None or channel.enabled
        if (
            channel
            and channel.groups
            and model.groups
            and not set(channel.groups) & set(model.groups)
        ):
            words = f"no group can reach it: {route.channel} is for {', '.join(channel.groups)}"
            yield Finding(where, words, f"the model is for {', '.join(model.groups)}")
    if model.enabled and not usable:
        words = "every channel of its routes is disabled"
        yield Finding(path, words, severity="warning")


def _tokens(
    tokens: Mapping[str, Token], declared: Mapping[str, Collection[str]]
) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for name, token in tokens.items():
        path = ("tokens", name)
        yield from _dangling([token.user], (*path, "user"), declared, "users")
        yield from _dangling([token.policy], (*path, "policy"), declared, "policies")
        given: list[tuple[tuple[str | int, ...], str]] = [
            (("keys", index), item.key) for index, item in enumerate(token.keys)
        ]
        if token.key is not None:
            given.insert(0, (("key",), token.key))
        if not given:
            yield Finding((*path, "key"), "is missing", "`oneapi token new` makes one")
        for where, key in given:
            if key in owners:
                yield Finding((*path, *where), f"the token {owners[key]} has this key already")
            owners.setdefault(key, name)


def _former_names(settings: Settings) -> Iterator[Finding]:
    for table in _WITH_WAS:
        entries: Mapping[str, Any] = getattr(settings, table)
        claimed: dict[str, str] = {}
        for name, entry in entries.items():
            if entry.was is None:
                continue
            path = (table, name, "was")
            if entry.was in entries:
                words = f"{table}.{entry.was} still exists, so its history stays there"
                yield Finding(path, words, "take one of the two out")
            first = claimed.setdefault(entry.was, name)
            if first != name:
                yield Finding(path, f"{table}.{first} has taken the history of {entry.was} already")
