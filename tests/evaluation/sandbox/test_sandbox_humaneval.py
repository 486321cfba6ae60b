"""HumanEval itself: every reference solution passes, every spoilt one fails."""

from __future__ import annotations

import ast
import json

import pytest

from regimen.evaluation.sandbox import Case, judge_many, why_not
from tests.support.checkout import SHARED

ROWS = SHARED / "data" / "openai" / "openai_humaneval" / "test.jsonl"


def rows() -> list[dict[str, str]]:
    return [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]


def case(row: dict[str, str], completion: str) -> Case:
    return Case(row["prompt"] + completion, row["entry_point"], row["test"], row["prompt"])


class _Spoil(ast.NodeTransformer):
    """Wraps what the entry point returns, so that it differs from what it was."""

    def __init__(self, entry_point: str):
        self.entry_point = entry_point

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self.generic_visit(node) if node.name == self.entry_point else node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        changed = ast.parse("('spoilt', 0)", mode="eval").body
        assert isinstance(changed, ast.Tuple)
        changed.elts[1] = node.value or ast.Constant(None)
        return ast.Return(changed)


def spoilt(row: dict[str, str]) -> Case:
    tree = _Spoil(row["entry_point"]).visit(ast.parse(row["prompt"] + row["canonical_solution"]))
    return Case(ast.unparse(ast.fix_missing_locations(tree)), row["entry_point"], row["test"], row["prompt"])


@pytest.mark.slow
@pytest.mark.skipif(not ROWS.exists(), reason="HumanEval is not beside the repository")
@pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}")
def test_every_reference_solution_of_humaneval_passes_and_every_wrong_one_fails():
    humaneval = rows()
    assert len(humaneval) == 164
    right = [case(row, row["canonical_solution"]) for row in humaneval]
    # Half of the wrong ones return nothing, half return the right answer in a wrong form.
    wrong = [spoilt(row) if n % 2 else case(row, "    return None\n") for n, row in enumerate(humaneval)]
    verdicts = judge_many([*right, *wrong], parallel=2)
    assert [(right[n].entry_point, v.reason) for n, v in enumerate(verdicts[:164]) if not v.passed] == []
    assert [right[n].entry_point for n, v in enumerate(verdicts[164:]) if v.passed] == []
    assert {v.kind for v in verdicts[164:]} <= {"wrong answer", "raised"}
