"""The studies under examples/ run as they stand, and rows of shapes never seen before need no Python."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from regimen.analysis.declared_contrasts import judge_contrasts
from regimen.analysis.evidence import Evidence
from regimen.api import count_epochs, open_run
from regimen.cli.app import app
from regimen.data.cleaning import Drops
from regimen.data.items import read_items
from regimen.data.rows import UsableRow, usable_rows
from regimen.data.sources import Where
from regimen.engine.locate import locate_base
from regimen.errors import StudyError
from regimen.evaluation.sandbox import why_not
from regimen.plan import EvaluateSpec, ItemsSpec, Plan, PrepareSpec, compile_plan
from regimen.report.run_report import write_report
from regimen.results import EvaluatedFacts, RunFolder
from regimen.results.tables import RunTables
from regimen.results.tuning import tuning_rows
from regimen.study import Study, load_study
from regimen.study.sources import Source
from tests.support.checkout import ROOT
from tests.support.inline_runs import assert_done, outcome_facts, run_inline
from tests.support.row_files import write
from tests.support.studies import with_fields

EXAMPLES = ROOT / "examples"


def carried_out(path: Path, out: Path) -> tuple[Plan, Path]:
    plan = compile_plan(load_study(path), eval_items=24)
    assert_done(run_inline(plan, out, here=path.parent))
    return plan, out


def scores(plan: Plan, out: Path) -> dict[tuple[str, str], float]:
    """{(experiment, task): headline}, the base as it is under its baselines."""
    found = {}
    for planned in plan.experiments:
        for task, name in planned.evaluations.items():
            metrics = outcome_facts(plan, out, name, EvaluatedFacts).defined
            found[planned.experiment.id, task] = metrics[plan.study.tasks[task].headline]
    return found


def test_reviews_run_and_learn(tmp_path: Path) -> None:
    plan, out = carried_out(EXAMPLES / "reviews.yaml", tmp_path / "run")
    found = scores(plan, out)
    assert found["direct-reviews", "reviews"] > found["1-reviews", "reviews"]
    assert {task for _, task in found} == {"reviews", "sums"}


@pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}")
def test_programs_are_written_and_judged(tmp_path: Path) -> None:
    plan, out = carried_out(EXAMPLES / "code.yaml", tmp_path / "run")
    found = scores(plan, out)
    assert found["1-functions", "functions"] == 0
    assert found["direct-120", "functions"] > 0.5


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    return carried_out(EXAMPLES / "shapes.yaml", tmp_path_factory.mktemp("shapes") / "run")


def test_all_four_shapes_are_trained_on_and_tested(shapes: tuple[Plan, Path]) -> None:
    plan, out = shapes
    found = scores(plan, out)
    assert {task for _, task in found} == {"people", "pairs", "scores", "quiz"}
    assert found["scores", "scores"] > found["1-scores", "scores"]
    assert all(0 <= value <= 1 for value in found.values())


def test_own_test_files_are_tested_on_and_never_trained_on(shapes: tuple[Plan, Path]) -> None:
    plan, out = shapes
    stage = next(s for s in plan.stages.values() if isinstance(s, ItemsSpec) and s.label == "quiz")
    items = read_items(RunFolder(out).stages / stage.folder / "items.jsonl")
    assert {item.id.split(":")[1] for item in items} == {"data/quiz-test.jsonl"}
    assert len({len(item.choices) for item in items}) > 1, "the number of options varies"
    train = {row.text for row in rows(plan.study.sources["quiz"], EXAMPLES)}
    assert not train & {item.prompt + item.answer for item in items}


def rows(source: Source, here: Path) -> list[UsableRow]:
    return list(usable_rows("it", source, "train", Where(here=here), Drops()))


SHAPES: list[tuple[str, dict[str, Any], str, str]] = [
    ("people", {"tokens": ["In", "New", "York", ",", "Ann", "Lee", "leaves", "Acme", "."], "tags":
     [0, 5, 6, 0, 1, 2, 0, 3, 0]}, "In New York , Ann Lee leaves Acme .\nQuestion: Which persons, organizations and "
     "locations are named?\nAnswer:", " New York is a location, Ann Lee is a person, Acme is an organization."),
    ("pairs", {"first": "A.", "second": "B.", "same": "no"}, "A.\nB.\nQuestion: Do both say the same?\nAnswer:", " no"),
    ("scores", {"headline": "H", "score": -0.3}, "H\nQuestion: Is this negative, neutral or positive?\nAnswer:",
     " neutral"),
    ("quiz", {"question": "Q?", "options": ["x", "y"], "right": 1}, "Q?\nA. x\nB. y\nAnswer:", " B"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "row", "prompt", "answer"), SHAPES, ids=[shape[0] for shape in SHAPES])
def test_a_row_of_each_shape_word_for_word(
    name: str, row: dict[str, Any], prompt: str, answer: str, tmp_path: Path
) -> None:
    source = load_study(EXAMPLES / "shapes.yaml").sources[name]
    write(tmp_path / "rows.jsonl", [row])
    own = with_fields(source, files=("rows.jsonl",), held_out=None)
    (only,) = rows(own, tmp_path)
    assert only.rendered is not None
    assert (only.rendered.prompt, only.rendered.answer) == (prompt, answer)


def test_scores_of_a_csv_fall_into_their_bins(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("headline,score\na,-0.9\nb,-0.3\nc,0\nd,0.3\ne,1\n")
    source = load_study(EXAMPLES / "shapes.yaml").sources["scores"]
    own = with_fields(source, files=("rows.csv",), held_out=None)
    found = [row.rendered.answer for row in rows(own, tmp_path) if row.rendered]
    assert found == [" negative", " neutral", " neutral", " positive", " positive"]


def changed(text: str, tmp_path: Path) -> Study:
    (tmp_path / "study.yaml").write_text(text)
    return load_study(tmp_path / "study.yaml")


def test_own_files_without_a_side_of_their_own_are_refused(tmp_path: Path) -> None:
    text = (EXAMPLES / "shapes.yaml").read_text()
    with pytest.raises(StudyError, match="own files have no splits: hold out `files` or a `share`"):
        changed(text.replace("held_out: {files: [data/quiz-test.jsonl]}", "held_out: {split: test}"), tmp_path)
    with pytest.raises(StudyError, match="exactly one of `split`, `files` and `share`"):
        changed(text.replace("{files: [data/quiz-test.jsonl]}", "{files: [x.jsonl], share: 0.1}"), tmp_path)
    with pytest.raises(StudyError, match="of a Hub source name the `split`"):
        changed(text.replace("files: [data/quiz-train.jsonl]", "hub: org/quiz"), tmp_path)


def test_a_base_in_a_folder_of_ones_own(tmp_path: Path) -> None:
    """A model that no package ships, under its own path."""
    study = load_study(EXAMPLES / "shapes.yaml")
    shutil.copytree(locate_base(study.base), tmp_path / "my-model")
    shutil.copytree(EXAMPLES / "data", tmp_path / "data")
    text = (EXAMPLES / "shapes.yaml").read_text()
    text = text.replace("{id: regimen/tiny-qwen2, origin: packaged,", f"{{id: {tmp_path / 'my-model'}, origin: folder,")
    own = changed(text, tmp_path)
    plan = compile_plan(own, only=["scores", "1-scores"], tasks=["scores"], eval_items=12)
    assert_done(run_inline(plan, tmp_path / "run", here=tmp_path))
    packaged = compile_plan(study, only=["scores", "1-scores"], tasks=["scores"], eval_items=12)
    ends = [next(s for s in p.stages.values() if isinstance(s, EvaluateSpec) and s.trained) for p in (plan, packaged)]
    assert ends[0].fingerprint != ends[1].fingerprint, "another path is another base"
    spec = json.loads((RunFolder(tmp_path / "run").stages / ends[0].folder / "spec.json").read_text())
    assert str(tmp_path / "my-model") in json.dumps(spec)


def test_conversations_are_learnt_and_asked_by_their_template(tmp_path: Path) -> None:
    plan, out = carried_out(EXAMPLES / "chat.yaml", tmp_path / "run")
    found = scores(plan, out)
    assert found["1-shop", "shop"] < 0.2
    assert min(found["every", "shop"], found["last", "shop"]) > 0.3
    items = next(stage for stage in plan.stages.values() if isinstance(stage, ItemsSpec))
    asked = read_items(RunFolder(out).folder(items).path / "items.jsonl")[0]
    assert asked.conversation is not None
    assert asked.conversation.turns[-1].content == asked.answer
    assert asked.answer not in asked.prompt


def test_an_export_carries_the_template_by_which_it_was_trained(tmp_path: Path) -> None:
    """transformers renders the exported template as the training rows were rendered."""
    from transformers import AutoTokenizer

    from regimen.data.chat import template_of
    from regimen.data.conversations import conversation_of

    plan, out = carried_out(EXAMPLES / "chat.yaml", tmp_path / "run")
    result = CliRunner().invoke(app, ["export", "last", "--run", str(out), "--to", str(tmp_path / "adapter")])
    assert result.exit_code == 0, result.output
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "adapter")
    talk = [{"role": "user", "content": "Have you 4 maps?"}, {"role": "assistant", "content": "Yes."}]
    ours = template_of(locate_base(plan.study.base), "plain").pieces(conversation_of("messages", talk), "last")
    assert tokenizer.apply_chat_template(talk, tokenize=False) == "".join(piece.text for piece in ours)


def test_a_folder_of_texts_is_read(tmp_path: Path) -> None:
    plan, out = carried_out(EXAMPLES / "documents.yaml", tmp_path / "run")
    ends = {stage.label: stage.fingerprint for stage in plan.stages.values() if isinstance(stage, EvaluateSpec)}
    bits = {
        label: outcome_facts(plan, out, end, EvaluatedFacts).defined["bits-per-byte"] for label, end in ends.items()
    }
    assert bits["read-40-logs"] < bits["read-10-logs"] < bits["zero-shot-logs"]
    items = next(stage for stage in plan.stages.values() if isinstance(stage, ItemsSpec))
    names = {item.id.split(":")[1] for item in read_items(RunFolder(out).folder(items).path / "items.jsonl")}
    assert all(name.startswith("data/documents/") and name.endswith(".txt") for name in names)


def test_instructions_as_alpaca_has_them_are_learnt(tmp_path: Path) -> None:
    plan, out = carried_out(EXAMPLES / "alpaca.yaml", tmp_path / "run")
    found = scores(plan, out)
    assert found["1-instructions", "instructions"] < 0.2
    assert found["direct-120", "instructions"] > 0.5


def test_the_learning_rate_is_chosen_and_helps(tmp_path: Path) -> None:
    """Of four candidates two go on and one is trained in full; the results name its rate."""
    plan, out = carried_out(EXAMPLES / "tuned.yaml", tmp_path / "run")
    frame = open_run(out).results()
    ours = frame[frame.metric == "accuracy"].set_index("experiment")
    rows = tuning_rows(plan, RunFolder(out).read(plan).outcomes)
    assert [(row.rung, row.fate) for row in rows] == [
        *((1, fate) for fate in ("goes on", "goes on", "out", "out")),
        *((2, fate) for fate in ("chosen", "out")),
    ]
    assert ours.learning_rate["reviews"] == rows[4].learning_rate
    assert ours.value["reviews"] > ours.value["1-reviews"]
    page = write_report(RunFolder(out), plan).read_text(encoding="utf-8")
    short = (out / "report" / "report.md").read_text(encoding="utf-8")
    listed = list(csv.DictReader((out / "report" / "tuning.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["learning_rate"]) for row in listed] == [pytest.approx(row.learning_rate) for row in rows]
    for row in rows:
        for text in (page, short):
            assert f"{row.learning_rate:.3g}" in text
            assert f"{row.validation_loss:.4f}" in text
    assert "Choosing took 50 steps" in page
    assert "training every candidate in full would take 160" in page


def test_rows_and_seeds_run_and_their_results_say_what_was_read(tmp_path: Path) -> None:
    """Four sizes and a setting, two of the three seeds; more rows are better, and each run says what it read."""
    path = EXAMPLES / "rows-and-seeds.yaml"
    assert {len(recipe.runs) for recipe in load_study(path).recipes if recipe.first.legs} == {3}
    study = count_epochs(load_study(path, seeds=2), here=path.parent)
    plan = compile_plan(study, only=["1-*", "reviews*", "by-rate~lr1e-2~r8*"], eval_items=24)
    assert [recipe.id for recipe in plan.recipes][1:5] == [f"reviews~rows{n}" for n in (10, 30, 100, "all")]
    assert all(len(recipe.runs) == 2 for recipe in plan.recipes if recipe.first.legs)
    run_inline(plan, tmp_path / "run", here=path.parent)
    frame = open_run(tmp_path / "run").results()
    ours = frame[frame.metric == "accuracy"].set_index("experiment")
    assert [ours.unique_rows[f"reviews~rows{n}"] for n in (10, 30, 100)] == [10, 30, 100]
    by_recipe = ours.groupby("recipe").value.mean()
    assert by_recipe["reviews~rows100"] > by_recipe["reviews~rows10"] + 0.1
    once = ours[ours.recipe == "by-rate~lr1e-2~r8~alpha16"]
    assert sorted(once.seed) == [17, 18]
    assert set(once["rank"]) == {8}
    assert all(1 <= epochs < 1.05 for epochs in once.epochs), "one epoch, a part of the last step more"
    assert (ours.tokens.dropna() > 10_000).all()


def test_two_bases_of_two_tokenizers_are_compared_on_the_same_items(tmp_path: Path) -> None:
    plan, out = carried_out(EXAMPLES / "two-bases.yaml", tmp_path / "run")
    bases = {"regimen/tiny-qwen2", "regimen/tiny-llama"}
    prepared = [stage for stage in plan.stages.values() if isinstance(stage, PrepareSpec)]
    assert {(stage.source_name, stage.base.id) for stage in prepared} == {
        (source, base) for source in ("notes", "reviews") for base in bases
    }
    assert len({stage.items for stage in plan.stages.values() if isinstance(stage, EvaluateSpec)}) == 2, "of two tasks"
    opened = open_run(out)
    frame = opened.results()
    own = frame[frame.primary].set_index(["experiment", "task"])
    for base in ("tiny-qwen2", "tiny-llama"):
        assert own.value[f"read~{base}", "notes"] < own.baseline[f"read~{base}", "notes"], "bits per byte fall"
    assert own.base["zero-shot~tiny-llama", "notes"] == "regimen/tiny-llama"
    judged = judge_contrasts(Evidence(RunTables(opened.folder, opened.plan)), plan.study.questions["bases"].contrasts)
    assert {one.comparison.items for one in judged.values() if one.comparison} == {24}, "both are tested"
    assert len(judged) == 2
    assert all(one.runs == 2 for one in judged.values())
