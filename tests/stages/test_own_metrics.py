"""A run with metrics of the user's own: scored, read again without a new generation, refused without trust."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from regimen.api import run
from regimen.errors import UsageError
from regimen.evaluation import evaluator
from regimen.files import write_json
from regimen.plan import Plan, compile_plan
from regimen.report.run_report import write_report
from regimen.results import RunFolder, layout, read_outcome
from regimen.study import load_study
from tests.support.inline_runs import assert_done, run_inline
from tests.support.studies import with_fields
from tests.support.sums_study import STUDY, evaluated

CODE = """\
def length(prediction, answers):
    return float(len(prediction))


length.better = "lower"


def fussy(prediction, answers):
    raise ValueError(f"{answers[0]} is not to my taste")
"""


def planned(folder: Path, metrics: str, code: str = CODE) -> Plan:
    rows = "".join(f"{n} plus {n + 1} is?,{2 * n + 1}\n" for n in range(40))
    (folder / "sums.csv").write_text(f"question,result\n{rows}")
    (folder / "marks.py").write_text(code)
    (folder / "study.yaml").write_text(STUDY.replace("METRICS", metrics))
    return compile_plan(load_study(folder / "study.yaml", trust_code=True))


def test_an_added_or_changed_metric_reads_the_saved_answers_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, out = planned(tmp_path, "[numeric-match]"), tmp_path / "run"
    assert_done(run_inline(plan, out, here=tmp_path))
    before = evaluated(plan, out)

    def refuse(*_: object) -> None:
        raise AssertionError("generates again")

    with monkeypatch.context() as patched:
        patched.setattr(evaluator, "generate", refuse)
        more = planned(tmp_path, "[numeric-match, 'marks:length', 'marks:fussy']")
        assert_done(run_inline(more, out, here=tmp_path, trust_code=True))
        after = evaluated(more, out)
        longer = planned(tmp_path, "[numeric-match, 'marks:length']", CODE.replace("float(len", "2.0 * float(len"))
        assert_done(run_inline(longer, out, here=tmp_path, trust_code=True))
        doubled = evaluated(longer, out)
    for label, facts in after.items():
        assert facts.answers_from is not None
        assert facts.answers_from.startswith(f"evaluate-{label}-")
        assert facts.metrics["numeric-match"] == before[label].metrics["numeric-match"]
        assert (facts.failed, facts.truncated) == (before[label].failed, before[label].truncated)
        assert doubled[label].metrics["marks:length:lower"] == 2 * (facts.metrics["marks:length:lower"] or 0.0)
        assert facts.metrics["marks:fussy"] is None
        assert f"{facts.items} of {facts.items} items have no value" in facts.without_value["marks:fussy"]
        assert "raised ValueError: " in facts.without_value["marks:fussy"]
    page = write_report(RunFolder(out), more).read_text()
    assert "No value for marks:fussy of direct on sums" in page


def test_saved_answers_are_those_that_would_be_generated(tmp_path: Path) -> None:
    plan = planned(tmp_path, "[exact-match, 'marks:length']")
    assert_done(run_inline(planned(tmp_path, "[numeric-match]"), tmp_path / "one", here=tmp_path))
    assert_done(run_inline(plan, tmp_path / "one", here=tmp_path, trust_code=True))
    assert_done(run_inline(plan, tmp_path / "two", here=tmp_path, trust_code=True))
    again, fresh = evaluated(plan, tmp_path / "one"), evaluated(plan, tmp_path / "two")
    for label, facts in fresh.items():
        assert facts.answers_from is None
        assert with_fields(again[label], answers_from=None) == facts


def test_answers_of_another_adapter_or_damaged_ones_are_not_read_again(tmp_path: Path) -> None:
    """A stage keeps its name when what it was made from is made anew; its answers are then of something else."""
    plan, out = planned(tmp_path, "[numeric-match]"), tmp_path / "run"
    assert_done(run_inline(plan, out, here=tmp_path))
    (direct,) = out.glob("stages/evaluate-direct-sums-*")
    outcome = read_outcome(direct)
    other = dict.fromkeys(outcome.inputs, "0" * 64)
    write_json(direct / layout.OUTCOME, replace(outcome, inputs=other).to_json())
    (base,) = out.glob("stages/evaluate-1-sums-*")
    (base / layout.ITEM_ROWS).write_bytes((base / layout.ITEM_ROWS).read_bytes() + b" ")
    more = planned(tmp_path, "[numeric-match, 'marks:length']")
    assert_done(run_inline(more, out, here=tmp_path, trust_code=True))
    assert {facts.answers_from for facts in evaluated(more, out).values()} == {None}


def test_a_plan_with_code_is_run_by_those_who_trust_it_alone(tmp_path: Path) -> None:
    plan = planned(tmp_path, "['marks:length']")
    with pytest.raises(UsageError, match="--trust-study-code"):
        run(plan, out=tmp_path / "run", here=tmp_path)
    broken = planned(tmp_path, "['marks:length']", f"import no_such_package_here\n{CODE}")
    with pytest.raises(UsageError, match=r"the task 'sums': marks.py beside the study cannot be run"):
        run(broken, out=tmp_path / "run", here=tmp_path, trust_code=True)
    assert not (tmp_path / "run").exists()
    untrusted = run_inline(plan, tmp_path / "other", here=tmp_path)
    assert {error for error in untrusted.errors.values() if "--trust-study-code" in error}
