"""Tests of programs in the shapes in which people write them, and what cannot be judged, named by its column."""

from __future__ import annotations

import json
from typing import Any

import pytest

from regimen.data.items import Item
from regimen.data.programs import program_facts
from regimen.data.row_fault import RowFault
from regimen.errors import DataError
from regimen.evaluation.gold import failing_programs
from regimen.evaluation.programs import case_of, program_in
from regimen.evaluation.sandbox import judge_many, why_not
from regimen.study.sources import Form
from tests.support.studies import with_fields

BODY = Form(prompt="{{ head }}", answer="{{ body }}", join="", tests="{{ checks }}")
WHOLE = Form(prompt="{{ task }}\nCode:", answer="{{ code }}", join="\n", tests="{{ checks }}")
HEAD = 'def add(a, b):\n    """Adds."""\n'
sandboxed = pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}")


def item_of(form: Form, row: dict[str, Any], prompt: str, answer: str) -> Item:
    return Item("s:d.jsonl:1", prompt, answer, extra=program_facts(form, row, prompt, answer))


def body(checks: object, form: Form = BODY, **more: object) -> Item:
    row = {"head": HEAD, "body": "    return a + b\n", "checks": checks, **more}
    return item_of(form, row, HEAD, "    return a + b\n")


def whole(checks: object, code: str, **more: object) -> Item:
    return item_of(WHOLE, {"task": "Add.", "code": code, "checks": checks, **more}, "Add.\nCode:", f"\n{code}")


ADD = "def add(a, b):\n    return a + b"
ECHO = "n = int(input())\nprint(sum(int(input()) for _ in range(n)))"
SHAPES = {
    "assert list": body(["assert add(1, 2) == 3", "assert add(-1, 1) == 0"]),
    "asserts in one text": body("assert add(1, 2) == 3\nassert add(0, 0) == 0"),
    "asserts of a candidate": body(["assert candidate(1, 2) == 3"], with_fields(BODY, entry="add")),
    "check": body("def check(candidate):\n    assert candidate(1, 2) == 3\n", entry_point="add"),
    "with imports": body(["import math", "assert math.isclose(add(0.1, 0.2), 0.3)", ""]),
    "text over lines": whole(["assert add('a\\nb', 'c') == '''a\nbc'''"], ADD),
    "a whole program": whole(["assert set([add(1, 2)]) == {3}"], ADD),
    "typed pairs": whole([{"input": "2\n3\n4\n", "output": "7"}, {"input": "0", "output": "0\n"}], ECHO),
    "typed as apps": whole(json.dumps({"inputs": ["1\n5\n", ["1", "6"]], "outputs": ["5\n", ["6"]]}), ECHO),
    "typed and exited": whole([["", "hello  \n\n"]], "import sys\nprint('hello')\nsys.exit(3)"),
}
WRONG = {
    "assert list": ("    return a - b\n", "wrong answer: assert add(1, 2) == 3"),
    "a whole program": ("    def add(a, b):\n        return 1", "wrong answer: assert set([add(1, 2)]) == {3}"),
    "typed pairs": ("print(9)", "wrong answer: for the input '2?3?4?' it prints"),
    "typed as apps": ("print(", "syntax error"),
    "check": ("    pass\n", "wrong answer"),
    "typed and exited": ("raise KeyError(3)", "raised: KeyError"),
}


@sandboxed
def test_right_programs_pass_in_every_shape_and_wrong_ones_fail_with_the_reason() -> None:
    right = judge_many([case_of(item, item.answer) for item in SHAPES.values()])
    assert {name: verdict.reason for name, verdict in zip(SHAPES, right, strict=True)} == dict.fromkeys(
        SHAPES, "passed"
    )
    wrong = judge_many([case_of(SHAPES[name], text) for name, (text, _) in WRONG.items()])
    for (name, (_, reason)), verdict in zip(WRONG.items(), wrong, strict=True):
        assert verdict.reason.replace("\\n", "?").startswith(reason), (name, verdict)
        assert not verdict.passed


@sandboxed
def test_right_programs_inside_fences_pass_in_every_shape() -> None:
    chatty = {name: f"Here it is:\n```python\n{item.answer}\n```\nDone." for name, item in SHAPES.items()}
    cases = [case_of(item, program_in(item, chatty[name])) for name, item in SHAPES.items()]
    assert {name: verdict.reason for name, verdict in zip(SHAPES, judge_many(cases), strict=True)} == dict.fromkeys(
        SHAPES, "passed"
    )


def test_a_program_goes_on_with_the_prompt_or_stands_alone() -> None:
    assert SHAPES["assert list"].extra["prompt"] == HEAD
    assert SHAPES["a whole program"].extra["prompt"] == ""
    humaneval = Form(prompt="Solve this.\n{{ prompt }}", answer="{{ body }}", join="")
    row = {
        "prompt": HEAD,
        "body": "    return a + b\n",
        "test": "def check(candidate):\n    pass",
        "entry_point": "add",
    }
    facts = program_facts(humaneval, row, f"Solve this.\n{HEAD}", row["body"])
    assert facts == {"test": row["test"], "entry_point": "add", "prompt": HEAD}


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ({"checks": ["assert add(1, 2) =="]}, "checks", "is no Python code"),
        ({"checks": []}, "checks", "holds no test"),
        ({"checks": 7}, "checks", "is neither code, nor a list of asserts, nor pairs"),
        ({"checks": ["assert True"]}, "checks", "calls no function; name the function to test by `entry`"),
        ({"checks": ["assert add(one(), 2)"]}, "checks", "calls add, one; name the function to test"),
        ({"checks": "def check(candidate): pass"}, "checks", "does not name the function; name it by `entry`"),
        ({"checks": ["assert f(1)"], "entry_point": "add"}, "checks", "never calls 'add'"),
        ({"checks": ["assert f(1)"], "entry_point": "not a name"}, "entry_point", "is no name of a function"),
        ({}, "checks", "this one is missing"),
    ],
)
def test_a_fault_names_its_column(row: dict[str, Any], column: str, says: str) -> None:
    with pytest.raises(RowFault, match=says) as caught:
        program_facts(BODY, {"head": HEAD, "body": "    return 1\n", **row}, HEAD, "    return 1\n")
    assert caught.value.column == column


def test_an_answer_that_is_no_program_is_named() -> None:
    with pytest.raises(RowFault, match="is no Python program, neither by itself nor after its prompt") as caught:
        whole(["assert add(1, 2) == 3"], "just add them")
    assert caught.value.column == "code"


@sandboxed
def test_right_answers_that_fail_their_own_tests_are_counted_and_refused_where_all_do() -> None:
    bad = body(["assert add(1, 2) == 4"])
    assert failing_programs("code", [SHAPES["assert list"], bad]) == (1, 2)
    with pytest.raises(
        Exception, match=r"none of 1 right answers passes its own tests \(row s:d.jsonl:1: wrong answer"
    ):
        failing_programs("code", [bad])
    with pytest.raises(DataError, match=r"The test of add \(row s:d.jsonl:1\) cannot judge any program"):
        failing_programs("code", [body(["import no_such_package_anywhere", "assert add(1, 2) == 3"])])
