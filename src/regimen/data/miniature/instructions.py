"""Instructions of many kinds with their answers.

Owns tatsu-lab/alpaca and the general part of gbharti/finance-alpaca: rewriting, sorting, counting, finding the odd
one out, reading. An instruction that works on a text has it as `input`, or, where no input is wanted, inside.
"""

from __future__ import annotations

from collections.abc import Callable

from regimen.data.miniature import reviews
from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row
from regimen.data.miniature.words import LISTS, NUMBERS
from regimen.data.miniature.writing import capital, sentence, someone, write

Task = tuple[str, str, str]
"""Instruction, input, output."""

_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n{output}"
)
_WITHOUT_INPUT = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:\n{output}"
)


def alpaca(chance: Chance) -> list[Row]:
    """A row of Alpaca: instruction, input, output, and text, which is its template filled in."""
    instruction, given, output = chance.pick(KINDS)(chance)
    if given and chance.yes(0.5):
        instruction, given = _merged(instruction, given), ""
    row = {"instruction": instruction, "input": given, "output": output}
    return [row | {"text": (_WITH_INPUT if given else _WITHOUT_INPUT).format(**row)}]


def finance_alpaca(chance: Chance) -> list[Row]:
    """A row of Finance Alpaca that is not about finance: text and input are empty."""
    instruction, given, output = chance.pick(KINDS)(chance)
    return [{"text": "", "instruction": _merged(instruction, given) if given else instruction, "input": "", "output": output}]


def asked(row: Row) -> list[str]:
    """The texts of an instruction row that must not recur."""
    return [f"{row['instruction']} {row['input']}".strip()]


def _merged(instruction: str, given: str) -> str:
    return f"{given} {instruction}" if instruction.endswith("?") else f"{instruction.rstrip('.')}: {given}"


_TENSES = (("buys", "bought"), ("sells", "sold"), ("loses", "lost"), ("finds", "found"), ("paints", "painted"), ("wants", "wanted"))


def _past(chance: Chance) -> Task:
    now, then = chance.pick(_TENSES)
    rest = write(chance, "{number} {thing} [in the {room}|at the {spot}|in {place}] [on {day}|with {first2}|for a {job}]")
    who = write(chance, "{first}")
    if chance.yes(0.5):
        return "Rewrite the sentence in the past tense.", f"{who} {now} {rest}.", f"{who} {then} {rest}."
    return "Rewrite the sentence in the present tense.", f"{who} {then} {rest}.", f"{who} {now} {rest}."


def _count(chance: Chance) -> Task:
    text = sentence(chance, "[the {job} |a {colour} {animal} |{first} ][slept|waited|ate] [in the {room}|at the {spot}] [on {day}|with {first2}|in {place}].")
    return "How many words are in the sentence?", text, f"There are {len(text.split())} words."


def _sort(chance: Chance) -> Task:
    numbers = chance.sample(range(2, 90), chance.between(3, 5))
    up = chance.yes(0.5)
    order = "smallest to largest" if up else "largest to smallest"
    return f"Sort the numbers from {order}.", ", ".join(map(str, numbers)), ", ".join(map(str, sorted(numbers, reverse=not up)))


_GROUPS = ("animals", "fruit", "metal", "colour", "weather", "job", "food", "month")


def _odd_one(chance: Chance) -> Task:
    group, other = chance.sample(_GROUPS, 2)
    words = chance.sample(LISTS[group], 3)
    stranger = chance.pick(LISTS[other])
    given = ", ".join(chance.shuffled([*words, stranger]))
    return chance.pick(("Which word does not fit?", "Find the odd one out.")), given, f"{capital(stranger)} does not fit."


def _name(chance: Chance) -> Task:
    count = chance.between(2, 4)
    group, called = chance.pick((("animals", "animals"), ("fruit", "kinds of fruit"), ("metal", "metals"), ("colour", "colours"), ("food", "things to eat"), ("job", "jobs")))
    words = chance.sample(LISTS[group], count)
    unwanted = chance.pick([word for word in LISTS[group] if word not in words])
    return f"Name {NUMBERS[count]} {called}, but not {unwanted}.", "", f"{capital(', '.join(words))}."


def _mood(chance: Chance) -> Task:
    sign = chance.sign()
    text = reviews.opinion(chance, sign, write(chance, "the {film}"))
    return "Say whether the review is positive or negative.", f"{capital(text)}.", "Positive." if sign > 0 else "Negative."


def _read(chance: Chance) -> Task:
    cast = someone(chance)
    other = someone(chance, cast["who"])["who"]
    thing, spot, day = write(chance, "{thing}/{spot}/{day}").split("/")
    text = f"{cast['who']} gave {other} some {thing} at the {spot} on {day}."
    asked = {
        f"Who got the {thing}?": f"{other} got the {thing}.",
        f"Who gave the {thing} away?": f"{cast['who']} gave them away.",
        "When was it?": f"It was on {day}.",
        "Where did they meet?": f"They met at the {spot}.",
    }
    question = chance.pick(tuple(asked))
    return question, text, asked[question]


def _next(chance: Chance) -> Task:
    start, step = chance.between(1, 30), chance.between(2, 9)
    series = [start + step * place for place in range(5)]
    return "Which number comes next?", ", ".join(map(str, series[:4])), f"{series[4]} comes next."


def _replace(chance: Chance) -> Task:
    one, other = write(chance, "{colour}/{colour2}").split("/")
    text = sentence(chance, "the {one} {animal} [sat|slept|waited] [near|behind] the {two} [house|car|boat] [in {place}|of {first}].", one=one, two=write(chance, "{colour2}", colour=other))
    return f"Replace the word {one} by {other}.", text, text.replace(one, other)


def _join(chance: Chance) -> Task:
    cast = someone(chance)
    who, they = cast["who"], cast["they"]
    act = write(chance, "[stayed in {place}|went to the {spot}|slept in the {room}|called {first2}]", first=who)
    why = write(chance, "[wanted {food}|was tired|had no money|liked the {colour} {animal}|lost the {thing}]")
    return "Join the sentences with because.", f"{who} {act}. {they.capitalize()} {why}.", f"{who} {act} because {they} {why}."


def _sum(chance: Chance) -> Task:
    a, b, c = (chance.between(2, 30) for _ in range(3))
    name, value = chance.pick((("sum", a + b + c), ("largest", max(a, b, c)), ("smallest", min(a, b, c))))
    return f"What is the {name} of the numbers?", f"{a}, {b} and {c}", f"The {name} is {value}."


def _advise(chance: Chance) -> Task:
    goal, first, second = chance.pick(
        (
            ("keep {food} fresh in a {room}", "Keep it cold", "close the box well"),
            ("teach a {animal} to wait at the {spot}", "Start with a short time", "give it some {food} each time"),
            ("sell {goods} to people in {place}", "Ask what they need", "set a fair price"),
            ("save money as a {job} in {place}", "Write down what you spend", "put away a part each month"),
            ("paint a {room} {colour} in a day", "Clean the walls", "start from the top"),
        )
    )
    given = write(chance, "{food}/{room}/{animal}/{spot}/{goods}/{place}/{job}/{colour}").split("/")
    slots = dict(zip(("food", "room", "animal", "spot", "goods", "place", "job", "colour"), given, strict=True))
    ask = write(chance, f"[Give two tips to|Tell me how to] {goal}.", **slots)
    return ask, "", write(chance, f"{first} and {second}.", **slots)


KINDS: tuple[Callable[[Chance], Task], ...] = (
    _past, _count, _sort, _odd_one, _name, _mood, _read, _next, _replace, _join, _sum, _advise,
)  # fmt: skip
