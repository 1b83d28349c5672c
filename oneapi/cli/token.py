"""`oneapi token`: keys of the file (`new` prints lines to paste) and keys that users issue at run
time, kept in the store.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict

from oneapi.cli.managing import (
    Opened,
    done,
    json_argument,
    listed,
    moment_ms,
    opened,
    seconds,
    stamp,
)
from oneapi.cli.place import config_argument, loaded_offline, print_json, print_table
from oneapi.config.fragments import token_lines
from oneapi.config.keys import key_hash, new_api_key
from oneapi.config.schema import Settings
from oneapi.errors import ConfigError, UsageError
from oneapi.gateway.people_tokens import OVERLAP_S, Secret, TermsChange
from oneapi.ledger.issued import IssuedToken, Terms

SHOWN_ONCE = "The key is shown this once."


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("new", help="make a key for the file: prints the lines to paste")
    new.add_argument("name", help="the token's name in the file")
    new.add_argument("--user", help="whose it is (default: the only user, or a placeholder)")
    new.add_argument("--policy", help="what it may do (default: the only policy, or a placeholder)")
    issue = actions.add_parser("issue", help="issue a token in the store: it works at once")
    issue.add_argument("name", help="its name among the user's")
    issue.add_argument("--policy", help="what it may do (default: the first that may be issued)")
    _terms(issue)
    change = actions.add_parser("change", help="change what an issued token may do")
    change.add_argument("name")
    change.add_argument("--policy", help="another policy")
    _terms(change)
    rotate = actions.add_parser("rotate", help="give an issued token another key")
    rotate.add_argument("name")
    rotate.add_argument(
        "--overlap",
        default=f"{OVERLAP_S // 3600}h",
        help="how long the old key still works (default: %(default)s; 0: not at all)",
    )
    for action, words in _SWITCHES.items():
        actions.add_parser(action, help=words).add_argument("name")
    shown = actions.add_parser("list", help="list issued tokens")
    shown.add_argument("--all", action="store_true", help="revoked ones too")
    json_argument(shown)
    for action, its in actions.choices.items():
        if action != "new":
            its.add_argument("--user", help="whose it is (default: the only user)")
        config_argument(its)


_SWITCHES = {
    "disable": "switch an issued token off",
    "enable": "switch it on again",
    "revoke": "end it for good",
}


def _terms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", help="comma list of names and globs within the policy's; * all")
    parser.add_argument("--subnets", help="comma list of networks it may call from; any for all")
    parser.add_argument("--quota", help="what it may spend in all, such as 5usd; none for no limit")
    parser.add_argument("--expires", help="a date, or a span such as 30d; never")


def run(args: argparse.Namespace) -> int:
    if args.action == "new":
        return _new(args)
    with opened(args.config) as desk:
        actions: dict[str, Callable[[Opened, argparse.Namespace], None]] = {
            "issue": _issue,
            "change": _change,
            "rotate": _rotate,
            "list": _list,
        }
        actions.get(args.action, _switch)(desk, args)
    return 0


def _new(args: argparse.Namespace) -> int:
    user, policy = args.user, args.policy
    if user is None or policy is None:
        try:
            settings = loaded_offline(args.config).settings
            user = user or _only(list(settings.users), "USER")
            policy = policy or _policy(settings, user)
        except (UsageError, ConfigError):
            user, policy = user or "USER", policy or "POLICY"
    key = new_api_key()
    print(key)
    print(
        f"\n{SHOWN_ONCE} To let it in, paste into the configuration:\n",
        file=sys.stderr,
    )
    print(token_lines(args.name, user=user, policy=policy, key_hash=key_hash(key)), end="")
    return 0


def _issue(desk: Opened, args: argparse.Namespace) -> None:
    user = _user(desk, args)
    policy = args.policy or next(iter(done(desk.people.may_issue(user))), "")
    if not policy:
        group = f"the group of {user}"
        raise UsageError(f"{group} may issue no tokens: add policies to its may_issue")
    change = _changes(desk, args)
    terms = Terms(
        policy,
        change.get("models"),
        change.get("subnets", ()),
        change.get("quota_nanousd"),
        change.get("expires_ms", 0),
    )
    _tell(done(desk.people.issue_token(desk.actor, user, args.name, terms)))


def _change(desk: Opened, args: argparse.Namespace) -> None:
    change = _changes(desk, args)
    if args.policy:
        change["policy"] = args.policy
    if not change:
        raise UsageError("nothing was to be changed: see `oneapi token change --help`")
    user = _user(desk, args)
    token = done(desk.people.change_token(desk.actor, user, args.name, change))
    print(f"changed {token.account}")


def _rotate(desk: Opened, args: argparse.Namespace) -> None:
    overlap = seconds(args.overlap)
    rotated = desk.people.rotate_token(desk.actor, _user(desk, args), args.name, overlap_s=overlap)
    _tell(done(rotated))
    print(f"The old key works for {args.overlap} more." if overlap else "", file=sys.stderr)


def _switch(desk: Opened, args: argparse.Namespace) -> None:
    user = _user(desk, args)
    if args.action == "revoke":
        done(desk.people.revoke_token(desk.actor, user, args.name))
    else:
        change = TermsChange(enabled=args.action == "enable")
        done(desk.people.change_token(desk.actor, user, args.name, change))
    print(f"{args.action}d {user}/{args.name}")


def _list(desk: Opened, args: argparse.Namespace) -> None:
    tokens = [t for t in done(desk.people.tokens(args.user)) if args.all or not t.revoked_ms]
    spent = done(desk.people.spent_by(tokens))
    if args.json:
        for token in tokens:
            keys = [asdict(key) | {"hash": None} for key in token.keys]
            print_json(asdict(token) | {"keys": keys, "spent_nanousd": spent[token.account]})
        return
    headings = ("token", "key", "policy", "models", "spent", "quota", "expires", "state")
    rows = (_row(desk, token, spent[token.account]) for token in tokens)
    print_table(rows, {name: name.upper() for name in headings})


def _row(desk: Opened, token: IssuedToken, spent: int) -> dict[str, object]:
    terms = token.terms
    state = "revoked" if token.revoked_ms else "on" if token.enabled else "off"
    return {
        "token": token.account,
        "key": f"…{token.hint}" if token.hint else "",
        "policy": terms.policy,
        "models": ", ".join(terms.models) if terms.models is not None else "*",
        "spent": desk.money(spent),
        "quota": desk.money(terms.quota_nanousd, "none"),
        "expires": stamp(terms.expires_ms, "never"),
        "state": state,
    }


def _changes(desk: Opened, args: argparse.Namespace) -> TermsChange:
    """What the options name."""
    change = TermsChange()
    if args.models is not None:
        change["models"] = None if args.models == "*" else listed(args.models)
    if args.subnets is not None:
        change["subnets"] = () if args.subnets == "any" else listed(args.subnets)
    if args.quota is not None:
        change["quota_nanousd"] = None if args.quota == "none" else desk.nanousd(args.quota)
    if args.expires is not None:
        change["expires_ms"] = moment_ms(args.expires)
    return change


def _tell(secret: Secret) -> None:
    print(secret.key)
    print(f"\n{SHOWN_ONCE} It is {secret.token.account}, and it works at once.", file=sys.stderr)


def _user(desk: Opened, args: argparse.Namespace) -> str:
    """Whose token is meant. Raises `UsageError` where that must be said."""
    if args.user:
        return str(args.user)
    names = [*desk.settings.users, *(p.name for p in done(desk.people.users()))]
    if len(names) != 1:
        raise UsageError("say whose token it is: --user NAME")
    return names[0]


def _policy(settings: Settings, user: str) -> str:
    """What the user's group may issue, or the only policy there is."""
    entry = settings.users.get(user)
    group = settings.groups.get(entry.group) if entry else None
    if group and group.may_issue:
        return group.may_issue[0]
    return _only(list(settings.policies), "POLICY")


def _only(names: list[str], placeholder: str) -> str:
    return names[0] if len(names) == 1 else placeholder
