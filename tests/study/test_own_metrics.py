"""Metrics of the user's own in a study: refused without trust, checked without being run, part of what results are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from regimen.errors import StudyError, UsageError
from regimen.plan import EvaluateSpec, Plan, compile_plan
from regimen.study import Study, dump_study, load_study, loading
from regimen.study.metrics import better_sign, metric
from tests.support.commands import refused, regimen
from tests.support.studies import MINIMAL

CODE = """\
from pathlib import Path

Path(__file__ if "__file__" in globals() else "ran").with_name("canary").write_text("ran")
raise SystemExit("loading a study runs nothing")


def brevity(prediction, answers):
    return 1 / (1 + len(prediction))


def extra(prediction: str, answers: list[str], *, case: bool = False) -> float:
    return 0.0


extra.better = "lower"
"""


def written(folder: Path, metrics: str, code: str = CODE) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "judge.py").write_text(code)
    path = folder / "study.yaml"
    task = f"scoring: generation, generation: {{tokens: 4}}, metrics: {metrics}"
    path.write_text(MINIMAL.replace("scoring: choice, metrics: [accuracy]", task))
    return path


def load(folder: Path, metrics: str, code: str = CODE) -> Study:
    return load_study(written(folder, metrics, code), trust_code=True)


def names_of(plan: Plan) -> tuple[set[str], set[str]]:
    """The fingerprints of evaluations, and of all other stages."""
    of_tasks = {name for name, stage in plan.stages.items() if isinstance(stage, EvaluateSpec)}
    return of_tasks, set(plan.stages) - of_tasks


def test_code_is_refused_until_it_is_trusted_and_never_run_by_loading(tmp_path: Path) -> None:
    path = written(tmp_path, "[judge:brevity, exact-match, judge:extra]")
    sentence = (
        r"study\.yaml names code of its own \(judge:brevity, judge:extra\), which runs with your rights: read it, "
        r"then give --trust-study-code \(in Python: trust_code=True\)"
    )
    with pytest.raises(UsageError, match=sentence):
        load_study(path)
    task = load_study(path, trust_code=True).tasks["mood"]
    assert task.metrics == ("judge:brevity", "exact-match", "judge:extra:lower")
    assert [(file.module, file.text) for file in task.code] == [("judge", CODE)]
    assert not list(tmp_path.glob("canary"))
    assert [better_sign(name) for name in task.metrics] == [1, 1, -1]
    assert metric("judge:extra:lower").mean


def test_the_commands_refuse_it_in_one_sentence(tmp_path: Path) -> None:
    path = written(tmp_path / "mine", "[judge:brevity]")
    for command in (["run", str(path), "--out", str(tmp_path / "out")], ["plan", str(path)]):
        message = refused(*command)
        assert "--trust-study-code" in message
        assert message.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert regimen("plan", str(path), "--trust-study-code", "--json").returncode == 0


def test_code_of_a_packaged_study_is_refused_even_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "[judge:brevity]")
    monkeypatch.setattr(loading, "packaged_studies", lambda: {"small": path})
    with pytest.raises(UsageError, match="comes with the package and names code"):
        load_study("small", trust_code=True)


@pytest.mark.parametrize(
    ("metrics", "code", "says"),
    [
        ("[other:brevity]", CODE, "no file 'other.py' beside the study"),
        ("[judge:missing]", CODE, "judge.py has no `def missing(prediction, answers)` at its top level"),
        ("[judge:f]", "def f(prediction): pass", "f in judge.py must take two values"),
        ("[judge:f]", "def f(a, b, c): pass", "f in judge.py must take two values"),
        ("[judge:f]", "def f(a, b, *, c): pass", "f in judge.py must take two values"),
        ("[judge:f]", "def f(a, b): pass\nf.better = 'up'", 'f.better in judge.py must be "higher" or "lower"'),
        ("[judge:f]", "def f(a, b:\n", "judge.py, line 1: "),
        ("[judge:f]", "def f(a, b): pass\x00", "judge.py"),
        ("[judge:extra:lower, judge:brevity:lower]", CODE, "write judge:brevity; which way is better is given in"),
        ("[judge:extra, judge:extra]", CODE, "the metric 'judge:extra:lower' appears twice"),
    ],
)
def test_a_file_that_holds_no_such_metric_is_named_with_its_line(
    metrics: str, code: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyError) as caught:
        load(tmp_path, metrics, code)
    (fault,) = caught.value.faults
    assert fault.startswith("line 13")
    assert says in fault


def test_functions_of_any_shape_that_takes_two_values_are_taken(tmp_path: Path) -> None:
    for code in ("def f(a, b, /): pass", "def f(a, b, c=1): pass", "def f(*a): pass", "def f(a, *b, **c): pass"):
        load(tmp_path, "[judge:f]", code)


def test_an_own_metric_goes_with_generated_answers_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "[judge:brevity]")
    path.write_text(re.sub("scoring: generation, generation: {tokens: 4}", "scoring: choice", path.read_text()))
    with pytest.raises(StudyError, match="goes with scoring: generation"):
        load_study(path, trust_code=True)


def test_a_changed_file_makes_new_evaluations_and_nothing_else_new(tmp_path: Path) -> None:
    before = names_of(compile_plan(load(tmp_path, "[judge:brevity]")))
    again = names_of(compile_plan(load(tmp_path / "elsewhere", "[judge:brevity]")))
    changed = names_of(compile_plan(load(tmp_path, "[judge:brevity]", CODE.replace("1 +", "2 +"))))
    assert before == again
    assert before[1] == changed[1]
    assert before[0].isdisjoint(changed[0])


def test_a_run_folder_holds_the_code_and_gives_the_same_study_back(tmp_path: Path) -> None:
    study = load(tmp_path, "[judge:brevity, judge:extra]")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "study.yaml").write_text(dump_study(study))
    again = load_study(tmp_path / "run" / "study.yaml", trust_code=True)
    assert again == study
    assert compile_plan(again).stages.keys() == compile_plan(study).stages.keys()
    with pytest.raises(UsageError, match="--trust-study-code"):
        load_study(tmp_path / "run" / "study.yaml")


def test_a_task_without_code_is_named_as_it_was() -> None:
    stages = compile_plan(load_study("qwen2-finance", "demo")).stages.values()
    identities: list[Any] = [stage.identity for stage in stages if isinstance(stage, EvaluateSpec)]
    assert all("code" not in identity["task"] for identity in identities)
