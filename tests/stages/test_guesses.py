"""What was guessed of a file's layout is in the stage's log, in its outcome, and said once by the run."""

from __future__ import annotations

import json
from pathlib import Path

from regimen.execution.events import Note, RunEvent, StageChanged
from regimen.execution.runner import _Counting
from regimen.plan import compile_plan
from regimen.results import ItemsFacts, PreparedFacts, RunFolder, layout
from regimen.study import load_study
from tests.support.inline_runs import assert_done, run_inline
from tests.support.sums_study import STUDY

GUESS = "source sums: sums.csv: its columns are parted by ;"


def test_a_guessed_delimiter_is_noted_where_rows_are_prepared(tmp_path: Path) -> None:
    rows = "".join(f"{n} plus {n + 1} is?;{2 * n + 1}\n" for n in range(40))
    (tmp_path / "sums.csv").write_text(f"question;result\n{rows}")
    (tmp_path / "study.yaml").write_text(STUDY.replace("METRICS", "[exact-match]"))
    plan, out = compile_plan(load_study(tmp_path / "study.yaml")), tmp_path / "run"
    assert_done(run_inline(plan, out, here=tmp_path))
    folder = RunFolder(out)
    found: list[RunEvent] = []
    counting = _Counting(found.append)
    for name, outcome in folder.read(plan).outcomes.items():
        stage = plan.stages[name]
        if isinstance(outcome.facts, PreparedFacts | ItemsFacts):
            assert outcome.facts.guesses == (GUESS,)
            log = (folder.folder(stage).path / layout.LOG).read_text().splitlines()
            assert GUESS in [json.loads(line).get("detail") for line in log]
        counting(StageChanged(name, "done", outcome=outcome))
    assert [event.text for event in found if isinstance(event, Note)] == [GUESS]
