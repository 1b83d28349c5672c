"""`oneapi token new NAME`: a new API key, printed once, and the TOML to paste for it."""

from __future__ import annotations

import argparse
import sys

from oneapi.cli.place import config_argument, loaded_offline
from oneapi.config.fragments import token_lines
from oneapi.config.keys import key_hash, new_api_key
from oneapi.config.schema import Settings
from oneapi.errors import ConfigError, UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["new"])
    parser.add_argument("name", help="the token's name in the file")
    parser.add_argument("--user", help="whose it is (default: the only user, or a placeholder)")
    parser.add_argument(
        "--policy", help="what it may do (default: the only policy, or a placeholder)"
    )
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
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
        "\nThe key is shown this once. To let it in, paste into the configuration:\n",
        file=sys.stderr,
    )
    print(token_lines(args.name, user=user, policy=policy, key_hash=key_hash(key)), end="")
    return 0


def _policy(settings: Settings, user: str) -> str:
    """What the user's group may issue, or the only policy there is."""
    entry = settings.users.get(user)
    group = settings.groups.get(entry.group) if entry else None
    if group and group.may_issue:
        return group.may_issue[0]
    return _only(list(settings.policies), "POLICY")


def _only(names: list[str], placeholder: str) -> str:
    return names[0] if len(names) == 1 else placeholder
