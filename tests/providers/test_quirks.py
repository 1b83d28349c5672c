"""What providers do otherwise, applied to rendered requests."""

from __future__ import annotations

from oneapi.providers.binding import bind
from oneapi.providers.catalog import load_catalog
from oneapi.providers.preset import Quirk
from oneapi.providers.quirks import apply


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
