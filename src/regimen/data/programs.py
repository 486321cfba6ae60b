"""A row's demands on the program that answers it: its tests, its function, the program's beginning.

Owns the shapes in which people write tests - `check(candidate)`, lists of asserts, pairs of input and output - and
their one form in a test item. Reads code as text and runs none of it: that is the sandbox's alone.
"""

from __future__ import annotations

import ast
import builtins
import json
from collections.abc import Iterator, Mapping, Sequence

from regimen.data.forms import Row, first_column, value_of
from regimen.data.row_fault import RowFault
from regimen.study.sources import Form

_TEST_COLUMNS = ("test", "tests", "test_list")  # as HumanEval, many, and MBPP name them
_ENTRY_COLUMN = "entry_point"
_INPUTS = ("input", "inputs", "stdin")
_OUTPUTS = ("output", "outputs", "stdout", "expected_output")

# Each test is compiled before the program runs (so that a broken test is the test's fault), and run in turn.
_ASSERTS = """\
_tests = {tests!r}
_codes = [compile(test, "<test>", "exec", dont_inherit=True) for test in _tests]


def check(candidate):
    globals().setdefault("candidate", candidate)
    for test, code in zip(_tests, _codes):
        try:
            exec(code, globals())
        except AssertionError as wrong:
            raise AssertionError(str(wrong) or test.strip()) from None
"""


def program_facts(form: Form, row: Row, prompt: str, answer: str) -> dict[str, str]:
    """The item's `extra`: "test" (code that defines `check`), "entry_point", "prompt" (what the program begins with).

    Of tests that are pairs of input and output "test" is JSON, [[input, output], ...], and "entry_point" is "".
    Raises RowFault naming the column whose value cannot be used.
    """
    column = next((name for name in _TEST_COLUMNS if name in row), _TEST_COLUMNS[0])
    template = form.tests or f"{{{{ {column} }}}}"
    tests = value_of(form, template, row)
    beginning = _beginning(form, row, prompt, answer)
    if (pairs := _pairs(tests)) is not None:
        if not pairs:
            raise RowFault(first_column(template), tests, "holds no test")
        return {"test": json.dumps(pairs), "entry_point": "", "prompt": beginning}
    parts = _asserts(tests, template)
    entry = _entry(form, row, parts, template)
    test = parts[0] if _defines_check(parts) else _ASSERTS.format(tests=parts)
    return {"test": test, "entry_point": entry, "prompt": beginning}


def _beginning(form: Form, row: Row, prompt: str, answer: str) -> str:
    """The prompt, where the right answer goes on with its code; "" where the right answer is a program by itself."""
    if form.tests is None and isinstance(row.get("prompt"), str):
        return str(row["prompt"])  # HumanEval's own rule
    if not form.join and _parses(prompt + answer):
        return prompt
    if _parses(answer.removeprefix(form.join)):
        return ""
    assert form.answer is not None
    raise RowFault(first_column(form.answer), answer, "is no Python program, neither by itself nor after its prompt")


def _pairs(tests: object) -> list[tuple[str, str]] | None:
    """(input, output) of tests that are such pairs, in any of the ways that data sets have; else None."""
    if isinstance(tests, str) and tests.lstrip()[:1] in ("[", "{"):
        try:
            tests = json.loads(tests)
        except ValueError:
            return None
    if isinstance(tests, Mapping):
        given, wanted = _first(tests, _INPUTS), _first(tests, _OUTPUTS)
        if isinstance(given, list | tuple) and isinstance(wanted, list | tuple) and len(given) == len(wanted):
            return [(_text(one), _text(other)) for one, other in zip(given, wanted, strict=True)]
        tests = [tests]
    if not isinstance(tests, list | tuple):
        return None
    found = [_pair(test) for test in tests]
    pairs = [pair for pair in found if pair is not None]
    return pairs if pairs and len(pairs) == len(found) else None


def _pair(test: object) -> tuple[str, str] | None:
    if isinstance(test, Mapping):
        given, wanted = _first(test, _INPUTS), _first(test, _OUTPUTS)
    elif isinstance(test, list | tuple) and len(test) == 2:
        given, wanted = test
    else:
        return None
    return None if given is None or wanted is None else (_text(given), _text(wanted))


def _first(test: Mapping[str, object], names: Sequence[str]) -> object:
    return next((test[name] for name in names if test.get(name) is not None), None)


def _text(value: object) -> str:
    """The text that is typed or printed; a list is its lines."""
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _asserts(tests: object, template: str) -> list[str]:
    """Tests as pieces of Python code; raises RowFault for anything else."""
    column = first_column(template)
    parts = [tests] if isinstance(tests, str) else tests
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        why = "is neither code, nor a list of asserts, nor pairs of input and output"
        raise RowFault(column, tests, why)
    codes = [str(part) for part in parts if str(part).strip()]
    for code in codes:
        try:
            ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
            raise RowFault(column, code, f"is no Python code ({fault})") from None
    if not codes:
        raise RowFault(column, tests, "holds no test")
    return codes


def _defines_check(codes: Sequence[str]) -> bool:
    return len(codes) == 1 and any(
        isinstance(node, ast.FunctionDef) and node.name == "check" for node in ast.parse(codes[0]).body
    )


def _entry(form: Form, row: Row, codes: Sequence[str], template: str) -> str:
    """The function that is tested: named by the form or the row, else the one that the asserts call."""
    if form.entry is None and _ENTRY_COLUMN not in row:
        return _called(codes, template)
    naming = form.entry or f"{{{{ {_ENTRY_COLUMN} }}}}"
    entry = str(value_of(form, naming, row)).strip()
    if not entry.isidentifier():
        raise RowFault(first_column(naming), entry, "is no name of a function")
    names = {name for code in codes for name in _names(ast.parse(code))}
    if not _defines_check(codes) and not names & {entry, "candidate"}:
        raise RowFault(first_column(template), "; ".join(codes), f"never calls {entry!r}, the function to test")
    return entry


def _called(codes: Sequence[str], template: str) -> str:
    if _defines_check(codes):
        raise RowFault(first_column(template), codes[0], "does not name the function; name it by `entry` in the form")
    trees = [ast.parse(code) for code in codes]
    known = {*dir(builtins), *(name for tree in trees for name in _defined(tree))}
    called = dict.fromkeys(name for tree in trees for name in _calls(tree) if name not in known)
    if len(called) != 1 or "candidate" in called:
        why = f"calls {', '.join(called) or 'no function'}; name the function to test by `entry` in the form"
        raise RowFault(first_column(template), "; ".join(codes), why)
    return next(iter(called))


def _calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def _names(tree: ast.AST) -> Iterator[str]:
    return (node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def _defined(tree: ast.AST) -> Iterator[str]:
    """Names that the tests themselves define or import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
