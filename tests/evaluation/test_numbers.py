"""The grammar of numbers, as a table of cases: what stands in a text, and the first number in it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.evaluation import answers
from regimen.evaluation.numbers import numbers_of, read_number

CASES: list[tuple[str, float | None]] = [
    # signs
    ("-5", -5), ("\u22125", -5), ("\u2212 5", -5), ("\u20135%", -0.05), ("+3.5", 3.5), ("x=-5", -5), ("- 5", 5),
    ("3-5", 3), ("covid-19", 19), ("f(x)-5", 5), ("\uff0d\uff11\uff12\uff0e\uff15", -12.5),
    # brackets
    ("(26.0)", -26), ("($1,234)", -1234), ("$(1,234)", -1234), ("US$ (12)", -12), ("(5.2%)", -0.052),
    ("(5.2)%", -0.052),
    ("(\u20ac5.2)", -5.2), ("-(5)", -5), ("(-5)", -5), ("(+5)", 5), ("(5 apples)", 5), ("f(5)", 5), ("(see 5)", 5),
    # currencies
    ("-$5", -5), ("$-5", -5), ("-\u20ac5", -5), ("\u00a31,000.50", 1000.5), ("5 \u20ac", 5), ("EUR 5", 5),
    ("Rs.500", 500),
    ("$.50", 0.5), ("(1.234,56 \u20ac)", -1234.56),
    # percent
    ("15%", 0.15), ("5 %", 0.05), ("15 percent", 0.15), ("15 per cent", 0.15), ("12,5%", 0.125), ("0.5pp", 0.5),
    # thousands and decimals
    ("1,234", 1234), ("1,234.5", 1234.5), ("12,34,567", 1234567), ("1 234 567", 1234567), ("10\u202f000,50", 10000.5),
    ("1'234.50", 1234.5), ("1.234,56", 1234.56), ("1.234.567", 1234567), ("1.234.567,89", 1234567.89), ("1.234", 1.234),
    ("2,5", 2.5), ("0,125", 0.125), ("1,2345", 1.2345), ("1,2,3", 1), ("1,234,5", 1), (".88", 0.88), ("12.", 12),
    ("2019 500", 2019), ("1.2.3", 1.2), ("2019-03-01", 2019), ("no. 5", 5),
    # powers, fractions, other scripts
    ("1e-5", 1e-5), ("1.5E+6", 1.5e6), ("1e5x", 1), ("3/4", 0.75), ("3/4/2020", 3), ("\u0663\u0665", 35),
    ("10\u00b2", 10),
    ("1.2 million", 1.2),
    # none
    ("", None), ("-", None), ("nan", None), ("inf", None), ("1e999", None), ("1/0", None), ("x\u00b2", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), CASES)
def test_a_number_is_read_as_people_write_it(text: str, value: float | None) -> None:
    number = read_number(text)
    assert (None if number is None else number.value) == (None if value is None else pytest.approx(value, rel=1e-15))


@pytest.mark.parametrize(("said", "right", "score"), [
    ("1234", "($1,234)", 0.0), ("-1234", "($1,234)", 1.0), ("5", "\u22125", 0.0), ("0.15", "15%", 1.0),
    ("15", "15%", 0.0),
    ("1.234,56", "1234.56", 1.0), ("25", "2,5", 0.0), ("1234567890", "1234567891", 0.0),
])  # fmt: skip
def test_numeric_match_never_takes_one_number_for_another(said: str, right: str, score: float) -> None:
    assert answers.numeric_match(said, right) == score


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_in_order_and_inside_itself(text: str) -> None:
    ends = 0
    for number in numbers_of(text):
        assert ends <= number.start < number.end <= len(text)
        ends = number.end


@given(st.floats(-1e12, 1e12, allow_nan=False))
@settings(max_examples=200, deadline=None)
def test_what_python_writes_is_read_back(value: float) -> None:
    assert read_number(repr(value)) is not None
    assert read_number(repr(value)).value == value  # type: ignore[union-attr]
    assert read_number(f"{value:,.3f}").value == pytest.approx(round(value, 3), rel=1e-12, abs=1e-12)  # type: ignore[union-attr]
