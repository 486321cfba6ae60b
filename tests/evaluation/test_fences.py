"""Programs as chat models write them: inside Markdown fences, with words around."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.evaluation.fences import unfenced

PROGRAM = "def f(x):\n    return x * x\n"
STUB = 'def f(x):\n    """The square."""\n'
DOCSTRING = 'def f(x):\n    """As\n```\nf(3)\n```\n"""\n    return x * x\n'


@pytest.mark.parametrize(
    ("text", "program"),
    [
        (PROGRAM, PROGRAM),
        (f"```python\n{PROGRAM}```", PROGRAM),
        (f"```py\n{PROGRAM}```\nThis returns the square.\n```python\nprint(f(3))\n```", PROGRAM),
        (f"```\n{PROGRAM}```\n", PROGRAM),
        (f"~~~python\n{PROGRAM}~~~", PROGRAM),
        (f"Here is the function:\n\n```python\n{PROGRAM}```", PROGRAM),
        (f"Solution\n```\n{PROGRAM}```", PROGRAM),
        (f"```python\n{PROGRAM}", PROGRAM),  # the limit of tokens cut the rest off
        (f"{PROGRAM}```\n\nIt squares.", PROGRAM),  # the prompt had opened the fence
        (f"{PROGRAM}print(f(3))\n```", f"{PROGRAM}print(f(3))\n"),
        (DOCSTRING, DOCSTRING),
        ("no code at all", "no code at all"),
        ("use `f` and ```f```", "use `f` and ```f```"),
        ("", ""),
    ],
)
def test_the_program_without_its_fences(text: str, program: str) -> None:
    assert unfenced(text) == program


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("    return x * x\n", "    return x * x\n"),
        ("    return x * x\n```\nIt squares.\n", "    return x * x\n"),
        ("```python\n    return x * x\n```", "    return x * x\n"),
        (f"```python\n{PROGRAM}```", PROGRAM),
    ],
)
def test_a_text_that_goes_on_with_the_prompts_code(text: str, program: str) -> None:
    assert unfenced(text, STUB) == program


@given(st.text())
def test_any_text_has_a_program_that_is_a_part_of_it(text: str) -> None:
    assert unfenced(f"```python\n{text}") in text or unfenced(text) in text
