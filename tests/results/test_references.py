"""Figures of other models: each with its source, anchors only where the source was read."""

from __future__ import annotations

import pytest

from regimen.results import all_references, anchor_of, is_known, references_of
from regimen.study import Study, load_study


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study("qwen2-finance", "full")


def test_every_figure_says_where_it_comes_from() -> None:
    figures = all_references()
    assert len(figures) > 100
    for figure in figures:
        assert 0 <= figure.value <= 1
        assert figure.source
        assert figure.status in ("read", "secondary", "recalled")
        assert figure.use in ("anchor", "range", "low-trust", "base", "beside")
        assert figure.n is None or figure.n > 0


def test_an_anchor_was_read_at_an_address_on_a_metric_that_is_computed_here() -> None:
    anchors = [figure for figure in all_references() if figure.use == "anchor"]
    assert len({(a.dataset, a.model) for a in anchors}) == len(anchors), "two anchors of one data set"
    for anchor in anchors:
        assert anchor.status == "read"
        assert anchor.url
        assert anchor.n
        assert is_known(anchor.metric)


@pytest.mark.parametrize(
    ("task", "value"),
    [("sst2", 0.942), ("tweet-sentiment", 0.758), ("math", 0.920), ("code", 0.670), ("financial-sentiment", 0.827)],
)
def test_anchors_of_the_plan(study: Study, task: str, value: float) -> None:
    anchor = anchor_of(study, task)
    assert anchor.reference is not None
    assert (anchor.reference.value, anchor.low, anchor.high) == (value, value, value)
    assert anchor.reference.metric == study.tasks[task].headline


def test_rows_that_differ_are_said_to_differ(study: Study) -> None:
    assert "rows differ" in anchor_of(study, "financial-sentiment").note
    assert anchor_of(study, "financial-sentiment").reference.rows != "the same"  # type: ignore[union-attr]
    assert anchor_of(study, "sst2").reference.rows == "the same"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("task", "low", "high"),
    [("conversational-qa", 0.254, 0.76), ("ner", 0.18, 0.83), ("imdb", 0.964, 0.964)],
)
def test_disagreeing_or_doubtful_sources_are_a_range_without_an_anchor(
    study: Study, task: str, low: float, high: float
) -> None:
    anchor = anchor_of(study, task)
    assert anchor.reference is None
    assert (anchor.low, anchor.high) == (low, high)
    assert anchor.note


@pytest.mark.parametrize("task", ["topic", "financial-qa", "text-general"])
def test_no_figure_is_no_anchor(study: Study, task: str) -> None:
    anchor = anchor_of(study, task)
    assert (anchor.reference, anchor.low) == (None, None)
    assert anchor.note == "no sourced figure"


def test_figures_do_not_speak_of_rows_made_here() -> None:
    demo = load_study("qwen2-finance", "demo")
    assert references_of(demo, "sst2") == ()
    assert anchor_of(demo, "sst2").low is None


def test_the_base_models_own_figures_are_there(study: Study) -> None:
    own = {(r.variant, r.value) for r in references_of(study, "code") if r.use == "base"}
    assert ("base", 0.22) in own
