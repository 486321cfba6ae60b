"""Lines without a language model: the majority class, chance, TF-IDF with logistic regression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from regimen.data.items import Item
from regimen.data.sources import Where
from regimen.evaluation.floors import bag_of_words, closed_lines, training_texts
from regimen.plan import compile_plan
from regimen.results import Floors, RunFolder, aggregate, floors_of
from regimen.study import load_study
from regimen.study.sources import Form, HeldOut, Label, Source
from tests.support.inline_runs import assert_done, run_inline


def closed(targets: list[int], choices: tuple[str, ...] = (" a", " b", " c")) -> list[Item]:
    return [Item(str(i), f"text {i}", choices[t], choices, t) for i, t in enumerate(targets)]


def test_majority_and_chance_by_hand() -> None:
    lines = closed_lines(closed([0, 0, 0, 1]))
    assert lines is not None
    assert lines.majority == ["a"] * 4
    majority = aggregate(["accuracy", "macro-f1"], {"target": lines.targets, "prediction": lines.majority})
    assert majority["accuracy"] == 0.75
    assert majority["macro-f1"] == pytest.approx((2 * 0.75 / 1.75 + 0) / 2)
    targets, guesses, weights = zip(*lines.guesses, strict=True)
    columns = {"target": targets, "prediction": guesses, "weight": weights}
    chance = aggregate(["accuracy", "macro-f1", "precision", "recall", "mcc"], columns)
    assert chance["accuracy"] == pytest.approx(1 / 3)
    assert chance["recall"] == pytest.approx(1 / 3)
    assert chance["precision"] == pytest.approx((0.75 + 0.25) / 2)
    assert chance["mcc"] == pytest.approx(0, abs=1e-9)


def test_chance_is_what_many_guesses_come_to() -> None:
    rng = np.random.default_rng(0)
    items = closed([0] * 6 + [1] * 3 + [2])
    lines = closed_lines(items)
    assert lines is not None
    targets, guesses, weights = zip(*lines.guesses, strict=True)
    chance = aggregate(["macro-f1"], {"target": targets, "prediction": guesses, "weight": weights})["macro-f1"]
    many = np.array([[item.answer.strip() for item in items]] * 20000).ravel()
    random = rng.choice(["a", "b", "c"], len(many))
    options: Any = {"average": "macro"}
    assert chance == pytest.approx(float(f1_score(many, random, **options)), abs=2e-3)


def test_open_answers_have_no_majority() -> None:
    assert closed_lines([Item("1", "p", " x")]) is None
    assert closed_lines([]) is None


def test_a_bag_of_words_learns_what_words_say() -> None:
    texts = [f"shares {word} today {n}" for n in range(30) for word in ("surge", "plunge")]
    said = bag_of_words(texts, ["up", "down"] * 30, ["shares plunge", "stocks surge again"])
    assert said == ["down", "up"]
    assert bag_of_words(["one", "two"], ["same", "same"], ["x", "y"]) == ["same", "same"]


def test_it_sees_no_test_row_and_no_row_twice(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(
        '{"t": "good one", "y": "pos"}\n{"t": "Good  one", "y": "pos"}\n{"t": "bad one", "y": "neg"}\n'
        '{"t": "tested", "y": "neg"}\n'
    )
    form = Form(prompt="{{ t }}\nA:", label=Label(column="y", names={"pos": "pos", "neg": "neg"}), group="{{ t }}")
    source = Source(files=("rows.jsonl",), form=form, held_out=HeldOut(share=1e-9))
    items = [Item("1", "tested\nA:", " neg", (" pos", " neg"), 1, parts=("tested",))]
    texts, labels = training_texts("own", source, items, Where(here=tmp_path))
    assert texts == ["good one\nA:", "bad one\nA:"]
    assert labels == ["pos", "neg"]


def test_the_items_stage_records_the_lines(tmp_path: Path) -> None:
    study = load_study("qwen2-finance", "demo")
    plan = compile_plan(study, only=["1-sst2", "1-math"], tasks=["sst2", "math"])
    assert_done(run_inline(plan, tmp_path))
    folder = RunFolder(tmp_path)
    outcomes = {name: outcome for name, stage in plan.stages.items() if (outcome := folder.outcome(stage))}
    lines = floors_of(plan, outcomes, "sst2")
    assert isinstance(lines, Floors)
    assert lines.majority["accuracy"] >= 0.5
    assert lines.chance["accuracy"] == pytest.approx(0.5)
    assert lines.tfidf["accuracy"] > lines.majority["accuracy"] + 0.1
    assert lines.floor("accuracy") == lines.majority["accuracy"]
    assert lines.tfidf_rows > 100
    assert floors_of(plan, outcomes, "math") is None, "open answers have no such lines"
