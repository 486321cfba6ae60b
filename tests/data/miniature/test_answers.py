"""The miniature's answers are right, judged by other means than those that made them."""

from __future__ import annotations

import itertools
import json
import re
import unittest
from fractions import Fraction
from typing import Any

import pytest
import sympy

from regimen.data.miniature import table

MATH = "deepmind/math_dataset"


def test_every_canonical_solution_passes_its_tests():
    for row in table("openai/openai_humaneval", None, "test"):
        space: dict[str, Any] = {}
        exec(row["prompt"] + row["canonical_solution"] + row["test"], space)
        assert space["check"](space[row["entry_point"]]) is None, "it raises where a case fails"


def test_no_canonical_solution_passes_by_returning_a_constant():
    for row in table("openai/openai_humaneval", None, "test"):
        expected = {line.split(" == ", 1)[1] for line in row["test"].splitlines() if line.strip().startswith("assert")}
        assert len(expected) > 1


def test_every_bigcodebench_solution_passes_its_tests():
    for row in table("bigcode/bigcodebench", None, "v0.1.0_hf"):
        space: dict[str, Any] = {"__name__": "bigcodebench"}
        exec(row["complete_prompt"] + row["canonical_solution"] + "\n" + row["test"], space)
        outcome = unittest.defaultTestLoader.loadTestsFromTestCase(space["TestCases"]).run(unittest.TestResult())
        assert outcome.wasSuccessful(), row["complete_prompt"]
        assert outcome.testsRun >= 3
        assert set(json.loads(row["doc_struct"])) >= {"description", "params", "returns", "reqs", "examples"}


def test_no_solution_is_in_both_code_sets():
    ours = {row["canonical_solution"] for row in table("openai/openai_humaneval", None, "test")}
    theirs = {row["canonical_solution"] for row in table("bigcode/bigcodebench", None, "v0.1.0_hf")}
    assert not ours & theirs


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_step_of_a_sum_is_right(split):
    for row in table("openai/gsm8k", None, split):
        *lines, last = row["answer"].split("\n")
        assert 2 <= len(lines) <= 3
        result = ""
        for line in lines:
            found = re.fullmatch(r"(\S+)=<<(\S+)=(\d+)>>(\d+)( .*)?", line)
            assert found
            shown, marked, told, result, _ = found.groups()
            assert shown == marked
            assert told == result
            assert eval(shown) == int(result)
        assert last == f"#### {result}"
        numbers = {int(number) for number in re.findall(r"\d+", row["question"])}
        first = {int(number) for number in re.findall(r"\d+", lines[0].split("=")[0])}
        assert first <= numbers


def rational(text: str) -> Any:
    """What an expression comes to, with exact fractions for decimal numbers."""
    return sympy.expand(sympy.parse_expr(re.sub(r"\d+\.\d+", lambda number: f"({Fraction(number.group())})", text)))


def solved(question: str) -> object:
    """The answer to an exercise, by sympy or by counting; None where the question is of another kind."""
    if found := re.fullmatch(r"Solve (.*) for (\w)\.", question):
        equations = [sympy.Eq(*map(sympy.sympify, side.split(" = "))) for side in found[1].split(", ")]
        return sympy.solve(equations, dict=True)[0][sympy.Symbol(found[2])]
    if found := re.fullmatch(r"(?:Calculate|Evaluate|What is the value of) ([-+*/() \d.]+)[.?]", question):
        return rational(found[1])
    if found := re.search(r"common (?:divisor|factor) of (\d+) and (\d+)", question):
        return sympy.gcd(int(found[1]), int(found[2]))
    if found := re.fullmatch(r"Is (\d+) (?:a )?(prime|composite)(?: number)?\?", question):
        return bool(sympy.isprime(int(found[1]))) == (found[2] == "prime")
    if found := re.fullmatch(r"Is (\S+) (less than|greater than|at least|at most) (\S+)\?", question):
        a, b = Fraction(found[1]), Fraction(found[3])
        return {"less than": a < b, "greater than": a > b, "at least": a >= b, "at most": a <= b}[found[2]]
    if found := re.fullmatch(r"Which is (bigger|greater|smaller): (\S+) or (\S+)\?", question):
        return (min if found[1] == "smaller" else max)(Fraction(found[2]), Fraction(found[3]))
    if found := re.fullmatch(r"(?:What is the |Find the )?(.*derivative of|Differentiate) (.*)[.?]", question):
        expression = sympy.sympify(found[2].split(" with respect to ")[0])
        (letter,) = expression.free_symbols
        return sympy.diff(expression, letter, 2 if "second" in found[1] else 1)
    if found := re.fullmatch(r"(Two|Three) letters picked .* from \{(.*)\}\. .*picking (.*)[.?]", question):
        return level_set({"Two": 2, "Three": 3}[found[1]], found[2], found[3])
    return None


def level_set(count: int, bag: str, wanted: str) -> Fraction:
    letters = [letter for part in bag.split(", ") for letter in part[0] * int(part[3:])]
    want = sorted(letter for part in wanted.split(" and ") for letter in part[2:] * int(part[0]))
    draws = list(itertools.combinations(letters, count))
    return Fraction(sum(sorted(draw) == want for draw in draws), len(draws))


@pytest.mark.parametrize(
    ("config", "least"),
    [
        ("algebra__linear_1d", 40), ("algebra__linear_2d", 40), ("arithmetic__add_or_sub", 6),
        ("arithmetic__mixed", 40), ("arithmetic__mul", 5), ("calculus__differentiate", 40), ("comparison__pair", 40),
        ("numbers__gcd", 40), ("numbers__is_prime", 40), ("probability__swr_p_level_set", 40),
    ],
)  # fmt: skip
def test_exercises_are_solved_rightly(config, least):
    checked = 0
    for row in table(MATH, config, "test"):
        answer = solved(row["question"])
        if answer is None:
            continue
        if isinstance(answer, bool):
            assert row["answer"] == str(answer), row
        else:
            assert rational(f"{row['answer']} - ({answer})") == 0, row
        checked += 1
    assert checked >= least


def test_conversions_are_exact():
    seconds = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
    checked = 0
    for split in ("train", "test"):
        for row in table(MATH, "measurement__conversion", split):
            found = re.fullmatch(r"(?:What is|Convert) (\d+) (\w+)s (?:in|to) (\w+)s[?.]", row["question"])
            if found and found[2] in seconds and found[3] in seconds:
                assert Fraction(row["answer"]) == Fraction(int(found[1]) * seconds[found[2]], seconds[found[3]])
                checked += 1
    assert checked >= 10


SMALL_WORDS = {
    "it", "them", "in", "since", "for", "is", "was", "the", "could", "hurt", "sells", "pays", "makes", "workers",
    "bought",
}  # fmt: skip


def test_financial_answers_are_in_their_context():
    for row in table("virattt/financial-qa-10K", None, "train"):
        known = set(re.findall(r"[a-z0-9]+", f"{row['context']} {row['question']}".lower())) | SMALL_WORDS
        assert set(re.findall(r"[a-z0-9]+", row["answer"].lower())) <= known, row


def test_contexts_serve_several_questions_and_hold_what_is_not_asked():
    by_context: dict[str, set[str]] = {}
    for row in table("virattt/financial-qa-10K", None, "train"):
        by_context.setdefault(row["context"], set()).add(row["answer"])
    assert sum(len(answers) >= 2 for answers in by_context.values()) > 0.9 * len(by_context)
    assert len(by_context) >= 350


def test_later_turns_of_a_dialogue_build_on_the_earlier_answers():
    rows = table("FinGPT/fingpt-convfinqa", None, "test")
    later = 0
    for before, row in itertools.pairwise(rows):
        history = f"{before['input']} {before['output']}\nQuestion: "
        if row["input"].count("\nQuestion: ") > 1:
            assert row["input"].startswith(history)
            later += 1
    assert later >= len(rows) // 2


def test_turns_that_reckon_with_earlier_answers_are_right():
    checked = 0
    for split in ("train", "test"):
        for row in table("FinGPT/fingpt-convfinqa", None, split):
            answers = [float(number) for number in re.findall(r"Answer: (\S+)", row["input"])]
            question = row["input"].rsplit("\nQuestion: ", 1)[1]
            if question.startswith("what is the sum of both"):
                assert float(row["output"]) == answers[0] + answers[1]
            elif re.match(r"what (is|was) the (difference|change)\?", question):
                assert abs(float(row["output"])) == abs(answers[0] - answers[1])
            elif question.startswith("how far is that from the plan"):
                assert float(row["output"]) == answers[1] - answers[0]
            elif question.startswith("what is that times ten"):
                assert float(row["output"]) == 10 * answers[0]
            else:
                continue
            checked += 1
    assert checked > 100


@pytest.mark.parametrize("split", ["train", "test"])
def test_named_entities_stand_in_their_sentence_in_order(split):
    for row in table("FinGPT/fingpt-ner", None, split):
        assert row["output"].endswith(".")
        places = []
        for part in row["output"].removesuffix(".").split(", "):
            found = re.fullmatch(r"(.+) is (?:a person|an organization|a location)", part)
            assert found
            places.append(row["input"].index(found[1]))
        assert places == sorted(places)


def test_the_same_name_is_of_every_kind_somewhere():
    kinds: dict[str, set[str]] = {}
    for row in table("FinGPT/fingpt-ner", None, "train"):
        for name, kind in re.findall(r"(\w+) is (a person|an organization|a location)", row["output"]):
            kinds.setdefault(name, set()).add(kind)
    assert sum(len(found) == 3 for found in kinds.values()) >= 20


@pytest.mark.parametrize("split", ["test", "validation"])
def test_letter_and_index_agree(split):
    rows = table("TIGER-Lab/MMLU-Pro", None, split)
    for row in rows:
        assert "ABCDEFGHIJ"[row["answer_index"]] == row["answer"]
        assert 3 <= len(row["options"]) == len(set(row["options"])) <= 10
        assert ("The answer is" in row["cot_content"]) == (split == "validation")
    assert {len(row["options"]) for row in rows} >= ({3, 4, 5, 6, 10} if split == "test" else {3, 4})
    assert len({row["category"] for row in rows}) >= 10


def test_alpaca_texts_are_their_template_filled_in():
    for row in table("tatsu-lab/alpaca", None, "train"):
        head, tail = row["text"].split("### Instruction:\n")
        assert head.startswith("Below is an instruction that describes a task")
        middle = f"\n\n### Input:\n{row['input']}" if row["input"] else ""
        assert tail == f"{row['instruction']}{middle}\n\n### Response:\n{row['output']}"
        assert ("paired with an input" in head) == bool(row["input"])


def test_finance_alpaca_has_neither_text_nor_input():
    rows = table("gbharti/finance-alpaca", None, "train")
    assert {(row["text"], row["input"]) for row in rows} == {("", "")}
    assert all(row["output"] for row in rows)
