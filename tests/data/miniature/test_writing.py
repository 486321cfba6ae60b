"""Draws and templates: what the miniature's texts are made with."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.separation import Separation
from regimen.data.miniature.table import collect, columns
from regimen.data.miniature.words import HE, LISTS, NAMES, SHE, THINGS, TICKERS
from regimen.data.miniature.writing import sentence, someone, write

SEEDS = st.text(max_size=8)


def test_a_stream_is_pinned():
    """The values were printed once; they must be the same on every machine and Python version."""
    chance = Chance("a", 1)
    assert [chance.below(1000) for _ in range(6)] == [179, 799, 702, 331, 340, 392]


@given(seed=SEEDS, low=st.integers(-50, 50), span=st.integers(0, 50))
def test_draws_stay_in_their_range(seed, low, span):
    chance = Chance(seed)
    assert all(low <= chance.between(low, low + span) <= low + span for _ in range(20))
    assert Chance(seed).below(10**9) == Chance(seed).below(10**9)


@given(seed=SEEDS, items=st.lists(st.integers(), max_size=12))
def test_a_shuffle_keeps_what_it_shuffles(seed, items):
    assert Counter(Chance(seed).shuffled(items)) == Counter(items)
    assert len(Chance(seed).sample(items, 4)) == min(4, len(items))


def test_shuffles_and_weights_are_fair():
    chance = Chance("fair")
    orders = Counter(tuple(chance.shuffled("abc")) for _ in range(6000))
    assert len(orders) == 6
    assert all(850 < count < 1150 for count in orders.values())
    drawn = Counter(chance.weighted({"x": 1, "y": 3, "never": 0}) for _ in range(4000))
    assert drawn["never"] == 0
    assert 2850 < drawn["y"] < 3150


@given(seed=SEEDS)
def test_a_slot_named_twice_is_one_draw_and_a_numbered_one_another(seed):
    one, again, other, third = write(Chance(seed), "{firm}/{firm}/{firm2}/{firm3}").split("/")
    assert one == again
    assert len({one, other, third}) == 3
    assert {one, other, third} <= set(NAMES)


@given(seed=SEEDS)
def test_alternatives_nest_and_may_be_empty(seed):
    assert write(Chance(seed), "x[ a| b[1|2]|] y") in {"x a y", "x b1 y", "x b2 y", "x y"}


@given(seed=SEEDS)
def test_ranges_are_drawn_anew(seed):
    numbers = write(Chance(seed), "{3-9} {3-9} {3-9} {3-9}").split()
    assert all(3 <= int(number) <= 9 for number in numbers)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("a apple and a pear", "An apple and a pear"), ("a hour", "An hour"), ("a unit, a user", "A unit, a user"),
        ("a uncle", "An uncle"), ("a one-year bond", "A one-year bond"), ("a honest man", "An honest man"),
    ],
)  # fmt: skip
def test_articles_follow_the_sound(written, expected):
    assert sentence(Chance("any"), written) == expected


def test_an_unknown_slot_is_an_error():
    with pytest.raises(KeyError, match="nosuch"):
        write(Chance("any"), "{nosuch}")


@given(seed=SEEDS, other=st.sampled_from(SHE + HE))
def test_pronouns_fit_the_person(seed, other):
    cast = someone(Chance(seed), other)
    assert cast["who"] != other
    pronouns = ("she", "her", "her") if cast["who"] in SHE else ("he", "his", "him")
    assert (cast["they"], cast["their"], cast["them"]) == pronouns


def test_words_are_what_templates_rely_on():
    assert all(len(set(words)) == len(words) >= 3 for words in LISTS.values())
    assert all(thing.endswith("s") for thing in THINGS)
    assert len(set(TICKERS.values())) == len(NAMES)
    assert all(re.fullmatch(r"[A-Z]{3,4}", ticker) for ticker in TICKERS.values())


def test_collecting_refuses_what_is_held_out_and_says_when_templates_are_too_few():
    third = "this is sentence number 3 of ten sentences"
    held = Separation()
    held.add(third)

    def draw(chance):
        return [{"text": f"this is sentence number {chance.below(10)} of ten sentences"}]

    with pytest.raises(RuntimeError, match="widen its templates"):
        collect(draw, 11, "few", columns("text"), Separation(), hold=False)
    rows = collect(draw, 9, "few", columns("text"), Separation(), hold=False)
    assert len({row["text"] for row in rows}) == 9
    with pytest.raises(RuntimeError, match=": 0 of 2 rows"):
        collect(lambda _: [{"text": third}], 2, "none", columns("text"), held, hold=True)
