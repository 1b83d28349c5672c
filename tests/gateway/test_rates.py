"""A window looks back exactly sixty seconds."""

from __future__ import annotations

from oneapi.gateway.rates import GRAIN_S, NEVER, SPAN_S, Window


def test_what_is_older_than_a_minute_does_not_count() -> None:
    window = Window()
    window.add(0.0, 5)
    assert window.total(SPAN_S - 0.001) == 5
    assert window.total(SPAN_S) == 0


def test_a_window_says_when_so_much_fits_again() -> None:
    window = Window()
    window.add(0.0, 6)
    window.add(10.0, 3)
    assert window.frees_in(20.0, 1, 10) == 0.0
    assert window.frees_in(20.0, 4, 10) == 40.0
    assert window.frees_in(20.0, 8, 10) == 50.0
    assert window.frees_in(20.0, 11, 10) == NEVER


def test_never_more_than_the_limit_falls_into_any_minute() -> None:
    window, let_in, now = Window(), [], 0.0
    for step in range(4000):
        now += 0.05 + (step * 7 % 13) / 100
        if not window.frees_in(now, 1, 20):
            window.add(now, 1)
            let_in.append(now)
    assert max(sum(t - SPAN_S < x <= t for x in let_in) for t in let_in) == 20


def test_the_time_it_tells_is_the_first_at_which_it_fits() -> None:
    window = Window()
    for at in range(10):
        window.add(at * 3.0, at)
    wait = window.frees_in(30.0, 30, 50)
    assert window.frees_in(30.0 + wait, 30, 50) == 0.0
    assert Window().frees_in(0.0, 30, 50) == 0.0
    again = Window()
    for at in range(10):
        again.add(at * 3.0, at)
    assert again.frees_in(30.0 + wait - 0.01, 30, 50) > 0.0


def test_an_entry_is_corrected_as_long_as_it_counts() -> None:
    window = Window()
    entry = window.add(0.0, 100)
    window.correct(entry, 30)
    assert window.total(1.0) == 30
    assert window.total(SPAN_S) == 0
    window.correct(entry, 500)
    assert window.total(SPAN_S) == 0


def test_what_comes_at_once_is_kept_as_one_and_corrected_one_by_one() -> None:
    window = Window()
    entries = [window.add(n / 5_000, 10) for n in range(50_000)]  # ten seconds
    assert len(window._grains) <= 10 / GRAIN_S
    for entry in entries[::2]:
        window.correct(entry, 3)
    assert window.total(10.0) == 25_000 * 13
    window.correct(entries[0], 4)
    assert window.total(10.0) == 25_000 * 13 + 1
    assert window.total(SPAN_S + 5.0) <= 12_500 * 13 + 50 * 13  # those of a grain go together
    assert window.total(SPAN_S + 10.0) == 0


def test_many_at_once_are_never_more_than_the_limit_in_any_minute() -> None:
    window, let_in, now = Window(), [], 0.0
    for step in range(100_000):
        now += 0.001 + (step % 7) / 10_000
        if not window.frees_in(now, 1, 700):
            window.add(now, 1)
            let_in.append(now)
    first = 0
    for last, at in enumerate(let_in):
        while let_in[first] <= at - SPAN_S:
            first += 1
        assert last - first + 1 <= 700
    assert len(let_in) > 2 * 700


def test_a_window_tells_when_it_is_whole_again() -> None:
    window = Window()
    assert window.clears_in(5.0) == 0.0
    window.add(5.0, 1)
    assert window.clears_in(15.0) == 50.0


def test_what_fits_is_what_frees_at_once() -> None:
    window = Window()
    for step in range(2_000):
        now, wanted = step * 0.37, step % 13
        assert window.fits(now, wanted, 700) == (window.frees_in(now, wanted, 700) == 0.0)
        window.add(now, wanted)
