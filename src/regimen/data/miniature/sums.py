"""Word problems of two or three steps with small numbers.

Owns openai/gsm8k: the question, and the answer with its calculator marks `<<3*4=12>>` and its last line `#### n`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row
from regimen.data.miniature.writing import pieces, sentence, someone, write

LONGEST, UNITS_UP_TO = 20, 16
"""Pieces of the working, at most and with units: an answer should have no more than 24 tokens."""


@dataclass(frozen=True)
class Problem:
    """A question and its steps: (left, sign, right, unit), each with a whole result; the last is the answer."""

    question: str
    steps: tuple[tuple[int, str, int, str], ...]

    @property
    def result(self) -> int:
        return solve(*self.steps[-1][:3])

    @property
    def length(self) -> int:
        """Pieces of the steps when worked out."""
        return sum(pieces(f"{left}{sign}{right}={solve(left, sign, right)}\n") for left, sign, right, _ in self.steps)


def solve(left: int, sign: str, right: int) -> int:
    return {"+": left + right, "-": left - right, "*": left * right, "/": left // right}[sign]


def draw(chance: Chance) -> list[Row]:
    """A row of GSM8K: question, answer."""
    problem = pose(chance)
    lines = []
    for left, sign, right, unit in problem.steps:
        result = solve(left, sign, right)
        tail = f" {unit}" if unit and problem.length <= UNITS_UP_TO else ""
        lines.append(f"{left}{sign}{right}=<<{left}{sign}{right}={result}>>{result}{tail}")
    return [{"question": problem.question, "answer": "\n".join([*lines, f"#### {problem.result}"])}]


def pose(chance: Chance) -> Problem:
    """A problem of one of the kinds below, whose working is short."""
    while True:
        problem = chance.pick(KINDS)(chance)
        if problem.length <= LONGEST:
            return problem


def _ask(chance: Chance, template: str, **given: object) -> str:
    cast = someone(chance)
    other = someone(chance, cast["who"])["who"]
    text = sentence(chance, template, other=other, **cast, **given)
    return re.sub(r"(?<=[.?] )[a-z]", lambda first: first.group().upper(), text)


def _boxes(chance: Chance) -> Problem:
    a, b = chance.between(2, 6), chance.between(2, 6)
    c = chance.between(1, a * b - 1)
    thing = write(chance, "{thing}")
    question = _ask(
        chance,
        "{who} [has|buys|fills] {a} [boxes|bags|shelves] with {b} {thing} in each. {they} [gives {c} {thing} to {other}|loses {c} of them|sells {c} in the {spot}]. How many {thing} [are left|does {they} have left|remain]?",
        a=a, b=b, c=c, thing=thing,
    )  # fmt: skip
    return Problem(question, ((a, "*", b, thing), (a * b, "-", c, "left")))


def _bill(chance: Chance) -> Problem:
    a, b, c = chance.between(2, 6), chance.between(2, 6), chance.between(2, 9)
    thing = write(chance, "{thing}")
    question = _ask(
        chance,
        "[{who} buys {a} {thing} at ${b} each and {item} for ${c}. How much does {they} [pay|spend]?"
        "|{thing} cost ${b} each. {who} [buys|takes] {a} of them and {item} that costs ${c}. What is the bill?"
        "|at the {spot} {who} sells {a} {thing} for ${b} each and {item} for ${c}. How much does {they} [earn|get]?]",
        a=a, b=b, c=c, thing=thing, item=write(chance, "[a {colour} hat|a loaf|some tea|a map|a {food} pie|a {colour} bag]"),
    )  # fmt: skip
    return Problem(question, ((a, "*", b, "dollars"), (a * b, "+", c, "dollars")))


def _change(chance: Chance) -> Problem:
    a, b = chance.between(2, 6), chance.between(2, 6)
    c = a * b + chance.between(1, 9)
    thing = write(chance, "{thing}")
    question = _ask(
        chance,
        "[{who} has ${c} and buys {a} {thing} at ${b} each|with ${c} {who} goes to the {spot} and buys {a} {thing} for ${b} each]. [How much money is left?|How much does {they} have left?|How many dollars remain?]",
        a=a, b=b, c=c, thing=thing,
    )  # fmt: skip
    return Problem(question, ((a, "*", b, "dollars"), (c, "-", a * b, "left")))


def _share(chance: Chance) -> Problem:
    d, each = chance.between(2, 6), chance.between(3, 6)
    a = chance.between(2, d * each - 2)
    b = d * each - a
    thing = write(chance, "{thing}")
    question = _ask(
        chance,
        "[{who} has {a} {thing} and {other} has {b}. They share them equally among {d} [friends|children]|{who} finds {a} {thing} on {day} and {b} on {day2} and shares them equally among {d} [friends|children]]. How many [{thing} |]does each [get|have]?",
        a=a, b=b, d=d, thing=thing,
    )  # fmt: skip
    return Problem(question, ((a, "+", b, thing), (a + b, "/", d, "each")))


def _more(chance: Chance) -> Problem:
    a, b = chance.between(2, 12), chance.between(2, 9)
    thing = write(chance, "{thing}")
    fewer = chance.yes(0.4) and a > b
    question = _ask(
        chance,
        "{who} [has|finds|owns] {a} {thing}. {other} has {b} {word} than {who}. How many {thing} do they have [together|in all]?",
        a=a, b=b, thing=thing, word="fewer" if fewer else "more",
    )  # fmt: skip
    sign = "-" if fewer else "+"
    second = solve(a, sign, b)
    return Problem(question, ((a, sign, b, thing), (a, "+", second, "in all")))


def _times(chance: Chance) -> Problem:
    a, b = chance.between(2, 7), chance.between(2, 5)
    thing = write(chance, "{thing}")
    question = _ask(
        chance,
        "[{other} has {a} {thing}. {who} has {b} times as many|{who} has {b} times as many {thing} as {other}, who has {a}]. How many {thing} do they have [together|in all]?",
        a=a, b=b, thing=thing,
    )  # fmt: skip
    return Problem(question, ((a, "*", b, thing), (a * b, "+", a, "in all")))


def _work(chance: Chance) -> Problem:
    a, b = chance.between(2, 7), chance.between(2, 6)
    c = chance.between(1, a * b - 1)
    question = _ask(
        chance,
        "[{who} earns ${a} an hour and works {b} hours|a {job} gets ${a} for each of {b} hours|{who}, a {job}, works {b} hours at ${a} an hour]. [{they} spends ${c} on {food}|{thing} for {them} cost ${c}|${c} goes to the bank]. How much is left?",
        a=a, b=b, c=c,
    )  # fmt: skip
    return Problem(question, ((a, "*", b, "dollars"), (a * b, "-", c, "left")))


def _firm(chance: Chance) -> Problem:
    a, b = chance.between(2, 7), chance.between(2, 7)
    c = chance.between(1, a * b - 1)
    question = _ask(
        chance,
        "[{firm} sells {a} [cars|boats|engines] at ${b} thousand each; its costs are ${c} thousand|at costs of ${c} thousand {firm} makes {a} [cars|boats|engines] and sells each for ${b} thousand]. What is its profit in thousands?",
        a=a, b=b, c=c,
    )  # fmt: skip
    return Problem(question, ((a, "*", b, "sales"), (a * b, "-", c, "profit")))


def _pick(chance: Chance) -> Problem:
    d, each = chance.between(2, 5), chance.between(2, 5)
    c = chance.between(1, 6)
    total = d * each + c
    a = chance.between(2, total - 2)
    question = _ask(
        chance,
        "{who} picks {a} {fruit} [in the morning|on {day}] and {b} [in the evening|later], eats {c} and shares the rest among {d} [friends|children]. How many does each [get|have]?",
        a=a, b=total - a, c=c, d=d,
    )  # fmt: skip
    return Problem(question, ((a, "+", total - a, ""), (total, "-", c, ""), (total - c, "/", d, "")))


def _week(chance: Chance) -> Problem:
    a, b = chance.between(2, 6), chance.between(2, 5)
    c, d = chance.between(2, 4), chance.between(2, 9)
    question = _ask(
        chance,
        "[each day {who} gets {a} {thing} from {other} and buys {b}. {before}. How many {thing} are there after {c} days?"
        "|every {day} {who} gets {a} {thing} from {other} and {b} from {their} {relative}. {before}. How many {thing} are there after {c} weeks?]",
        a=a, b=b, c=c, before=f"There were {d} before" if chance.yes(0.5) else f"At first there were {d}",
    )  # fmt: skip
    return Problem(question, ((a, "+", b, ""), (a + b, "*", c, ""), ((a + b) * c, "+", d, "")))


KINDS: tuple[Callable[[Chance], Problem], ...] = (
    _boxes, _bill, _change, _share, _more, _times, _work, _firm, _pick, _week,
)  # fmt: skip
