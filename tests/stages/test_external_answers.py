"""Other systems' answers: a model's own answers, given back as a file, are its own row; faults are named by line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from regimen.analysis.evidence import Evidence
from regimen.analysis.experiment_comparison import compare_experiments
from regimen.analysis.exploratory_grid import exploratory_grid
from regimen.analysis.relative_gains import RelativeGains
from regimen.analysis.thresholds import thresholds
from regimen.api import open_run
from regimen.cli.app import app
from regimen.errors import DataError, RegimenError, RunFolderError, UsageError
from regimen.plan import ItemsSpec
from regimen.results import layout
from regimen.results.external import read_external, write_external
from regimen.results.tables import RunTables
from regimen.stages.external_answers import asked_items, score_file
from regimen.study.questions import ThresholdRule
from tests.support.row_files import write
from tests.support.small_runs import run_small, small_plan, small_study
from tests.support.studies import with_fields

SUMS = [{"q": f"{n % 7} + {n % 5}", "a": str(n % 7 + n % 5), "n": n} for n in range(60)]
TASKS = {
    "a": {"title": "A", "group": "g", "source": ["a"], "scoring": "choice", "metrics": ["accuracy", "acc-norm"]},
    "sums": {"title": "Sums", "group": "g", "source": ["sums"], "scoring": "generation",
             "metrics": ["numeric-match", "exact-match"], "generation": {"tokens": 4}},
    "texts": {"title": "Texts", "group": "t", "panel": "text", "source": ["texts"], "scoring": "text",
              "metrics": ["bits-per-byte"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("external")
    write(folder / "sums.jsonl", [{"q": f"item {row['n']}: {row['q']}", "a": row["a"]} for row in SUMS])
    write(folder / "texts.jsonl", [{"t": f"Text {n} says {n * 7919 % 613} things."} for n in range(30)])
    study = small_study(folder, tasks=TASKS)
    text = study.read_text().replace("sources:\n", (
        "sources:\n"
        "  sums: {files: [sums.jsonl], form: {prompt: '{{ q }} =', answer: '{{ a }}'}, held_out: {share: 0.3}}\n"
        "  texts: {files: [texts.jsonl], form: {text: '{{ t }}'}, held_out: {share: 0.3}}\n"))  # fmt: skip
    study.write_text(text.replace("direct: a", "{direct: a, both: 'a:50 sums:50'}").replace("finetune:\n", "finetune:"))
    summary, _ = run_small(small_plan(study), folder / "run", folder)
    assert summary.exit_code == 0
    return folder / "run"


@pytest.fixture
def run(done: Path, tmp_path: Path) -> Path:
    shutil.copytree(done, tmp_path / "run")
    return tmp_path / "run"


def answers_of(run: Path, experiment: str, task: str, column: str) -> list[dict[str, str | None]]:
    """The answers of one of the run's own models, as another system would hand them in; in another order."""
    opened = open_run(run)
    cell = RunTables(opened.folder, opened.plan).cells[experiment, task]
    table = pq.read_table(cell.folder / layout.ITEM_ROWS).to_pylist()
    return [{"item_id": row["item_id"], "prediction": row[column]} for row in reversed(table)]


def score(run: Path, task: str, rows: list[dict[str, str | None]] | str, name: str = "gpt-4") -> None:
    file = run.parent / f"{name}.jsonl"
    file.write_text(rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows))
    opened = open_run(run)
    score_file(opened.folder, opened.plan, task, file, name)


@pytest.mark.parametrize(("task", "column"), [("a", "prediction"), ("sums", "text")])
def test_a_models_own_answers_are_its_own_row(run: Path, task: str, column: str) -> None:
    score(run, task, answers_of(run, "both", task, column))
    frame: Any = open_run(run).results()
    rows = frame[(frame.task == task) & frame.experiment.isin(["both", "external~gpt-4"])]
    own, theirs = (rows[rows.experiment == name].set_index("metric") for name in ("both", "external~gpt-4"))
    assert set(theirs.index) == set(own.index) - {"acc-norm"}, "all that needs no likelihoods"
    for metric in theirs.index:
        for column in ("value", "ci_low", "ci_high", "n", "delta", "delta_ci_low", "delta_ci_high", "p_value"):
            assert theirs[column][metric] == pytest.approx(own[column][metric], nan_ok=True), (metric, column)
    assert theirs.external.all()
    assert set(theirs.phase) == {"external"}
    assert not frame[frame.experiment == "both"].external.any()
    evidence = Evidence(RunTables(open_run(run).folder, open_run(run).plan))
    (row,) = compare_experiments(evidence, "both", "external~gpt-4", [task]).tasks
    assert row.comparison is not None
    assert row.comparison.estimate == 0


def test_it_changes_nothing_of_the_models_and_is_no_recipe(run: Path) -> None:
    opened = open_run(run)
    before = exploratory_grid(Evidence(RunTables(opened.folder, opened.plan)))
    score(run, "a", answers_of(run, "direct", "a", "prediction"))
    evidence = Evidence(RunTables(opened.folder, opened.plan))
    after = exploratory_grid(evidence)
    assert {cell: after[cell].p_adjusted for cell in before} == {cell: before[cell].p_adjusted for cell in before}
    assert set(after) - set(before) == {("external~gpt-4", "a")}
    assert set(RelativeGains(evidence, after).recipes) == {"direct", "both"}
    assert "external~gpt-4" not in evidence.trained
    report = CliRunner().invoke(app, ["report", str(run)])
    assert report.exit_code == 0, report.output
    page, table = ((run / layout.REPORT / name).read_text() for name in (layout.PAGE, layout.TABLE))
    assert "external~gpt-4" in page
    assert table.count("external~gpt-4") == 1, "accuracy alone"


def test_a_measured_figure_goes_before_a_published_one(run: Path) -> None:
    opened = open_run(run)
    rule = ThresholdRule(kind="threshold", anchor="GPT-4", fraction=0.8)
    asked = asked_items(opened.folder, opened.plan, "sums")
    ids = [str(one["item_id"]) for one in asked]
    assert thresholds(Evidence(RunTables(opened.folder, opened.plan)), rule)[1].anchor is None
    gold = {row.id: row.answer for row in items(run, "sums")}
    score(run, "sums", [{"item_id": one, "prediction": gold[one]} for one in ids])
    entry = thresholds(Evidence(RunTables(opened.folder, opened.plan)), rule)[1]
    assert entry.anchor is not None
    assert entry.anchor.value == 1
    assert entry.threshold == pytest.approx(0.8)
    assert "takes as exact" in entry.note


def items(run: Path, task: str) -> list:
    from regimen.data.items import read_items

    opened = open_run(run)
    stage = next(s for s in opened.plan.stages.values() if isinstance(s, ItemsSpec) and s.label == task)
    return read_items(opened.folder.folder(stage).path / layout.ITEMS)


def test_the_items_are_written_as_they_are_to_be_asked(run: Path) -> None:
    to = run.parent / "asked.jsonl"
    result = CliRunner().invoke(app, ["items", "--task", "sums", "--run", str(run), "--to", str(to)])
    assert result.exit_code == 0, result.output
    asked = [json.loads(line) for line in to.read_text().splitlines()]
    known = {item.id: item for item in items(run, "sums")}
    assert {row["item_id"] for row in asked} == set(known)
    for row in asked:
        prompt = known[row["item_id"]].prompt
        assert row == {"item_id": row["item_id"], "prompt": prompt, "stop": ["\n"], "max_tokens": 4}
    choices = CliRunner().invoke(app, ["items", "--task", "a", "--run", str(run)]).stdout.splitlines()
    assert json.loads(choices[0]).keys() == {"item_id", "prompt", "choices"}
    again = CliRunner().invoke(app, ["items", "--task", "sums", "--run", str(run), "--to", str(to)])
    assert isinstance(again.exception, UsageError)


def test_what_could_not_be_read_or_was_not_given_counts_as_wrong_and_is_said(run: Path) -> None:
    rows = answers_of(run, "direct", "a", "prediction")
    right = {item.id: item.answer.strip() for item in items(run, "a")}
    given = [{"item_id": row["item_id"], "prediction": right[str(row["item_id"])].upper() + "."} for row in rows]
    given[0]["prediction"], given[1]["prediction"] = None, "perhaps"
    (run.parent / "GPT.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given))
    result = CliRunner().invoke(app, ["score", str(run.parent / "GPT.jsonl"), "--task", "a", "--run", str(run)])
    assert result.exit_code == 0, result.output
    share = (len(rows) - 2) / len(rows)
    assert f"external~gpt, a, {len(rows)} items: accuracy {share:.3f}" in result.stdout
    assert "1 had no answer and count as wrong" in result.stdout
    assert "1 could not be read and count as wrong" in result.stdout
    assert "without a value, since they need a model's likelihoods: acc-norm" in result.stdout


FAULTS = [
    (lambda rows: rows[:-1], r"1 of \d+ items have no line \(the first is 'a:.*\"prediction\": null"),
    (lambda rows: [*rows, rows[0]], r"line \d+: the item 'a:.*' has an answer in line 1 already; keep one"),
    (lambda rows: [*rows, {"item_id": "a:a.jsonl:999", "prediction": "x"}], r"line \d+: the task 'a' has no item"),
    (lambda rows: [{"item_id": rows[0]["item_id"], "prediction": 3}], r"line 1: `prediction` is 3, which is no text"),
    (lambda rows: [{"id": "x", "prediction": "y"}], r"line 1 has no `item_id` and `prediction`"),
    (lambda rows: "{\n", r"line 1 is no JSON in UTF-8"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[str(n) for n in range(len(FAULTS))])
def test_faults_are_named_by_line_and_nothing_is_written(run: Path, fault, message: str) -> None:
    with pytest.raises(DataError, match=message):
        score(run, "a", fault(answers_of(run, "direct", "a", "prediction")))
    assert not (run / layout.EXTERNAL).exists()


def test_what_has_no_answers_or_no_items_is_refused(run: Path) -> None:
    with pytest.raises(UsageError, match="the task 'texts' measures how likely a model finds texts"):
        score(run, "texts", [])
    with pytest.raises(UsageError, match="no task 'b'"):
        score(run, "b", [])
    with pytest.raises(UsageError, match="cannot be the name of a row"):
        score(run, "a", [], name="GPT 4")
    for folder in (run / layout.STAGES).glob("items-a-*"):
        (folder / layout.MARKER).unlink()
    with pytest.raises(RunFolderError, match="has no test items of 'a' yet"):
        score(run, "a", [])
    with pytest.raises(RegimenError):
        CliRunner().invoke(app, ["score", "none.jsonl", "--task", "sums", "--run", str(run)], catch_exceptions=False)


def test_a_row_of_other_items_or_a_damaged_one_is_left_out_and_said(run: Path) -> None:
    score(run, "a", answers_of(run, "direct", "a", "prediction"))
    opened = open_run(run)
    ((row, place),) = read_external(run, opened.plan).rows
    path = place / layout.ITEM_ROWS
    whole = path.read_bytes()
    write_external(run, with_fields(row, items="0" * 12), pq.read_table(path).to_pydict())
    found = read_external(run, opened.plan)
    assert not found.rows
    assert found.faults == ("external~gpt-4 answered other items of a than this run's; score it again",)
    path.write_bytes(whole[:100])
    found = read_external(run, opened.plan)
    assert not found.rows
    assert "is damaged; score the answers again" in found.faults[0]
    report = CliRunner().invoke(app, ["report", str(run)])
    assert report.exit_code == 0, report.output
    assert "is damaged; score the answers again" in (run / layout.REPORT / layout.PAGE).read_text()
