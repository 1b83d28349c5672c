"""`oneapi user`: registered users and everybody's money."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict

from oneapi.cli.managing import (
    Opened,
    done,
    json_argument,
    opened,
    reload_running,
    stamp,
)
from oneapi.cli.password import ask
from oneapi.cli.place import config_argument, count, print_json, print_table
from oneapi.errors import UsageError
from oneapi.ledger.registered import NewPerson, PersonChange
from oneapi.people.passwords import hash_password

_OF_ONE = {
    "show": "show a user's facts, balance and book",
    "change": "change a registered user: group, e-mail, password",
    "disable": "switch a registered user and its tokens off",
    "enable": "switch it on again",
    "delete": "delete a registered user; its records stay without its name",
    "adopt": "let the file's user of that name have a registered one's book and tokens",
    "topup": "add money, to users of the file too",
    "correct": "add or take away money, with a reason",
    "invite": "show the code by which a user invites others",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="register a user")
    _facts(add)
    add.add_argument("--grant", help="what it begins with (default: its group's)")
    add.add_argument("--invited-by", default="", metavar="CODE", help="the code it came by")
    add.add_argument(
        "--with-history", action="store_true", help="go on as a user who once stood in the file"
    )
    trail = actions.add_parser("trail", help="list what was managed: who, from where, what")
    trail.add_argument("name", nargs="?", help="of this user alone")
    trail.add_argument("--limit", "-n", type=count, default=50, help="how many (default: 50)")
    json_argument(trail)
    shown = actions.add_parser("list", help="list registered users")
    json_argument(shown)
    for action, words in _OF_ONE.items():
        one = actions.add_parser(action, help=words)
        if action == "change":
            _facts(one)
            continue
        one.add_argument("name")
        if action == "show":
            json_argument(one)
        if action in ("topup", "correct"):
            _amount(one, action)
    for its in actions.choices.values():
        config_argument(its)


def _amount(parser: argparse.ArgumentParser, action: str) -> None:
    if action == "topup":
        parser.add_argument("amount", help="such as 5usd or 500000points")
    else:
        way = parser.add_mutually_exclusive_group(required=True)
        way.add_argument("--add", metavar="AMOUNT", help="such as 5usd or 500000points")
        way.add_argument("--take", metavar="AMOUNT", help="likewise")
    parser.add_argument("--reason", default="", required=action == "correct")
    parser.add_argument("--transaction", default="", help="its id: the same counts once")


def _facts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    parser.add_argument("--group", help="its group in the file (default: [auth] group)")
    parser.add_argument("--email", help='its address, "" for none')
    parser.add_argument("--display-name")
    parser.add_argument(
        "--password", action="store_true", help="ask for a password, or read it from stdin"
    )


def run(args: argparse.Namespace) -> int:
    actions: dict[str, Callable[[Opened, argparse.Namespace], None]] = {
        "add": _add,
        "list": _list,
        "show": _show,
        "change": _change,
        "disable": _switch,
        "enable": _switch,
        "delete": _delete,
        "adopt": _adopt,
        "topup": _top_up,
        "correct": _correct,
        "invite": _invite,
        "trail": _trail,
    }
    with opened(args.config) as desk:
        actions[args.action](desk, args)
    if args.action == "adopt":
        reload_running(args.config)  # the file may have been refused for this user's name
    return 0


def _add(desk: Opened, args: argparse.Namespace) -> None:
    wanted = NewPerson(
        args.name,
        args.group or desk.settings.auth.group,
        display_name=args.display_name or "",
        email=args.email,
        email_verified=bool(args.email),
        password=hash_password(ask()) if args.password else None,
    )
    grant = None if args.grant is None else desk.nanousd(args.grant)
    person = done(
        desk.people.add_user(
            desk.actor,
            wanted,
            grant_nanousd=grant,
            invitation=args.invited_by,
            with_history=args.with_history,
        )
    )
    print(f"added {person.name}, group {person.group}")


def _list(desk: Opened, args: argparse.Namespace) -> None:
    users = done(desk.people.users())
    if args.json:
        for user in users:
            print_json(asdict(user))
        return
    balances = done(desk.people.balances([user.name for user in users]))
    rows = (
        {
            "user": user.name,
            "group": user.group,
            "email": user.email,
            "left": desk.money(balance.left_nanousd),
            "since": stamp(user.created_ms),
            "state": "on" if user.enabled else "off",
        }
        for user, balance in zip(users, balances, strict=True)
    )
    headings = ("user", "group", "email", "left", "since", "state")
    print_table(rows, {name: name.upper() for name in headings})


def _show(desk: Opened, args: argparse.Namespace) -> None:
    balance = done(desk.people.balance(args.name))
    entries = done(desk.people.entries(args.name))
    declared = args.name in desk.settings.users
    facts = {} if declared else asdict(done(desk.people.user(args.name)))
    if args.json:
        money = asdict(balance) | {"left_nanousd": balance.left_nanousd}
        print_json({**facts, **money, "entries": [asdict(entry) for entry in entries]})
        return
    print(f"{args.name}: {'declared in the file' if declared else 'registered'}")
    for name in ("group", "role", "display_name", "email", "enabled", "invited_by"):
        if facts.get(name) not in (None, ""):
            print(f"{name.replace('_', ' ')}: {facts[name]}")
    print(f"quota of the file: {desk.money(balance.quota_nanousd, 'no limit')}")
    print(f"book: {desk.money(balance.entries_nanousd)}")
    print(f"spent: {desk.money(balance.spent_nanousd)}")
    print(f"left: {desk.money(balance.left_nanousd, 'no limit')}\n")
    rows = (
        {
            "when": stamp(entry.time_ms),
            "kind": entry.kind,
            "amount": desk.money(entry.amount_nanousd),
            "reason": entry.reason,
            "by": entry.actor or entry.origin,
        }
        for entry in entries
    )
    headings = ("when", "kind", "amount", "reason", "by")
    print_table(rows, {name: name.upper() for name in headings})


def _change(desk: Opened, args: argparse.Namespace) -> None:
    change = PersonChange()
    if args.group is not None:
        change["group"] = args.group
    if args.email is not None:
        change["email"] = args.email
        change["email_verified"] = bool(args.email)
    if args.display_name is not None:
        change["display_name"] = args.display_name
    if args.password:
        change["password"] = hash_password(ask())
    if not change:
        raise UsageError("nothing was to be changed: see `oneapi user change --help`")
    done(desk.people.update_user(desk.actor, args.name, change))
    print(f"changed {args.name}")


def _switch(desk: Opened, args: argparse.Namespace) -> None:
    change = PersonChange(enabled=args.action == "enable")
    done(desk.people.update_user(desk.actor, args.name, change))
    print(f"{args.action}d {args.name}")


def _delete(desk: Opened, args: argparse.Namespace) -> None:
    pseudonym = done(desk.people.delete_user(desk.actor, args.name))
    print(f"deleted {args.name}; its records stay as {pseudonym}")


def _adopt(desk: Opened, args: argparse.Namespace) -> None:
    done(desk.people.adopt_user(desk.actor, args.name))
    print(f"the file's user {args.name} has the book and the tokens of the registered one")


def _top_up(desk: Opened, args: argparse.Namespace) -> None:
    amount = desk.nanousd(args.amount)
    entry = desk.people.top_up(
        desk.actor, args.name, amount, reason=args.reason, transaction_id=args.transaction
    )
    done(entry)
    _tell_balance(desk, args.name)


def _correct(desk: Opened, args: argparse.Namespace) -> None:
    taken = args.take is not None
    amount = desk.nanousd(args.take if taken else args.add)
    if amount < 0:
        raise UsageError("--add and --take say which way it goes: give the amount without a sign")
    entry = desk.people.correct(
        desk.actor,
        args.name,
        -amount if taken else amount,
        reason=args.reason,
        transaction_id=args.transaction,
    )
    done(entry)
    _tell_balance(desk, args.name)


def _tell_balance(desk: Opened, name: str) -> None:
    left = done(desk.people.balance(name)).left_nanousd
    print(f"{name}: {desk.money(left, 'no limit')} left")


def _invite(desk: Opened, args: argparse.Namespace) -> None:
    print(done(desk.people.invitation_code(args.name)))


def _trail(desk: Opened, args: argparse.Namespace) -> None:
    steps = done(desk.people.trail(user=args.name, limit=args.limit))
    if args.json:
        for step in steps:
            print_json(asdict(step))
        return
    rows = (
        {
            "when": stamp(step.time_ms),
            "by": step.actor or step.origin,
            "what": step.action,
            "whom": step.user,
            "on": step.subject,
            "facts": ", ".join(f"{key} {value}" for key, value in step.after.items()),
        }
        for step in steps
    )
    headings = ("when", "by", "what", "whom", "on", "facts")
    print_table(rows, {name: name.upper() for name in headings})
