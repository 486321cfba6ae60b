"""Programs as tasks: a prompt, a solution, and tests that can be run.

Owns openai/openai_humaneval and bigcode/bigcodebench: their columns and the form of their prompts and tests.
"""

from __future__ import annotations

import json

from regimen.data.miniature import programs
from regimen.data.miniature.chance import Chance
from regimen.data.miniature.programs import Program
from regimen.data.miniature.table import Row

LONGEST_EXAMPLE = 16
"""Characters of an example's arguments and value; longer ones are left out, to keep prompts short."""

_IMPORTS = {"": "", "math": "import math\n", "collections": "from collections import Counter\n"}


def humaneval(chance: Chance) -> list[Row]:
    """A row of HumanEval without its number."""
    program = programs.compose(chance)
    cases = program.cases()
    checks = "".join(f"    assert candidate({given}) == {value}\n" for given, value in cases)
    return [
        {
            "task_id": "",
            "prompt": source_head(program, program.name, example=chance.yes(0.3)),
            "canonical_solution": f"    {program.body}\n",
            "test": f"\n\nMETADATA = {{}}\n\n\ndef check(candidate):\n{checks}",
            "entry_point": program.name,
        }
    ]


def source_head(program: Program, name: str, *, example: bool) -> str:
    """Everything of the function before its body: imports, signature, docstring."""
    imports = _IMPORTS[program.library]
    doc = program.task
    given, value = program.cases()[0]
    if example and len(given + value) <= LONGEST_EXAMPLE:
        doc += f"\n    >>> {name}({given})\n    {value}\n    "
    blanks = "\n\n" if imports else ""
    return f'{imports}{blanks}def {name}({program.parameters}):\n    """{doc}"""\n'


def bigcodebench(chance: Chance) -> list[Row]:
    """A row of BigCodeBench without its number."""
    program = programs.compose(chance)
    imports = _IMPORTS[program.library]
    signature = f"{imports}def task_func({program.parameters}):\n"
    libraries = [program.library] if program.library else []
    cases = program.cases()
    checks = "".join(
        f"    def test_case_{number}(self):\n        self.assertEqual(task_func({given}), {value})\n"
        for number, (given, value) in enumerate(cases, 1)
    )
    structure = {
        "description": [program.task], "notes": [], "params": [], "returns": [], "reqs": libraries, "raises": [],
        "examples": [],
    }  # fmt: skip
    return [
        {
            "task_id": "",
            "complete_prompt": source_head(program, "task_func", example=chance.yes(0.3)),
            "instruct_prompt": f"{program.task}\nYou should write self-contained code starting with:\n```\n{signature}```",
            "canonical_solution": f"    {program.body}\n",
            "code_prompt": signature,
            "test": f"import unittest\nclass TestCases(unittest.TestCase):\n{checks}",
            "entry_point": "task_func",
            "doc_struct": json.dumps(structure),
            "libs": str(libraries),
        }
    ]


def task(row: Row) -> list[str]:
    """What the docstring asks for, without its example."""
    prompt = row["prompt"] if "prompt" in row else row["complete_prompt"]
    return [prompt.split('"""')[1].split(">>>")[0].strip()]


def asked(row: Row) -> list[str]:
    """The texts of a HumanEval row that must not recur: its prompt, and what its docstring asks."""
    return [row["prompt"], *task(row)]
