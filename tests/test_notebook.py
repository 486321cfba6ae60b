"""The Python face, as the notebook of the examples uses it: every cell runs, and its tables agree with the files."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from peft import PeftModel
from transformers import AutoModelForCausalLM

import regimen
from regimen.engine.locate import locate_base
from regimen.errors import RunFolderError, StudyError, UsageError
from tests.support.checkout import ROOT

pytestmark = pytest.mark.slow


def cells() -> list[str]:
    notebook = json.loads((ROOT / "examples" / "notebook.ipynb").read_text(encoding="utf-8"))
    assert all(not cell.get("outputs") for cell in notebook["cells"]), "outputs are not kept in git"
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def execute(code: str, names: dict[str, Any]) -> Any:
    """The value of a cell's last expression, as a notebook shows it; None where it ends with a statement."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[Any]]:
    """The names that the notebook defines, and what each cell shows."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        shown = [execute(cell, names) for cell in cells()]
        names["run"] = regimen.open_run(Path("runs/reviews").resolve())
    return names, shown


def test_every_cell_shows_something(executed: tuple[dict[str, Any], list[Any]]) -> None:
    names, shown = executed
    assert all(value is not None for value in shown)
    assert names["summary"].experiments["done"] == 3
    drawn = [value._repr_html_() for value in shown if not isinstance(value, dict | list)]
    assert len(drawn) == 5
    assert "3 of 3 experiments done" in drawn[1]
    assert all("<table" in one for one in drawn)


def test_tables_agree_with_each_other(executed: tuple[dict[str, Any], list[Any]]) -> None:
    run: regimen.Run = executed[0]["run"]
    results, scores, items = run.results(), run.scores(), run.items("mood")
    for name in ("1-mood", "direct", "longer"):
        written = results.query("experiment == @name and metric == 'accuracy'")["value"].item()
        assert scores["mood"].to_dict()[name] == written
        own = [score for one, score in zip(items["experiment"], items["score"], strict=True) if one == name]
        assert sum(own) / len(own) == pytest.approx(written)
    assert all(prompt.endswith("Mood:") for prompt in items["prompt"])
    assert set(items["target"]) == {"good", "bad"}
    compared = run.compare("longer", "direct").table()
    first, second = scores.loc["longer", "mood"], scores.loc["direct", "mood"]
    assert compared["estimate"].item() == pytest.approx(float(first) - float(second))  # pyright: ignore
    assert list(run.plan.table()["id"]) == ["1-mood", "direct", "longer"]
    assert isinstance(run.plan.table(), pd.DataFrame)


def test_peft_loads_an_adapter_by_its_path(executed: tuple[dict[str, Any], list[Any]]) -> None:
    run: regimen.Run = executed[0]["run"]
    base = AutoModelForCausalLM.from_pretrained(locate_base(run.study.base, None))
    adapted = PeftModel.from_pretrained(base, str(run.adapter("longer")))
    names = [name for name, value in adapted.named_parameters() if "lora_B" in name and bool(value.abs().sum() > 0)]
    assert names, "its weights are not those of a fresh adapter"


def test_wrong_names_are_one_sentence(executed: tuple[dict[str, Any], list[Any]], tmp_path: Path) -> None:
    run: regimen.Run = executed[0]["run"]
    with pytest.raises(UsageError, match="no task 'mod'; there is mood"):
        run.items("mod")
    with pytest.raises(UsageError, match="no experiment with scores on mood, 'drect'; there is"):
        run.items("mood", "drect")
    with pytest.raises(UsageError, match="1-mood is a baseline and trains nothing"):
        run.adapter("1-mood")
    with pytest.raises(RunFolderError, match="no run folder"):
        regimen.open_run(tmp_path)
    with pytest.raises(StudyError, match="is a set; give mappings"):
        regimen.load_study({"study": {"a"}})
    plain = executed[0]["study"].model_dump(exclude_defaults=True)
    plain["tasks"]["mood"]["metrics"] = ["acuracy"]
    with pytest.raises(StudyError, match="tasks.mood.*acuracy") as caught:
        regimen.load_study(plain)
    assert "line" not in str(caught.value), "there is no file whose line could be meant"
