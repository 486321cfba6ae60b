"""A judge's verdicts on saved answers: read by item and answer, never a zero where there is none, no new generation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from regimen.errors import StudyError
from regimen.evaluation import evaluator
from regimen.plan import Plan, compile_plan
from regimen.results import RunFolder
from regimen.study import dump_study, load_study
from tests.support.inline_runs import assert_done, run_inline
from tests.support.sums_study import STUDY, evaluated

VERDICTS = "verdicts:help"


def planned(folder: Path, metrics: str) -> Plan:
    rows = "".join(f"{n} plus {n + 1} is?,{2 * n + 1}\n" for n in range(40))
    (folder / "sums.csv").write_text(f"question,result\n{rows}")
    (folder / "study.yaml").write_text(STUDY.replace("METRICS", metrics))
    return compile_plan(load_study(folder / "study.yaml"))


def answers(out: Path) -> list[dict[str, Any]]:
    """Every answer of every model, as users find them in the run folder."""
    tables = [pq.read_table(path).to_pylist() for path in sorted(out.glob("stages/evaluate-*/items.parquet"))]
    return [{"item": row["item_id"], "answer": row["text"]} for table in tables for row in table]


def judged(folder: Path, lines: list[dict[str, Any]]) -> None:
    (folder / "help.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def mean(out: Path, label: str) -> float:
    (path,) = out.glob(f"stages/evaluate-{label}-*/items.parquet")
    texts = [row["text"] for row in pq.read_table(path).to_pylist()]
    return sum(len(text.strip()) for text in texts) / len(texts)


def test_verdicts_score_the_answers_that_a_finished_run_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    assert_done(run_inline(planned(tmp_path, "[exact-match]"), out, here=tmp_path))
    saved = answers(out)
    means = {label: mean(out, label) for label in ("1-sums", "direct-sums")}
    judged(tmp_path, [{**one, "score": len(one["answer"].strip()), "why": "its length"} for one in saved])
    with monkeypatch.context() as patched:
        patched.setattr(evaluator, "generate", None)  # nothing is generated again
        plan = planned(tmp_path, f"[exact-match, '{VERDICTS}']")
        assert_done(run_inline(plan, out, here=tmp_path))
        whole = evaluated(plan, out)
        judged(tmp_path, [{**one, "score": True} for one in saved[1:]])
        fewer = planned(tmp_path, f"[exact-match, '{VERDICTS}']")
        assert_done(run_inline(fewer, out, here=tmp_path))
        lacking = evaluated(fewer, out)
    assert {label: facts.metrics[VERDICTS] for label, facts in whole.items()} == pytest.approx(means)
    values = [facts.metrics[VERDICTS] for facts in lacking.values()]
    assert None in values, "an answer without a verdict is never a zero"
    (sentence,) = {text for facts in lacking.values() for text in facts.without_value.values()}
    assert "has no verdict on this answer" in sentence
    assert RunFolder(out).study() == fewer.study, "a run folder is read without the file"


def test_a_changed_verdict_is_part_of_what_a_score_is(tmp_path: Path) -> None:
    judged(tmp_path, [{"item": "a", "answer": "yes", "score": 1}])
    one = planned(tmp_path, f"['{VERDICTS}']")
    judged(tmp_path, [{"item": "a", "answer": "yes", "score": 0}])
    other = planned(tmp_path, f"['{VERDICTS}']")
    changed = set(one.stages) ^ set(other.stages)
    assert {plan.stages[name].kind for plan in (one, other) for name in plan.stages if name in changed} == {"evaluate"}


def test_a_study_with_verdicts_reads_back(tmp_path: Path) -> None:
    judged(tmp_path, [{"item": "a", "answer": " yes\n", "score": 0.25}, {"item": "b", "answer": "", "score": -1e-7}])
    study = planned(tmp_path, f"[exact-match, '{VERDICTS}:lower']").study
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "study.yaml").write_text(dump_study(study))
    assert load_study(tmp_path / "kept" / "study.yaml") == study
    (file,) = study.tasks["sums"].verdicts
    assert sorted(file.scores.values()) == [-1e-7, 0.25]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("nonsense", "help.jsonl, line 2: Expecting value"),
        ("[1]", "line 2: a verdict is an object with item, answer and score"),
        ('{"item": 3, "answer": "x", "score": 1}', "line 2: 'item' is 3; it must be text"),
        ('{"item": "a", "answer": "x"}', "line 2: 'score' is None; it must be a finite number, true or false"),
        ('{"item": "a", "answer": "x", "score": NaN}', "line 2: 'score' is nan"),
        ('{"item": "a", "answer": "yes ", "score": 0}', "line 2: the same item and answer have two scores"),
    ],
)
def test_what_is_no_verdict_is_named_with_its_line(line: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "help.jsonl").write_text(f'{{"item": "a", "answer": "yes", "score": 1}}\n{line}\n')
    with pytest.raises(StudyError) as refused:
        planned(tmp_path, f"['{VERDICTS}']")
    assert fault in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no file 'help.jsonl' of verdicts beside the study"):
        planned(tmp_path, f"['{VERDICTS}']")
