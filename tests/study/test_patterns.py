"""Regular expressions of a study: what is none is refused at loading, what backtracks elsewhere is linear here."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.study.patterns import check_pattern, compiled_pattern
from regimen.study.sources import Documents


def test_an_expression_that_backtracks_without_end_elsewhere_is_matched_at_once() -> None:
    begun = time.process_time()
    assert compiled_pattern("(a+)+$").match("a" * 100_000 + "b") is None
    assert compiled_pattern("(a+)+$").match("a" * 100_000) is not None
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(a", "missing [)]"),
        ("(?=a)", "invalid perl operator"),
        (r"(a)\1", "invalid escape"),
        ("a" * 2000, "at most 1,000"),
    ],
)
def test_what_is_no_expression_is_refused_when_the_study_is_loaded(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Documents(starts=text)


def test_wikitext_s_headings_start_documents() -> None:
    pattern = compiled_pattern("^ = [^=].*= *$")
    assert pattern.match(" = Valkyria Chronicles III = ")
    assert not pattern.match(" = = Gameplay = = ")
    assert not pattern.match("text = text =")


@given(st.text(max_size=40))
def test_any_text_is_compiled_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert check_pattern(text) == text
