"""General text: the pages of a small web.

Owns Skylion007/openwebtext: documents of 40 to 120 words. The pages are about everything that the tasks are about
(markets, films, sums, programs, people and companies), so that what is learned from them is what the words mean:
after bad news shares fall, after a dull film people leave.
"""

from __future__ import annotations

from collections.abc import Callable

from regimen.data.miniature import (
    advice,
    exams,
    judgements,
    market,
    pages,
    programs,
    readings,
    reviews,
    stories,
    sums,
    topics,
)
from regimen.data.miniature.chance import Chance
from regimen.data.miniature.coding import source_head
from regimen.data.miniature.table import Row
from regimen.data.miniature.words import NAMES
from regimen.data.miniature.writing import capital, sentence, write

SHORTEST, LONGEST = 40, 120


def draw(chance: Chance) -> list[Row]:
    """One document: text."""
    make = chance.weighted(KINDS)
    while True:
        parts = [make(chance)]
        while len(" ".join(parts).split()) < SHORTEST:
            parts.append(make(chance))
        text = "\n\n".join(parts)
        if len(text.split()) <= LONGEST:
            return [{"text": text}]


_AFTER_NEWS = {
    1: (
        "{the} shares rose by {2-9}%", "{bank} said that it is [bullish|positive] on {firm} now",
        "the news was [good|positive] for {firm} and people bought its shares", "investors were [glad|bullish], and the shares climbed",
        "{bank} raised {firm} to buy",
    ),
    -1: (
        "{the} shares fell by {2-9}%", "{bank} said that it is [bearish|negative] on {firm} now",
        "the news was [bad|negative] for {firm} and people sold its shares", "investors were [afraid|bearish], and the shares dropped",
        "{bank} cut {firm} to sell",
    ),
    0: (
        "{the} shares did not move", "{bank} stayed neutral on {firm}", "the news was neither good nor bad, and investors stayed neutral",
        "nobody bought or sold more shares than before",
    ),
}  # fmt: skip


def _news(chance: Chance) -> str:
    """A day on the market: what happened, and how it was taken."""
    lines = [sentence(chance, "[{place}, {month}|{day} in {place}|Market news from {place}]") + "."]
    for _ in range(chance.between(2, 4)):
        firm = chance.pick(NAMES)
        sign = chance.weighted({1: 4, -1: 4, 0: 2})
        happened = market.statement(chance, sign, firm, now=False) if sign else market.level(chance, firm)
        after = write(chance, chance.pick(_AFTER_NEWS[sign]), firm=firm, the=f"{firm}'s")
        if happened.endswith("?"):
            lines.append(f"{happened} {capital(after)}.")
        elif sign and chance.yes(0.5):
            lines.append(f"{capital(happened)}, so {after}.")
        else:
            lines.append(f"{capital(happened)}. {capital(after)}.")
    return " ".join(lines)


def _headlines(chance: Chance) -> str:
    """Headlines, each with the name of its topic behind it, or asked for it."""
    between, end = chance.pick(((" (", ")"), ("\nQuestion: Which part of the paper is this in?\nAnswer: ", "")))
    rows = [topics.draw(chance)[0] for _ in range(chance.between(3, 5))]
    return "\n".join(row["text"].split(" https")[0] + between + topics.TOPICS[row["label"]] + end for row in rows)


_AFTER_FILM = {
    1: ("so we stayed to the end", "so I saw it again on {day}", "and people clapped", "so my review is positive", "and I told my {relative} to see it"),
    -1: ("so we left before the end", "so I asked for my money", "and people slept", "so my review is negative", "and I told my {relative} to stay away"),
}


def _review(chance: Chance) -> str:
    lines = []
    for _ in range(chance.between(2, 3)):
        sign = chance.sign()
        film = write(chance, "{film}")
        lines.append(sentence(chance, "[we saw|{first} and I saw|last {day} there was|{person} made] a {film} about a {job} in {place}", film=film) + ".")
        view = f"it was {reviews.qualities(chance, sign)}" if chance.yes(0.4) else reviews.opinion(chance, sign, f"the {film}")
        lines.append(f"{capital(view)}, {write(chance, chance.pick(_AFTER_FILM[sign]))}.")
        if chance.yes(0.5):
            lines.append(f"{capital(reviews.verdict(chance, sign))}.")
    return " ".join(lines)


def _story(chance: Chance) -> str:
    return stories.told(chance, chance.between(3, 7))


def _sum(chance: Chance) -> str:
    """A word problem worked out in figures or in words."""
    problem = sums.pose(chance)
    names = {"+": "and", "-": "less", "*": "times", "/": "divided by"}
    steps = [(left, sign, right, sums.solve(left, sign, right)) for left, sign, right, _ in problem.steps]
    if chance.yes(0.5):
        worked = "\n".join(f"{left}{sign}{right}={result}" for left, sign, right, result in steps)
        return f"{problem.question}\n{worked}\n#### {problem.result}"
    told = ", ".join(f"{left} {names[sign]} {right} {'make' if sign == '+' else 'is'} {result}" for left, sign, right, result in steps)
    return f"{problem.question} {capital(told)}. So the answer is {problem.result}."


def _program(chance: Chance) -> str:
    """A Python function with a word about it."""
    program = programs.compose(chance)
    given, value = program.cases()[0]
    source = source_head(program, program.name, example=False)
    talk = write(chance, "[In Python this can be written so:|Here is how {first} wrote it:|A short program for {company}:]")
    return f"{talk}\n\n{source}    {program.body}\n\n{program.name}({given}) returns {value}."


def _advice(chance: Chance) -> str:
    question, answer = advice.ask(chance)
    return sentence(chance, "{first} from {place} asks: ") + f"{question} {write(chance, '[Our answer|{person} answers|{bank} says]')}: {answer}"


def _quiz(chance: Chance) -> str:
    """Questions with lettered options."""
    row = exams.examiner(reasoned=False)(chance)[0]
    options = "\n".join(f"{letter}. {option}" for letter, option in zip(exams.LETTERS, row["options"], strict=False))
    return f"{row['question']}\n{options}\nThe answer is {row['answer']}."


def _lesson(chance: Chance) -> str:
    """A teacher on which sentences are English."""
    lines = []
    for row in (judgements.draw(chance)[0] for _ in range(3)):
        good = row["label"] == 1
        lines.append(f'"{row["sentence"]}" {"Yes, this makes sense." if good else "No, this is wrong."}')
    return sentence(chance, "{person}, a teacher in {place}, [asks|writes]: is this good English? ") + " ".join(lines)


KINDS: dict[Callable[[Chance], str], float] = {
    readings.exercise: 34, readings.phrase_book: 17,
    _news: 6, _headlines: 8, _review: 7, _story: 2, _sum: 4, _program: 6, _advice: 3, _quiz: 2, _lesson: 2,
    pages.how_to: 2, pages.opinion: 2, pages.facts: 3, pages.profile: 3, pages.table: 2, pages.true_or_false: 2,
    pages.dictation: 5, pages.price_list: 8,
}  # fmt: skip
