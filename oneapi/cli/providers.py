"""`oneapi providers [NAME]`: what the catalog knows: formats, addresses, sign-in, models."""

from __future__ import annotations

import argparse

from oneapi.cli.place import print_json, print_table
from oneapi.config.findings import did_you_mean
from oneapi.errors import UsageError
from oneapi.providers.catalog import given_variables, load_catalog
from oneapi.providers.facts import ModelFacts, all_facts
from oneapi.providers.operations import ALL, OPTIONS
from oneapi.providers.preset import Preset
from oneapi.providers.targets import offered

COLUMNS = {
    "name": "NAME",
    "title": "PROVIDER",
    "dialects": "DIALECTS",
    "sign_in": "SIGN-IN",
    "needs": "NEEDS",
    "base_url": "ADDRESS",
}
MODEL_COLUMNS = {
    "models": "MODELS",
    "context": "CONTEXT",
    "max_output": "OUTPUT",
    "inputs": "READS",
    "outputs": "WRITES",
    "abilities": "ABILITIES",
}
SIGN_IN = {
    "bearer": "Authorization: Bearer KEY",
    "plain": "Authorization: KEY",
    "none": "none",
    "google": "a service account's JSON, metadata, or an API key",
    "aws": "ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN], an API key, or AWS_… variables",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="one of them, with all its facts")
    parser.add_argument("--models", action="store_true", help="what is known of public models")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    if args.models:
        return _show([_model(facts) for facts in all_facts()], MODEL_COLUMNS, as_json=args.json)
    catalog = load_catalog()
    if args.name is None:
        rows = [_row(preset) for preset in catalog.values()]
        return _show(rows, COLUMNS, as_json=args.json)
    if args.name not in catalog:
        hint = did_you_mean(args.name, catalog)
        raise UsageError(f"there is no provider {args.name}" + (f"; {hint}" if hint else ""))
    details = _details(catalog[args.name])
    if args.json:
        print_json(details)
    else:
        _print_details(details)
    return 0


def _show(rows: list[dict[str, object]], columns: dict[str, str], *, as_json: bool) -> int:
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_table([{k: _text(v) for k, v in row.items()} for row in rows], columns)
    return 0


def _row(preset: Preset) -> dict[str, object]:
    return {
        "name": preset.name,
        "title": preset.title,
        "dialects": list(preset.dialects),
        "sign_in": preset.auth,
        "needs": _needs(preset),
        "base_url": preset.base_url,
    }


def _needs(preset: Preset) -> list[str]:
    """The keys that a channel of this type must have."""
    needed = ["keys"] if preset.needs_key else []
    if not preset.base_url:
        needed.append("base_url")
    variables = (v for v in given_variables(preset) if v not in preset.defaults)
    return needed + [f"vars.{v}" for v in variables]


def _details(preset: Preset) -> dict[str, object]:
    kind, _, name = preset.auth.partition(":")
    words = {"header": f"{name}: KEY", "scheme": f"Authorization: {name} KEY"}
    paths = {o: preset.paths.get(o, ALL[o]) for o in sorted(offered(preset, preset.dialects))}
    options = {d: sorted(OPTIONS[d]) for d in preset.dialects if OPTIONS[d]}
    return {
        **_row(preset),
        "sign_in": words.get(kind) or SIGN_IN[kind],
        "may_have": [f"vars.{v}" for v in given_variables(preset) if v in preset.defaults],
        "api_version": preset.api_version,
        "local": preset.local,
        "lists_models": preset.discover,
        "models": list(preset.models),
        "dialects_by_model": {r.models: list(r.dialects) for r in preset.model_dialects},
        "paths": paths,
        "options": options,
    }


def _model(facts: ModelFacts) -> dict[str, object]:
    return {
        "models": facts.pattern,
        "context": facts.context or None,
        "max_output": facts.max_output or None,
        "inputs": list(facts.inputs),
        "outputs": list(facts.outputs),
        "abilities": list(facts.abilities),
        "source": facts.source,
        "date": facts.date,
    }


def _print_details(details: dict[str, object]) -> None:
    for name, value in details.items():
        if value in ("", [], {}):
            continue
        label = name.replace("_", " ")
        if isinstance(value, dict):
            print(f"{label}:")
            for key, item in value.items():
                print(f"  {key:<24} {_text(item)}")
        else:
            print(f"{label + ':':<26} {_text(value)}")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
