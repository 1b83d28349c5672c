"""What an operator reads when the configuration is wrong: every message in full."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Refused = Callable[..., list[str]]

HASH = "sha256:" + "0" * 64
CLOUD = '[channels.a]\ntype = "cloud"\nkeys = ["k"]\n'

WRONG: dict[str, tuple[str, str]] = {
    "not TOML": (
        "[server]\nport == 1\n",
        "oneapi.toml:2:7: not TOML: Invalid value",
    ),
    "a table twice": (
        CLOUD + '[channels.a]\ntype = "cloud"\n',
        "oneapi.toml:4:12: not TOML: Cannot declare ('channels', 'a') twice",
    ),
    "a key twice": (
        "[server]\nport = 1\nport = 2\n",
        "oneapi.toml:3:9: not TOML: Cannot overwrite a value",
    ),
    "an unknown table": (
        "[chanels.a]\n",
        "oneapi.toml:1:1: chanels: unknown table (did you mean 'channels'?)",
    ),
    "an unknown key": (
        "[server]\nprot = 3000\n",
        "oneapi.toml:2:1: server.prot: unknown key (did you mean 'port'?)",
    ),
    "an unknown key like no other": (
        '[models.m]\nroutes = [{ channel = "a", quux = 1 }]\n' + CLOUD,
        "oneapi.toml:2:28: models.m.routes[0].quux: unknown key"
        " (known here: channel, model, priority, weight)",
    ),
    "a single key": (
        CLOUD + 'key = "k"\n',
        "oneapi.toml:4:1: channels.a.key: unknown key (did you mean 'keys'?)",
    ),
    "a key that is not built yet": (
        "[server]\nworkers = 4\n",
        "oneapi.toml:2:1: server.workers: this version does not do several worker processes yet"
        " (it refuses the key rather than ignoring it)",
    ),
    "a table that is not built yet": (
        '[auth.github]\nid = "x"\n',
        "oneapi.toml:1:1: auth.github: this version does not do sign-in by GitHub yet"
        " (it refuses the key rather than ignoring it)",
    ),
    "a required key left out": (
        "[tokens.t]\npolicy = 'p'\nkey = '" + HASH + "'\n[policies.p]\n",
        "oneapi.toml:1:1: tokens.t.user: is missing (who pays)",
    ),
    "text for a number": (
        '[server]\nport = "http"\n',
        'oneapi.toml:2:8: server.port: must be a whole number, not "http"',
    ),
    "a number for text": (
        "[server]\nhost = 127\n",
        "oneapi.toml:2:8: server.host: must be text, not 127",
    ),
    "a number for a list": (
        CLOUD + "models = 5\n",
        "oneapi.toml:4:10: channels.a.models: must be a list, not 5",
    ),
    "a value for a table": (
        "server = 3000\n",
        "oneapi.toml:1:10: server: must be a table",
    ),
    "a value for a table of tables": (
        "channels = 3000\n",
        "oneapi.toml:1:12: channels: must be a table",
    ),
    "a port too high": (
        "[server]\nport = 70000\n",
        "oneapi.toml:2:8: server.port: must be at most 65535",
    ),
    "a negative weight": (
        CLOUD + "weight = -1\n",
        "oneapi.toml:4:10: channels.a.weight: must be at least 0",
    ),
    "a choice that is none": (
        '[logs]\nlevel = "warn"\n',
        'oneapi.toml:2:9: logs.level: must be "debug", "info", "warning" or "error"'
        " (did you mean 'warning'?)",
    ),
    "a size that is none": (
        '[server]\nmax_body = "64 megs"\n',
        "oneapi.toml:2:12: server.max_body:"
        ' must be a size: a number of bytes, or text such as "64MB" or "64MiB"',
    ),
    "a date that is none": (
        '[policies.p]\nexpires = "soon"\n',
        "oneapi.toml:2:11: policies.p.expires:"
        " must be a date such as 2027-01-01, or a date with a time",
    ),
    "a network that is none": (
        '[policies.p]\nsubnets = ["10.0.0.0/8", "10.0.0.0/33"]\n',
        "oneapi.toml:2:26: policies.p.subnets[1]:"
        ' must be an address or a network such as "10.0.0.0/8"',
    ),
    "an address that is none": (
        CLOUD + 'base_url = "api.example.com"\n',
        'oneapi.toml:4:12: channels.a.base_url: must be an address such as "https://api.example.com/v1"',
    ),
    "a proxy of another kind": (
        '[server]\nproxy = "ftp://user:secret@host"\n',
        "oneapi.toml:2:9: server.proxy:"
        ' must be an address such as "http://host:3128" or "socks5://host:1080"',
    ),
    "a date among request fields": (
        CLOUD + "set = { when = 2027-01-01 }\n",
        "oneapi.toml:4:16: channels.a.set.when:"
        " must be text, a number, true, false, a list or a table",
    ),
    "a header's name": (
        CLOUD + 'headers = { "x y" = "z" }\n',
        'oneapi.toml:4:13: channels.a.headers."x y": is not a header\'s name',
    ),
    "a channel that is a number": (
        '[channels.5]\ntype = "local"\n',
        "oneapi.toml:1:1: channels.5:"
        " a channel's name cannot be a number: numbers are the channels' ids",
    ),
    "a name with a space": (
        '[policies."a b"]\n',
        'oneapi.toml:1:1: policies."a b":'
        " a name has 1 to 64 letters, digits and _ . @ + -, and begins with no sign",
    ),
    "the anonymous user": (
        "[users.anonymous]\n",
        "oneapi.toml:1:1: users.anonymous:"
        " the name anonymous is taken by the built-in user of keyless calls",
    ),
    "a deleted user": (
        "[users.deleted-7]\n",
        "oneapi.toml:1:1: users.deleted-7:"
        " names such as deleted-7 are those of deleted users' records",
    ),
    "a ratio with too many decimals": (
        "[groups.g]\nratio = 1.1234567\n",
        "oneapi.toml:2:9: groups.g.ratio: must have at most 6 decimals",
    ),
    "a negative price": (
        "[prices.m]\ninput = -1\n",
        "oneapi.toml:2:9: prices.m.input: must be at least 0",
    ),
    "a model without routes": (
        "[models.m]\nroutes = []\n",
        "oneapi.toml:2:10: models.m.routes: must not be empty",
    ),
    "a key in the clear": (
        '[users.u]\n[policies.p]\n[tokens.t]\nuser = "u"\npolicy = "p"\nkey = "sk-abc"\n',
        "oneapi.toml:6:7: tokens.t.key:"
        " must be sha256: and 64 hexadecimal digits, as `oneapi token new` prints it",
    ),
    "a password in the clear": (
        '[users.u]\npassword = "hunter2"\n',
        "oneapi.toml:2:12: users.u.password: a password in plain text is refused"
        " (`oneapi password` makes the line for it)",
    ),
    "a variable that is not set": (
        '[channels.a]\ntype = "cloud"\nkeys = ["${OPENAI_KEY}"]\n',
        "oneapi.toml:3:9: channels.a.keys[0]: the variable OPENAI_KEY is not set"
        " (did you mean 'OPENAI_API_KEY'?)",
    ),
    "a variable with a message": (
        '[channels.a]\ntype = "cloud"\nkeys = ["${NOPE:?see the wiki}"]\n',
        "oneapi.toml:3:9: channels.a.keys[0]: the variable NOPE is needed: see the wiki",
    ),
    "a reference that is none": (
        '[server]\nhost = "${a-b}"\n',
        "oneapi.toml:2:8: server.host: ${ begins no reference"
        " (write ${NAME}, or $${ for the two characters)",
    ),
    "an empty key": (
        '[channels.a]\ntype = "cloud"\nkeys = [""]\n',
        "oneapi.toml:3:9: channels.a.keys[0]: the key is empty",
    ),
    "a secret's file that is missing": (
        '[channels.a]\ntype = "cloud"\nkeys = ["file:nope"]\n',
        "oneapi.toml:3:9: channels.a.keys[0]: nope cannot be read: No such file or directory",
    ),
    "a command that is no list": (
        "[channels.a]\ntype = 'cloud'\nkeys = ['cmd:pass show x']\n",
        "oneapi.toml:3:9: channels.a.keys[0]:"
        " cmd: must be followed by a list of strings, the program first"
        ' (such as cmd:["pass", "show", "mail"])',
    ),
    "a command that fails": (
        "[channels.a]\ntype = 'cloud'\nkeys = ['cmd:[\"false\"]']\n",
        "oneapi.toml:3:9: channels.a.keys[0]: false failed with exit status 1",
    ),
    "a type that is none": (
        '[channels.a]\ntype = "clowd"\n',
        "oneapi.toml:2:8: channels.a.type: there is no type 'clowd' (did you mean 'cloud'?)",
    ),
    "a type without an address": (
        '[channels.a]\ntype = "custom"\nkeys = ["k"]\nmodels = ["m"]\n',
        "oneapi.toml:1:1: channels.a.base_url: is missing: type 'custom' has no address of its own",
    ),
    "a type without its key": (
        '[channels.a]\ntype = "cloud"\n',
        "oneapi.toml:1:1: channels.a.keys: is missing: type 'cloud' needs a key",
    ),
    "an address without its variable": (
        '[channels.a]\ntype = "placed"\nkeys = ["k"]\nvars = { account = "x" }\n',
        "oneapi.toml:4:1: channels.a.vars.gateway:"
        " is missing: the address of type 'placed' needs it",
    ),
    "a variable without its place": (
        CLOUD + 'vars = { acount = "x" }\n',
        "oneapi.toml:4:10: channels.a.vars.acount:"
        " the address of type 'cloud' has no such placeholder",
    ),
    "mock options elsewhere": (
        CLOUD + "mock = { tokens = 3 }\n",
        "oneapi.toml:4:1: channels.a.mock: type 'cloud' takes no mock options",
    ),
    "a field set and dropped": (
        CLOUD + 'set = { seed = 1 }\ndrop = ["user", "seed"]\n',
        "oneapi.toml:5:17: channels.a.drop[1]: the field 'seed' is set and dropped at once",
    ),
    "a route to no channel": (
        CLOUD + '[models.m]\nroutes = [{ channel = "b" }]\n',
        "oneapi.toml:5:23: models.m.routes[0].channel: there is no channel 'b' (there are: a)",
    ),
    "a route twice": (
        CLOUD + '[models.m]\nroutes = [{ channel = "a" }, { channel = "a", model = "m" }]\n',
        "oneapi.toml:5:30: models.m.routes[1]: is the same as route 0: m at a"
        " (give one of them the sum of the weights)",
    ),
    "a route that no group can reach": (
        CLOUD + 'groups = ["x"]\n[groups.x]\n[groups.y]\n'
        '[models.m]\nroutes = [{ channel = "a" }]\ngroups = ["y"]\n',
        "oneapi.toml:8:11: models.m.routes[0]: no group can reach it: a is for x"
        " (the model is for y)",
    ),
    "a group that is none": (
        CLOUD + 'groups = ["defualt"]\n',
        "oneapi.toml:4:11: channels.a.groups[0]: there is no group 'defualt'"
        " (did you mean 'default'?)",
    ),
    "a user's group that is none": (
        '[users.u]\ngroup = "staff"\n',
        "oneapi.toml:2:9: users.u.group: there is no group 'staff' (there are: default)",
    ),
    "a token of nobody": (
        f'[policies.p]\n[tokens.t]\nuser = "u"\npolicy = "p"\nkey = "{HASH}"\n',
        "oneapi.toml:3:8: tokens.t.user: there is no user 'u' (add [users.u])",
    ),
    "a token without a policy": (
        f'[users.u]\n[policies.p]\n[tokens.t]\nuser = "u"\npolicy = "pp"\nkey = "{HASH}"\n',
        "oneapi.toml:5:10: tokens.t.policy: there is no policy 'pp' (did you mean 'p'?)",
    ),
    "a token without a key": (
        '[users.u]\n[policies.p]\n[tokens.t]\nuser = "u"\npolicy = "p"\n',
        "oneapi.toml:3:1: tokens.t.key: is missing (`oneapi token new` makes one)",
    ),
    "a key of two tokens": (
        "[users.u]\n[policies.p]\n[tokens]\n"
        f'a = {{ user = "u", policy = "p", key = "{HASH}" }}\n'
        f'b = {{ user = "u", policy = "p", keys = ["{HASH}"] }}\n',
        "oneapi.toml:5:41: tokens.b.keys[0]: the token a has this key already",
    ),
    "an issuable policy that is none": (
        '[groups.g]\nmay_issue = ["p"]\n',
        "oneapi.toml:2:14: groups.g.may_issue[0]: there is no policy 'p' (add [policies.p])",
    ),
    "a policy's channel that is none": (
        '[policies.p]\nchannels = ["any-*", "olama"]\n[channels.ollama]\ntype = "local"\n',
        "oneapi.toml:2:22: policies.p.channels[1]: there is no channel 'olama'"
        " (did you mean 'ollama'?)",
    ),
    "an anonymous policy that is none": (
        '[server]\nanonymous = "locale"\n[policies.local]\n',
        "oneapi.toml:2:13: server.anonymous: there is no policy 'locale' (did you mean 'local'?)",
    ),
    "a history taken twice": (
        '[policies.a]\nwas = "x"\n[policies.b]\nwas = "x"\n',
        "oneapi.toml:4:7: policies.b.was: policies.a has taken the history of x already",
    ),
    "a history of what still exists": (
        '[policies.a]\nwas = "b"\n[policies.b]\n',
        "oneapi.toml:2:7: policies.a.was: policies.b still exists, so its history stays there"
        " (take one of the two out)",
    ),
    "an include that is missing": (
        'include = ["nope.toml"]\n',
        "oneapi.toml:1:12: include[0]: there is no file nope.toml",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_configuration_says_what_and_where(
    refused: Refused, text: str, message: str
) -> None:
    assert refused(text, environ={"OPENAI_API_KEY": "k"}) == [message]


def test_all_errors_come_at_once_in_the_order_of_their_places(refused: Refused) -> None:
    text = (
        '[users.u]\nrole = "boss"\ngroup = "x"\n[server]\nport = 1.5\n[models.m]\n'
        'routes = [{ channel = "${C}" }, { weight = 1 }]\n'
    )
    assert refused(text) == [
        'oneapi.toml:2:8: users.u.role: must be "user", "admin" or "root"',
        "oneapi.toml:3:9: users.u.group: there is no group 'x' (there are: default)",
        "oneapi.toml:5:8: server.port: must be a whole number, not 1.5",
        "oneapi.toml:7:23: models.m.routes[0].channel: the variable C is not set"
        " (set it, add it to .env, or write ${C:-default})",
        "oneapi.toml:7:33: models.m.routes[1].channel: is missing (the channel)",
    ]


def test_an_error_in_an_included_file_is_placed_there(refused: Refused) -> None:
    files = {"conf.d/b.toml": "[server]\nprot = 1\n", "conf.d/a.toml": "[server\n"}
    assert refused('include = ["conf.d/*.toml"]\n', files=files) == [
        "conf.d/a.toml:1:8: not TOML: Expected ']' at the end of a table declaration",
        "conf.d/b.toml:2:1: server.prot: unknown key (did you mean 'port'?)",
    ]


def test_a_name_in_two_files_names_both_places(refused: Refused) -> None:
    text = 'include = ["more.toml"]\n' + CLOUD
    assert refused(text, files={"more.toml": '\n[channels.a]\ntype = "local"\n'}) == [
        "more.toml:2:1: channels.a: is already in oneapi.toml:2:1 (keep one of them)"
    ]


def test_an_included_file_cannot_include_others(refused: Refused) -> None:
    files = {"more.toml": 'include = ["third.toml"]\n'}
    assert refused('include = ["more.toml"]\n', files=files) == [
        "more.toml:1:1: include: an included file cannot include others"
        " (add the pattern to oneapi.toml)"
    ]


def test_a_wrong_line_of_the_env_file_has_its_line(refused: Refused) -> None:
    assert refused("", files={".env": "A=1\n\nnonsense\n"}) == [".env:3:1: is not NAME=value"]


def test_a_file_that_is_not_utf8_says_where(refused: Refused, tmp_path: object) -> None:
    (tmp_path / "more.toml").write_bytes(b"# fine\n# \xff\n")  # type: ignore[operator]
    assert refused('include = ["more.toml"]\n') == ["more.toml:2:3: is not UTF-8"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "ONEAPI_SERVER__PORT",
            "x",
            'ONEAPI_SERVER__PORT: server.port: must be a whole number, not "x"',
        ),
        (
            "ONEAPI_SERVER__PROT",
            "1",
            "ONEAPI_SERVER__PROT: server.prot: unknown key (did you mean 'port'?)",
        ),
        (
            "ONEAPI_SEVER__PORT",
            "1",
            "ONEAPI_SEVER__PORT: sever.port: there is no such table (did you mean 'server'?)",
        ),
        (
            "ONEAPI_SERVER__HOSTS",
            "a, b",
            'ONEAPI_SERVER__HOSTS: server.hosts: must be a list, not "a, b"',
        ),
        ("PORT", "99999", "PORT: server.port: must be at most 65535"),
        (
            "RELAY_PROXY",
            "user:secret@host",
            "RELAY_PROXY: server.proxy:"
            ' must be an address such as "http://host:3128" or "socks5://host:1080"',
        ),
    ],
)
def test_a_wrong_variable_is_named(refused: Refused, name: str, value: str, message: str) -> None:
    assert refused("", environ={name: value}) == [message]


def test_a_wrong_flag_is_named(refused: Refused) -> None:
    assert refused("", flags={"server.port": -1}) == ["--port: server.port: must be at least 0"]


def test_no_message_holds_a_secret(refused: Refused) -> None:
    text = (
        '[channels.a]\ntype = "cloud"\nkeys = [{ key = "hush-1", until = "hush" }, 77]\n'
        'headers = { "x" = "hush-2\\n" }\nproxy = "hush-3"\n[users.u]\npassword = "hush-4"\n'
        '[admin]\nmetrics_token = "hush-5"\nbogus = 1\n'
    )
    shown = "\n".join(refused(text))
    assert shown.count("\n") == 6
    assert "hush-" not in shown
    assert "77" not in shown
