"""What honest and mistaken programs get: the verdict a person would give who ran the test by hand."""

from __future__ import annotations

import re

import pytest

from regimen.errors import DataError, UsageError
from regimen.evaluation.sandbox import REASONS, Case, Limits, Verdict, judge, judge_many, referee, why_not
from tests.support.patience import within

pytestmark = pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}")


def check(*lines: str) -> str:
    return "def check(candidate):\n" + "".join(f"    {line}\n" for line in lines)


_SORTING = check(
    "import random",
    "for n in range(50):",
    "    x = [random.random() for _ in range(n)]",
    "    assert candidate(x) == sorted(x)",
)
_STATE = """
from dataclasses import dataclass

@dataclass
class Counter:
    n: 'int' = 0

counter = Counter()

def f():
    counter.n += 1
    return counter.n
"""
_FILE = "def f(x):\n    open('a', 'w').write(x)\n    return open('a').read()"
_LOOP = "import asyncio\nasync def g():\n    return 5\ndef f():\n    return asyncio.run(g())"

# Right programs, in the forms that data sets of this kind use: the body of a file, what the test says of it.
RIGHT = {
    "number": ("def f(x):\n    return x + 1", ["assert candidate(1) == 2", "assert candidate(-1) == 0"]),
    "text": ("def f(s):\n    return s[::-1]", ["assert candidate('añ') == 'ña'"]),
    "arguments": ("def f(a, *b, c=0):\n    return a, b, c", ["assert candidate(1, 2, c=3) == (1, (2,), 3)"]),
    "containers": ("def f(x):\n    return {k: {v} for k, v in x.items()}", ["assert candidate({1: 2}) == {1: {2}}"]),
    "none": ("def f(x):\n    return None", ["assert candidate(1) is None"]),
    "tolerance": ("def f(x):\n    return x / 3", ["assert abs(candidate(1.0) - 0.333333) < 1e-5"]),
    "imports": ("from typing import List\ndef f(x: List[int]):\n    return sum(x)", ["assert candidate([2, 3]) == 5"]),
    "state": (_STATE, ["assert candidate() == 1", "assert candidate() == 2"]),
    "called by its name": ("def f(x):\n    return x", ["assert f(3) == 3"]),
    "main guard": ("def f(x):\n    return x\nif __name__ == '__main__':\n    input()", ["assert candidate(1) == 1"]),
    "prints": ("def f(x):\n    print('x' * 100000)\n    return x", ["assert candidate(1) == 1"]),
    "temporary file": (_FILE, ["assert candidate('é') == 'é'"]),
    "long recursion": ("def f(n):\n    return n and 1 + f(n - 1)", ["assert candidate(900) == 900"]),
    "event loop": (_LOOP, ["assert candidate() == 5"]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_programs_pass(name: str):
    program, lines = RIGHT[name]
    assert judge(program, "f", check(*lines)) == Verdict(passed=True, reason="passed")


def test_a_test_may_draw_its_questions_at_random():
    assert judge("def f(x):\n    return sorted(x)", "f", _SORTING).passed


WRONG = {
    "wrong value": ("def f(x):\n    return x", "wrong answer: not two"),
    "none": ("def f(x):\n    pass", "wrong answer: not two"),
    "raises": ("def f(x):\n    return x / 0", "raised: ZeroDivisionError: division by zero"),
    "asserts": ("def f(x):\n    assert x > 5, 'small'", "raised: AssertionError: small"),
    "signature": ("def f():\n    return 2", "raised: TypeError: f() takes 0 positional arguments but 1 was given"),
    "while loading": ("def f(x):\n    return 2\ng(1)", "raised: NameError: name 'g' is not defined"),
    "library": ("import numpy\ndef f(x):\n    return 2", "raised: ModuleNotFoundError: No module named 'numpy'"),
    "other name": ("def g(x):\n    return 2", "no such function: f"),
    "no function": ("f = 2", "no such function: f"),
    "empty": ("", "no such function: f"),
    "cut off": ("def f(x):\n    return (2", "syntax error: SyntaxError: '(' was never closed"),
    "bad indent": ("def f(x):\nreturn 2", "syntax error: IndentationError: expected an indented block"),
    "outside": ("def f(x): return 2\nreturn 3", "syntax error: SyntaxError: 'return' outside function"),
    "out of memory": ("def f(x):\n    return [0] * 10**9", "limit: MemoryError"),
    "subclass": ("class N(int): pass\ndef f(x):\n    return N(2)", "not plain data: N"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_programs_fail_and_it_is_said_why(name: str):
    program, reason = WRONG[name]
    verdict = judge(program, "f", check("assert candidate(1) == 2, 'not two'"))
    assert not verdict.passed
    assert verdict.reason.startswith(reason)
    assert verdict.kind == reason.split(":")[0]
    assert verdict.kind in REASONS


def test_an_answer_that_the_test_cannot_handle_is_wrong():
    verdict = judge("def f(x):\n    return None", "f", check("assert abs(candidate(1) - 2) < 1e-6"))
    assert verdict.kind == "wrong answer"
    assert "TypeError in the test" in verdict.reason


def test_changes_to_arguments_reach_the_test():
    body = ["rows[0].append(9)", "rows.pop()", "table['new'] = rows[0]", "seen.add(1)"]
    program = "def f(rows, table, seen=None):\n    " + "\n    ".join(body)
    test = check(
        "row, table, seen = [1], {'old': 0}, set()",
        "rows = [row, [2]]",
        "alias = rows",
        "assert candidate(rows, table, seen=seen) is None",
        "assert alias == [[1, 9]] and row == [1, 9]",
        "assert table == {'old': 0, 'new': [1, 9]} and seen == {1}",
    )
    assert judge(program, "f", test).passed
    assert judge("def f(rows, table, seen=None):\n    pass", "f", test).kind == "wrong answer"


def test_arguments_changed_before_an_exception_reach_the_test():
    program = "def f(x):\n    x.append(1)\n    raise KeyError('k')"
    test = check(
        "x = []", "try:", "    candidate(x)", "except KeyError:", "    assert x == [1]", "else:", "    assert False"
    )
    assert judge(program, "f", test).passed


@pytest.mark.parametrize(
    ("raised", "caught"),
    [
        ("ValueError('v')", "ValueError"),
        ("KeyError('k')", "LookupError"),
        ("type('Mine', (ValueError,), {})('m')", "ValueError"),
        ("UnicodeDecodeError('a', b'', 0, 1, 'x')", "ValueError"),
        ("StopIteration()", "StopIteration"),
        ("type('Mine', (Exception,), {})('m')", "Exception"),
        ("SystemExit(1)", "SystemExit"),
    ],
)
def test_a_test_can_expect_an_exception(raised: str, caught: str):
    test = check("try:", "    candidate()", f"except {caught}:", "    return", "assert False, 'nothing raised'")
    assert judge(f"def f():\n    raise {raised}", "f", test).passed
    assert judge("def f():\n    return 1", "f", test).reason == "wrong answer: nothing raised"


PROMPT = '''import math

def area(r: float) -> float:
    """The helper that the test uses."""
    return math.pi * r ** 2

def f(r: float) -> float:
    """Twice the area."""
'''


def test_the_test_may_use_what_the_prompt_defines_but_not_what_the_program_does():
    test = check("assert abs(candidate(2.0) - 2 * area(2.0)) < 1e-9")
    right = PROMPT + "    return 2 * area(r)\n"
    wrong = PROMPT + "    return 0.0\n\ndef area(r):\n    return 0.0\n"
    assert judge(right, "f", test, PROMPT).passed
    assert judge(wrong, "f", test, PROMPT).kind == "wrong answer"


def test_a_prompt_that_is_no_program_defines_nothing():
    assert judge("def f(x):\n    return x", "f", check("assert candidate(1) == 1"), "Write a function f that").passed


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("def check(candidate:", "SyntaxError"),
        ("x = 1", "check"),
        ("import numpy\n" + check("assert candidate(1) == 1"), "numpy"),
        (check("pass"), "never called"),
        (check("assert undefined"), "undefined"),
        (check("candidate(lambda: 1)"), "function"),
        (check("import collections", "candidate(collections.Counter())"), "Counter"),
    ],
)
def test_a_broken_test_is_the_data_sets_fault(test: str, said: str):
    with pytest.raises(DataError, match=f"The test of f cannot judge any program: .*{said}.*; repair it"):
        judge("def f(x):\n    return x", "f", test)


def test_a_test_that_ends_its_process_passes_nobody():
    for end in ("import os; os._exit(0)", "import os, signal; os.kill(os.getpid(), 9)"):
        assert judge("def f(x):\n    return x", "f", check("candidate(1)", end)).kind == "limit"


def test_a_test_that_never_ends_is_ended(monkeypatch):
    monkeypatch.setattr(referee, "_GRACE_SECONDS", 0.5)
    limits = Limits(seconds=0.5, call_seconds=0.5, cpu_seconds=1)
    cases = [
        Case("def f(x):\n    return x", "f", check("candidate(1)", loop))
        for loop in ("import time; time.sleep(99)", "while True: pass")
    ]
    with within(20):
        verdicts = judge_many([*cases, Case("def f(x):\n    return x", "f", check("assert candidate(1) == 1"))], limits)
    assert [verdict.kind for verdict in verdicts] in (
        ["timeout", "limit", "passed"],
        ["timeout", "timeout", "passed"],
    )


def test_tests_see_nothing_of_the_machine_and_leave_nothing_to_the_next():
    spy = check(
        "import os",
        "candidate(1)",
        f"assert not os.environ and not os.path.exists({__file__!r})",
        "open(os.path.join(__import__('tempfile').gettempdir(), 'left'), 'w')",
        "os.fork() or __import__('time').sleep(99)",
    )
    heir = check(
        "import os",
        "candidate(1)",
        "others = {name for name in os.listdir('/proc') if name.isdigit()} - {'1', str(os.getpid())}",
        "assert not others, others",
    )
    program = "def f(x):\n    return x"
    assert [v.reason for v in judge_many([Case(program, "f", spy), Case(program, "f", heir)])] == ["passed", "passed"]


def test_the_order_of_sets_and_the_numbers_of_tests_are_the_same_in_every_run():
    program = "def f():\n    return list({'alpha', 'beta', 'gamma', 'delta', 'epsilon'})"
    show = check("import random", "raise ValueError(candidate(), random.random())")
    assert len({judge(program, "f", show).reason for _ in range(3)}) == 1


def test_many_are_judged_in_order_and_each_pair_once():
    test = check("assert candidate(1) == 2", "import time", "time.sleep(0.2)")
    right, wrong = Case("def f(x):\n    return 2", "f", test), Case("def f(x):\n    return 3", "f", test)
    for parallel in (1, 3):
        with within(10):
            verdicts = judge_many([right, wrong] * 50, parallel=parallel)
        assert [verdict.passed for verdict in verdicts] == [True, False] * 50
    assert judge_many([]) == []


def test_a_broken_test_among_many_is_raised_and_stops_the_rest():
    good = Case("def f(x):\n    return 2", "f", check("assert candidate(1) == 2"))
    bad = Case("def f(x):\n    return 2", "f", check("pass"))
    with pytest.raises(DataError, match="never called"):
        judge_many(
            [good, bad, *(Case(f"def f(x):\n    return 2 # {n}", "f", good.test) for n in range(100))], parallel=2
        )


def test_the_clock_of_a_call_and_of_the_whole_are_both_kept():
    sleepy = "import time\ndef f(x):\n    time.sleep(x)\n    return x"
    limits = Limits(seconds=1.0, call_seconds=0.5)
    assert judge(sleepy, "f", check("assert candidate(5)"), limits=limits).kind == "timeout"
    assert judge(sleepy, "f", check("assert candidate(0.01)"), limits=limits).passed
    many = check("for _ in range(10):", "    candidate(0.3)")
    assert judge(sleepy, "f", many, limits=limits).kind == "timeout"


def test_output_may_be_as_large_as_its_limit_says():
    program, test = "def f(n):\n    return 'x' * n", check("assert len(candidate(3000)) == 3000")
    assert judge(program, "f", test, limits=Limits(output=4096)).passed
    assert judge(program, "f", test, limits=Limits(output=2048)).kind == "limit"


@pytest.mark.parametrize("name", ["seconds", "memory", "processes", "output"])
def test_a_limit_that_is_not_positive_is_refused(name: str):
    with pytest.raises(UsageError, match=re.escape(f"The sandbox limit {name} is 0")):
        Limits(**{name: 0})
