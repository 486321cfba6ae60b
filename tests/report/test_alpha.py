"""One alpha for a whole run: verdicts, marks, units, the gate's rule and the page all follow `Rules.alpha`."""

from __future__ import annotations

import pytest

from regimen.analysis.contrasts import compare
from regimen.analysis.rules import Rules
from regimen.plan import Plan
from regimen.report.html_page import render
from regimen.report.run_reading import read
from regimen.report.run_report import short_context
from regimen.results import RunFolder
from regimen.study import EndPoint, Pair
from tests.support.item_scores import scores_of


def test_a_p_value_between_the_two_levels_is_clear_at_one_and_not_at_the_other() -> None:
    """Of 5 items that differ, all one way: exact McNemar gives 2 / 2^5 = 0.0625."""
    scores = {"quiz": scores_of({"x": [1.0] * 5 + [0.0] * 15, "y": [0.0] * 20})}
    pair = {"c": [Pair(of=EndPoint("x"), against=EndPoint("y"), task="quiz")]}
    strict, lax = (compare(pair, scores, Rules(seed=1, alpha=alpha))["c"] for alpha in (0.05, 0.10))
    assert strict.p_adjusted == lax.p_adjusted == pytest.approx(0.0625)
    assert (strict.is_clear, lax.outcome) == (False, "better")
    assert lax.statement().startswith("better by 0.250")
    assert "6 must for a difference to be clear" in strict.note
    assert "must for a difference" not in lax.note


def test_everything_that_is_said_of_a_run_follows_alpha(finished: RunFolder, plan: Plan) -> None:
    strict, lax = (
        read(finished, plan, Rules(seed=3, alpha=alpha, resamples=200, swaps=999)) for alpha in (0.001, 0.10)
    )
    for reading, alpha in ((strict, 0.001), (lax, 0.10)):
        found = reading.findings
        assert found.method.alpha == alpha
        for cell in found.transfer:
            assert cell.clear == (cell.p_adjusted is not None and cell.p_adjusted <= alpha)
        for unit in found.units:
            assert unit.clear == (unit.gain > 0 and unit.p_adjusted <= alpha)
        for answer in found.questions:
            for judged in answer.contrasts:
                if judged.comparison:
                    clear = judged.comparison.p_adjusted <= alpha
                    assert clear == (judged.outcome in ("better", "worse"))
        assert f"(Holm over all of them, {100 * alpha:g}%)" in found.gate.rule
        for row in reading.rows:
            assert reading.is_clear(row) == (row.p_adjusted is not None and row.p_adjusted <= alpha)
        text = render("report.md.jinja", short_context(reading))
        assert f"Benjamini-Hochberg over the whole grid, {100 * alpha:g}%;" in text
    marked = [sum(reading.is_clear(row) for row in reading.rows) for reading in (strict, lax)]
    assert marked[0] < marked[1], "some cell lies between the two levels, or this test tests nothing"
