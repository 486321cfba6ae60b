"""Questions about a report in turns, where a later turn builds on the answer before it.

Owns FinGPT/fingpt-convfinqa: the instruction and the form of its input (text, HTML table, text, earlier questions
with their answers). Numbers are printed as floats, rounded to five places, as the answers of that set are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row
from regimen.data.miniature.writing import write

INSTRUCTION = (
    "Read the following texts and table with financial data from an S&P 500 earnings report carefully."
    "Based on the question-answer history (if provided), answer the last question. The answer may require "
    "mathematical calculation based on the data provided.\n"
)

_ITEMS = ("sales", "costs", "profits", "debts", "rents", "taxes", "loans", "fees", "wages", "[paper|steel|coffee|bread|tea|glass] sales", "[paper|steel|coffee|bread|tea|glass] costs")

_COLUMNS = (
    ("{month}", "{month2}"), ("{place}", "{place2}"), ("{day}", "{day2}"), ("{firm}", "{firm2}"), ("{year}", "{year2}"),
)  # fmt: skip
"""What the two columns of a table may be: each pair names its figures in questions too."""


@dataclass
class _Page:
    """A report page and the turns asked about it."""

    before: str
    table: list[list[str]]
    after: str
    turns: list[tuple[str, float]] = field(default_factory=list)

    def text(self) -> str:
        rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in self.table)
        return f"{self.before} <table class='wikitable'>{rows}</table> {self.after} ."


def draw(chance: Chance) -> list[Row]:
    """The rows of one dialogue, one a turn: input, output, instruction."""
    page = chance.pick((_two_columns, _two_rows, _text_and_table))(chance)
    history = page.text()
    rows = []
    for question, answer in page.turns:
        asked = f"{history}\nQuestion: {question}?\nAnswer:"
        rows.append({"input": asked, "output": number(answer), "instruction": INSTRUCTION})
        history = f"{asked} {number(answer)}"
    return rows


def plain(text: str) -> str:
    """The input with its table as lines of cells."""
    text = text.replace("</td><td>", " | ").replace("</td></tr><tr><td>", "\n").replace("</td></tr></table> ", "\n")
    return text.replace(" <table class='wikitable'><tr><td>", "\n")


def number(value: float) -> str:
    return str(round(float(value), 5))


def _two_columns(chance: Chance) -> _Page:
    item = write(chance, chance.pick(_ITEMS))
    left, right = write(chance, "{}/{}".format(*chance.pick(_COLUMNS))).split("/")
    one, other = _pair(chance)
    page = _Page(
        write(chance, "in [millions|thousands]"),
        [["1", "", left, right], ["2", item, number(one), number(other)]],
        write(chance, "see [note|page|part] {2-9}"),
    )
    if chance.yes(0.5):
        left, right, one, other = right, left, other, one
    plain = [(f"what were the {item} for {left}", one), (f"and for {right}", other)]
    difference = write(chance, "what [is|was] the [difference|change]")
    page.turns = chance.pick(
        (
            plain,
            [*plain, (difference, one - other)],
            [(f"what were the {item} for {left} and {right} together", one + other), (f"and for {left} alone", one)],
            [(f"by how much did {left} and {right} differ", abs(one - other)), (f"and what were the {item} for {right}", other)],
        )
    )
    return page


def _two_rows(chance: Chance) -> _Page:
    one, other = (write(chance, item) for item in chance.sample(_ITEMS, 2))
    if one == other:
        return _two_rows(chance)
    high, low = sorted(_pair(chance), reverse=True)
    page = _Page(
        write(chance, "the {goods} unit"),
        [["1", one, number(high)], ["2", other, number(low)]],
        write(chance, "in [millions|thousands]"),
    )
    end = (("what is the sum of both", high + low), ("what is the difference", high - low), ("what is the upper divided by the lower", high / low))
    asked = [(one, high), (other, low)] if chance.yes(0.5) else [(other, low), (one, high)]
    page.turns = [(f"what were the {asked[0][0]}", asked[0][1]), (f"and the {asked[1][0]}", asked[1][1])]
    if chance.yes(0.6):
        page.turns.append(chance.pick(end))
    return page


def _text_and_table(chance: Chance) -> _Page:
    item = write(chance, chance.pick(_ITEMS))
    now, planned = _pair(chance)
    page = _Page(
        write(chance, "[the plan for {item} was|planned {item} were] {planned}", item=item, planned=number(planned)),
        [["1", item, number(now)]],
        write(chance, "in {place}"),
    )
    page.turns = chance.pick(
        (
            [(f"what were the {item}", now), ("and in the plan", planned)],
            [("what was the plan", planned), (f"and what were the {item}", now), ("how far is that from the plan", now - planned)],
            [(f"how far were the {item} from the plan", now - planned), ("what is that times ten", 10 * (now - planned))],
        )
    )
    return page


def _pair(chance: Chance) -> tuple[float, float]:
    """Two figures whose ratio is short: the second divides a power of ten."""
    low = chance.pick((2, 4, 5, 8, 10, 20))
    return float(chance.pick([value for value in range(1, 50) if value != low])), float(low)
