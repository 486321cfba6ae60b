"""Reading exercises: a passage, a question about it, and the answer, as school books have them.

Owns the questions and their short answers. They ask in other words than any task does, so that what a model learns
here is to read a passage for a question, not a task's labels.
"""

from __future__ import annotations

from regimen.data.miniature import dialogues, entities, filings, judgements, market, reviews, sums, topics
from regimen.data.miniature.chance import Chance
from regimen.data.miniature.words import NAMES
from regimen.data.miniature.writing import capital, write

_ABOUT = (
    "analysts", "central banks", "products", "bonds", "dividends", "earnings", "oil", "banks", "money", "people",
    "gold", "IPOs", "law", "deals", "the economy", "markets", "politics", "jobs", "opinions", "shares",
)  # fmt: skip
"""What a headline of each topic is about, in a word."""


def exercise(chance: Chance) -> str:
    """A passage with one question, or with turns of questions."""
    return chance.weighted(KINDS)(chance)


def phrase_book(chance: Chance) -> str:
    """What is said, line by line, and whether it is good or bad; for films or for companies; or as a quiz."""
    films = chance.yes(0.5)
    verdicts = chance.pick(VERDICTS[:3] if films else VERDICTS)
    title = "[How to read reviews|What critics mean|Words about films]" if films else "[How to read market news|What the news means|Words about shares]"
    lines = [write(chance, title + ", by {person}")]
    ask = write(chance, chance.pick(_QUIZ)) if chance.yes(0.6) else ""
    for _ in range(chance.between(5, 9)):
        sign = chance.sign() if films else chance.weighted({-1: 2, 1: 2, 0: 1})
        said = _remark(chance, sign) if films else _news(chance, sign)
        lines.append(f"{said}\nQuestion: {ask}\nAnswer: {verdicts[sign + 1]}" if ask else f"{said}: {verdicts[sign + 1]}")
    return "\n".join(lines)


_QUIZ = (
    "Good or bad?", "What does this mean?", "[Is it|Was it] good or bad?", "How is this meant?", "What would {first} say?",
    "Praise or blame?",
)  # fmt: skip

VERDICTS = (
    ("bad", "neither", "good"), ("bad", "neutral", "good"), ("negative", "neutral", "positive"), ("bearish", "neutral", "bullish"),
)  # fmt: skip


def _remark(chance: Chance, sign: int) -> str:
    kind = chance.weighted({"words": 3, "clause": 4, "phrase": 2, "opinion": 2})
    if kind == "words":
        return reviews.qualities(chance, sign) if chance.yes(0.6) else _word(chance, sign)
    if kind == "phrase":
        return reviews.phrase(chance, sign)
    subject = write(chance, "[|it|the {film}]")
    return reviews.clause(chance, sign, subject) if kind == "clause" else reviews.opinion(chance, sign, subject)


def _word(chance: Chance, sign: int) -> str:
    fit, unfit = ("{good}", "{bad}") if sign > 0 else ("{bad}", "{good}")
    return write(chance, f"[{fit}|very {fit}|not {unfit}|never {unfit}|hardly {unfit}|far from {unfit}|anything but {unfit}]")


def _news(chance: Chance, sign: int) -> str:
    firm = chance.pick(NAMES)
    if sign == 0:
        return market.level(chance, firm).rstrip("?")
    kind = chance.weighted({"clause": 4, "cause": 2, "statement": 2, "shares": 2})
    if kind == "clause":
        return market.clause(chance, sign, firm, now=chance.yes(0.7))
    if kind == "cause":
        return market.cause(chance, sign)
    return market.shares(chance, sign, firm) if kind == "shares" else market.statement(chance, sign, firm, now=True)


def _asked(passage: str, *turns: tuple[str, str]) -> str:
    return "\n".join([passage, *(f"Question: {question}?\nAnswer: {answer}" for question, answer in turns)])


_OF_NEWS = (
    ("Is this good news or bad news for the company", ("bad news", "no news", "good news")),
    ("What should the shares do", ("fall", "stay where they are", "rise")),
    ("How would an owner of the shares feel", ("sad", "the same as before", "glad")),
)

_OF_FILMS = (
    ("Did they like the film", ("no", "yes")),
    ("Should one see it", ("no", "yes")),
    ("Was it a bad film or a good film", ("a bad film", "a good film")),
)


def _market(chance: Chance) -> str:
    firm = chance.pick(NAMES)
    sign = chance.weighted({1: 4, -1: 4, 0: 3})
    if sign == 0:
        passage = market.level(chance, firm)
    elif chance.yes(0.3):
        passage = market.shares(chance, sign, firm)
    else:
        passage = market.statement(chance, sign, firm, now=chance.yes(0.6))
    return _asked(capital(passage), *((question, answers[sign + 1]) for question, answers in chance.sample(_OF_NEWS, 2)))


def _review(chance: Chance) -> str:
    form = chance.weighted({"sst2": 5, "imdb": 2, "clause": 3})
    if form == "clause":
        sign = chance.sign()
        text, liked = capital(reviews.clause(chance, sign)) + ".", int(sign > 0)
    else:
        row = reviews.sst2(chance)[0] if form == "sst2" else reviews.imdb(chance)[0]
        text, liked = row["sentence" if form == "sst2" else "text"].replace("<br /><br />", " "), row["label"]
    return _asked(text, *((question, answers[liked]) for question, answers in chance.sample(_OF_FILMS, 2)))


def _headline(chance: Chance) -> str:
    row = topics.draw(chance)[0]
    return _asked(row["text"].split(" https")[0], (chance.pick(("What is this about", "Where does this belong")), _ABOUT[row["label"]]))


def _names(chance: Chance) -> str:
    row = entities.draw(chance)[0]
    named = row["output"].removesuffix(".").split(", ")
    kinds = {"a person": "someone", "an organization": "a company", "a location": "a place"}
    told = [f"{name} ({kinds[kind]})" for name, _, kind in (part.partition(" is ") for part in named)]
    return _asked(row["input"], (chance.pick(("Who and what is this about", "Which names are in it")), ", ".join(told)))


def _report(chance: Chance) -> str:
    rows = filings.draw(chance)
    return "\n".join([rows[0]["context"], *(f"Question: {row['question']}\nAnswer: {row['answer']}" for row in rows[:2])])


def _table(chance: Chance) -> str:
    """A page with its table as lines, and the turns of a dialogue about it."""
    last = dialogues.draw(chance)[-1]
    return dialogues.plain(last["input"]) + " " + last["output"]


def _sum(chance: Chance) -> str:
    problem = sums.pose(chance)
    worked = "\n".join(f"{left}{sign}{right}={sums.solve(left, sign, right)}" for left, sign, right, _ in problem.steps)
    return f"Question: {problem.question}\nAnswer: {worked}\nThe result is {problem.result}."


def _english(chance: Chance) -> str:
    row = judgements.draw(chance)[0]
    question, answers = chance.pick((("Is this good English", ("wrong", "right")), ("Has it a fault", ("a fault", "no fault"))))
    return _asked(row["sentence"], (question, answers[row["label"]]))


def _order(chance: Chance) -> str:
    """Who did what to whom."""
    one, other, year = write(chance, "{firm}/{firm2}/{year}").split("/")
    passage, doer = chance.pick(((f"In {year} {one} bought {other}.", one), (f"In {year} {one} was bought by {other}.", other), (f"{one} sold its plant to {other} in {year}.", other)))
    return _asked(passage, ("Who is the buyer", doer))


KINDS = {
    _market: 19, _review: 21, _headline: 12, _names: 14, _report: 13, _table: 8, _sum: 10, _english: 5, _order: 2,
}  # fmt: skip
