"""What providers do otherwise, applied to requests."""

from __future__ import annotations

from oneapi.providers.binding import bind
from oneapi.providers.catalog import load_catalog
from oneapi.providers.preset import Quirk
from oneapi.providers.quirks import apply, changing, edited
from oneapi.wire.json import members


def test_fields_are_renamed_dropped_set_and_kept_in_bounds() -> None:
    quirk = Quirk(
        rename={"seed": "random_seed"},
        drop=("user", "absent"),
        values={"tool_choice": {"required": "any"}},
        set={"safe": True},
        clamp={"temperature": (0.0, 1.0), "n": (1, 4)},
    )
    body = {"seed": 7, "user": "u", "tool_choice": "required", "temperature": 1.7, "n": "two"}
    assert apply(body, [quirk]) == ["user"]
    assert body == {
        "random_seed": 7,
        "tool_choice": "any",
        "safe": True,
        "temperature": 1.0,
        "n": "two",
    }


def test_a_field_that_is_there_by_its_new_name_wins() -> None:
    body = {"seed": 7, "random_seed": 8}
    apply(body, [Quirk(rename={"seed": "random_seed"})])
    assert body == {"random_seed": 8}


def test_words_that_are_not_known_stay() -> None:
    body = {"tool_choice": {"type": "function"}, "n": True}
    apply(body, [Quirk(values={"tool_choice": {"required": "any"}}, clamp={"n": (2, 3)})])
    assert body == {"tool_choice": {"type": "function"}, "n": True}


def test_quirks_are_of_a_dialect_and_of_models() -> None:
    account = bind("c", preset=load_catalog()["mistral"])
    (*_, quirk) = account.quirks_for("openai-chat", "Mistral-Large")
    assert quirk.rename == {"seed": "random_seed"}
    assert account.quirks_for("anthropic", "mistral-large") == ()


def test_in_a_clients_own_request_all_other_bytes_stay() -> None:
    quirk = Quirk(
        rename={"seed": "random_seed"},
        drop=("user",),
        set={"a": "b"},
        clamp={"temperature": (0, 1)},
    )
    raw = b'{"model" :"m","seed":7,"user":"u","temperature":1.50,"messages":[ 1.0 ],"new":{"x":1}}'
    found, dropped = edited(members(raw), [quirk])
    assert dropped == ["user"]
    assert {name: bytes(value) for name, value in found.items()} == {
        "model": b'"m"',
        "temperature": b"1",
        "messages": b"[ 1.0 ]",
        "new": b'{"x":1}',
        "random_seed": b"7",
        "a": b'"b"',
    }


def test_a_clients_own_request_that_needs_no_change_is_the_same_bytes() -> None:
    quirk = Quirk(rename={"seed": "random_seed"}, drop=("user",), clamp={"temperature": (0, 1)})
    asked = members(b'{"model":"m","temperature":0.50}')
    found, dropped = edited(asked, [quirk])
    assert found is asked
    assert not dropped
    broken = members(b'{"model":"m","seed":7}')
    broken["user"] = broken["seed"].__class__(b"{")
    assert edited(broken, [quirk]) == (broken, [])


def test_quirks_that_tell_a_renderer_alone_change_no_request() -> None:
    told, does = Quirk(options={"thoughts": "none"}), Quirk(drop=("user",))
    assert changing([told, does]) == (does,)
