"""Commands, revisions, masks and advice: what must never leak, and what must be noticed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oneapi.config import commands as commands_module
from oneapi.config.advice import check_warnings
from oneapi.config.commands import Commands
from oneapi.config.environ import HONOURED, named_variables
from oneapi.config.load import LoadError

if TYPE_CHECKING:
    from tests.config.conftest import Load

CLOUD = '[channels.a]\ntype = "cloud"\n'


def counting(tmp_path: Path) -> str:
    """A command that prints how often it ran."""
    program = "import pathlib; p = pathlib.Path('n'); n = len(p.read_text()) if p.exists() else 0; "
    program += "p.write_text('x' * (n + 1)); print(n + 1)"
    return f"{CLOUD}keys = ['''cmd:[\"{sys.executable}\", \"-c\", \"{program}\"]''']\n"


def test_a_command_runs_once_over_saves_and_again_when_told(read: Load, tmp_path: Path) -> None:
    commands, text = Commands(), counting(tmp_path)

    def key() -> str:
        return read(text, commands=commands).settings.channels["a"].keys[0].key

    assert [key(), key()] == ["1", "1"]
    commands.forget()
    assert key() == "2"


def test_a_command_has_no_shell_and_resolves_its_arguments(read: Load) -> None:
    text = CLOUD + 'keys = [\'cmd:["echo", "${A}; id"]\']\n'
    assert (
        read(text, environ={"A": "$(id)", "PATH": "/bin:/usr/bin"})
        .settings.channels["a"]
        .keys[0]
        .key
        == "$(id); id"
    )


def test_a_command_that_hangs_is_ended_with_its_children(
    read: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_module, "TIMEOUT_S", 0.3)
    text = CLOUD + 'keys = [\'cmd:["sh", "-c", "sleep 60 | cat"]\']\n'
    with pytest.raises(LoadError, match=r"sh took longer than 0\.3 s"):
        read(text, environ={"PATH": "/bin:/usr/bin"})


@pytest.mark.parametrize("wide", ["oneapi.toml", "more.toml", "."])
def test_a_command_is_refused_where_others_can_write(read: Load, tmp_path: Path, wide: str) -> None:
    text = 'include = ["more.toml"]\n' + CLOUD + "keys = ['cmd:[\"true\"]']\n"
    (tmp_path / "oneapi.toml").touch()
    (tmp_path / "more.toml").touch()
    mode = (tmp_path / wide).stat().st_mode
    (tmp_path / wide).chmod(mode | 0o002)
    try:
        with pytest.raises(LoadError, match=r"cmd: is refused because .* can be written by others"):
            read(text)
    finally:
        (tmp_path / wide).chmod(mode)


def test_a_check_without_secrets_runs_nothing(read: Load, tmp_path: Path) -> None:
    read(counting(tmp_path), secrets=False)
    assert not (tmp_path / "n").exists()


def test_the_revision_follows_what_is_in_force(read: Load) -> None:
    first = read("[server]\nport = 3000\n").revision
    assert len(first) == 16
    assert read("# a comment\n[server]\nport = 3_000\n").revision == first
    assert read("[server]\nport = 3000\nproxy = 'http://p:1'\n").revision != first
    assert read("", environ={"PORT": "4000"}).revision != first


def test_a_rotated_secret_is_a_new_revision(read: Load) -> None:
    text = CLOUD + 'keys = ["${A}"]\n'
    revisions = {
        read(text, environ={"A": value}, fingerprint_key=key).revision
        for value in ("one", "two")
        for key in (b"k", b"l")
    }
    assert len(revisions) == 4


def test_a_kept_text_has_no_secret_and_keeps_all_else(read: Load) -> None:
    text = (
        "# old: sk-abcdefghijklmnopqrstuvwx at http://me:hush@host/\n"
        + CLOUD
        + 'keys = ["hush", "${A}", "${A:-hush}", "x${A}", { key = """hush""" }, "${B:-}"]  # mine\n'
        "headers = { x = 'hush', y = '${A}' }\nproxy = 'none'\n"
        '[users.u]\npassword = "scrypt:hush"\n[admin]\nmetrics_token = "file:t"\n'
    )
    loaded = read(text, environ={"A": "a"}, files={"t": "12345678"})
    assert list(loaded.texts.values()) == [
        "# old: *** at http://***@host/\n"
        + CLOUD
        + 'keys = ["***", "${A}", "***", "***", { key = "***" }, "${B:-}"]  # mine\n'
        "headers = { x = \"***\", y = '${A}' }\nproxy = 'none'\n"
        '[users.u]\npassword = "***"\n[admin]\nmetrics_token = "file:t"\n'
    ]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_literal_secret_in_a_tracked_file_is_warned_of(read: Load, tmp_path: Path) -> None:
    text = CLOUD + 'keys = ["${A}", "hush"]\n[users.u]\npassword = "scrypt:x"\n'
    assert check_warnings(read(text, environ={"A": "a"})) == []
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "add", "oneapi.toml"], check=True)
    [problem] = check_warnings(read(text, environ={"A": "a"}))
    assert (problem.key, problem.line, problem.severity) == ("channels.a.keys[1]", 3, "warning")
    assert problem.message == "a secret stands in a file that git tracks"


def test_a_model_without_a_price_is_named(read: Load) -> None:
    text = (
        CLOUD + 'keys = ["k"]\nmodels = ["paid", "free", "glob-*"]\n'
        '[models.m]\nroutes = [{ channel = "a", model = "dear" }]\n'
    )
    problems = check_warnings(read(text), priced=lambda _, asked, served: served == "paid")
    assert [(p.line, p.message.split()[0], p.hint) for p in problems] == [
        (6, "dear", 'add [prices."dear"], or site.default_price'),
        (4, "free", 'add [prices."free"], or site.default_price'),
    ]


def test_the_originals_other_variables_are_each_named_with_a_word() -> None:
    environ = {"SESSION_SECRET": "x", "SQL_DSN": "y", "PORT": "1", "THEME": "", "HOME": "/"}
    assert named_variables(environ) == [
        "SESSION_SECRET is set: it has no use here: there is no cookie-signing key to set",
        "SQL_DSN is set: it has no use here: the ledger is SQLite, at state.path",
    ]
    assert all(named_variables({name: "1"}) == [] for name in HONOURED)
