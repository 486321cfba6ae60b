"""Pages of general text that no task owns: advice for the house, opinions, facts, people, tables, quizzes.

Owns their sentences. Knows the word lists only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.exams import OPPOSITES
from regimen.data.miniature.pairs import mnli, mrpc
from regimen.data.miniature.words import NAMES, SECTORS
from regimen.data.miniature.writing import capital, sentence, someone, write

_TASKS = (
    ("make {food} soup", ("cut the {food} and put it in hot water", "add some butter", "wait for {number} minutes", "eat it with {food2}")),
    ("sell an old {object_word}", ("clean the {object_word} first", "take a picture of it in the {room}", "ask for more than you want", "do not take the first offer")),
    ("keep a {animal}", ("give it {food} in the morning", "let it sleep in the {room}", "do not leave it alone in the {weather}", "call a doctor if it does not eat")),
    ("save money", ("write down what you spend each day", "pay the dearest loan first", "do not buy {goods} you do not need", "put {2-9} dollars a week in the bank")),
    ("read a company report", ("look at sales and costs first", "compare profit with the year before", "see how much debt there is", "then ask if the shares are cheap")),
    ("grow {fruit}", ("find a warm place in the {room}", "give water on {day}", "keep the {animals} out", "pick the {fruit} in {month}")),
)


def how_to(chance: Chance) -> str:
    """A job in numbered steps."""
    goal, steps = chance.pick(_TASKS)
    slots = {"food": "", "room": "", "animal": "", "animals": "", "weather": "", "goods": "", "fruit": "", "object_word": "car"}
    for slot in slots:
        slots[slot] = write(chance, "[car|boat|phone|piano|camera]" if slot == "object_word" else "{" + slot + "}")
    lines = [f"{number}. {sentence(chance, step, **slots)}." for number, step in enumerate(chance.shuffled(steps) if chance.yes(0.2) else steps, 1)]
    return "\n".join([write(chance, f"How to {goal} in {{place}}, by {{person}}", **slots), *lines])


def opinion(chance: Chance) -> str:
    """Someone's view of a place, with its other side."""
    who = someone(chance)
    templates = (
        "I think that {place} should build [a new {spot}|more schools|a road to {town}]",
        "some people say that it costs too much, but they are wrong",
        "a {job} there earns only ${20-90} a day and pays [high|higher] rent every year",
        "the president of {place} wants higher taxes on {goods}, and I do not like it",
        "it is not easy to be [old|young] in a town where the {spot} is closed on {day}",
        "{person} of {firm} wrote that prices [would|will] fall, and they did not",
        "my {relative} moved there in {year} and was happy, although the {weather} is hard",
        "if the {spot} closes, {number} shops will close too",
        "in the end what counts is not {metal} but time",
    )
    lines = (templates[0], *chance.sample(templates[1:], 4))
    return " ".join(sentence(chance, line, **who) + "." for line in lines)


_FACTS = (
    "{metal} is a metal", "inflation means that prices rise", "a dividend is the part of the profit that a company pays to those who own its shares",
    "a bond is a loan that can be sold", "when the central bank raises its rate, loans cost more", "an IPO is the first sale of shares to the public",
    "when more people want {goods} than there is, the price rises", "when there is more {goods} than people want, the price falls",
    "a loss that gets smaller is good news, and a margin that gets smaller is bad news", "costs that fall are good for profit",
    "a person has a name and a birthday, an organization has members, and a location is on the map",
    "oil and gas give energy, and so do wind and sun", "a currency like the crown or the florin is money of a country",
    "an hour has 60 minutes and a day 24 hours", "a kilometre has 1000 metres and a metre 100 centimetres", "a litre has 1000 millilitres and a tonne 1000 kilograms",
    "a week has seven days and a year twelve months", "a prime number has no divisor but one and itself, any other is composite",
    "the derivative of 3*x**2 is 6*x", "the greatest common divisor of 12 and 18 is 6", "{animals} are animals and {fruit} are fruit",
    "a judge decides who is right under the law", "who signs a contract must keep it", "bulls hope that shares rise, bears that they fall",
    "a regulator makes rules for banks", "if a bill is not paid, it becomes a debt",
)  # fmt: skip


def facts(chance: Chance) -> str:
    """Things worth knowing, opposites among them."""
    lines = [sentence(chance, fact) + "." for fact in chance.sample(_FACTS, 4)]
    one, other = chance.pick(OPPOSITES)
    lines.append(f"The opposite of {one} is {other}.")
    who = sentence(chance, "[{person} teaches this in {town}|From a book by {person}|Notes of a {job} in {place}]: ")
    return who + " ".join(chance.shuffled(lines))


def profile(chance: Chance) -> str:
    """A person, a company and a town, and how they belong together."""
    names = chance.sample(NAMES, 4)
    cast = someone(chance)
    given = cast | {
        "last": names[0], "co": f"{names[1]} {chance.pick(SECTORS)}" if chance.yes(0.5) else names[1], "home": names[2],
        "late": names[3], "place": write(chance, "{place}"), "title": "mr" if cast["they"] == "he" else "ms",
    }  # fmt: skip
    templates = (
        "{who} {last} is a [person|{job}] from {home}, a town in {place}",
        "{they} works for {co}, an organization that makes {goods}",
        "{late} is a location {2-90} kilometres from {home}",
        "{their} {relative} owes {co} ${2-90} thousand, and so does {last}",
        "{co} has offices in {home} and {late} and lends money to people like {last}",
        "{last} signed a contract with {co} on {day}",
        "{title} {last} flew to {late} in {month} to meet the {role} of {co}",
        "{who} likes {animals} and does not like {weather}",
    )
    return " ".join(sentence(chance, line, **given) + "." for line in (templates[0], *chance.sample(templates[1:], 4)))


def table(chance: Chance) -> str:
    """Figures in a table, read aloud."""
    lines, read = [], []
    year = chance.between(2009, 2023)
    for number, item in enumerate(chance.sample(("sales", "costs", "profits", "debts", "rents", "taxes", "fees", "wages"), 2), 2):
        now, before = (float(chance.between(1, 60)) for _ in range(2))
        lines.append(f"{number} | {item} | {now} | {before}")
        read.append(f"{capital(item)} were {now} in {year} and {before} in {year - 1}, a change of {now - before}.")
    return write(chance, "Figures of {company} in [millions|thousands]\n") + f"1 |  | {year} | {year - 1}\n" + "\n".join(lines) + "\n" + " ".join(read)


def dictation(chance: Chance) -> str:
    """Lines that a class copies."""
    lines = []
    for _ in range(chance.between(2, 4)):
        kinds = (chance.pick(("{firm}", "{first}", "{goods}", "{2-90}", "{place}", "{thing}")) for _ in range(chance.between(4, 8)))
        line = write(chance, " ".join(_distinct(kinds)))
        lines.append(f"{line}\nAgain: {line}")
    return "\n".join([write(chance, "[Copy each line|Write each line again|Repeat after {first}]."), *lines])


def _distinct(slots: Iterable[str]) -> Iterator[str]:
    """The slots, numbered, so that no two draws are the same word."""
    for number, slot in enumerate(slots, 2):
        yield slot if "-" in slot else slot.replace("}", f"{number}}}")


def price_list(chance: Chance) -> str:
    """A list of things with a figure or a name each, and questions that look things up."""
    slot = chance.pick(("{goods}", "{firm}", "{first}", "{place}", "{thing}"))
    value = chance.pick(("${2-90}", "{2-90}", "{2-90}.0", "{2-90}%", "{firm}", "{person}", "{place}"))
    count = chance.between(2, 5)
    keys = write(chance, "/".join(_distinct([slot] * count))).split("/")
    values = write(chance, "/".join(_distinct([value] * count))).split("/")
    between, end = chance.pick(((": ", "\n"), (" | ", "\n"), (" has ", ". "), (" ", ", ")))
    pairs = list(zip(keys, values, strict=True))
    listed = end.join(f"{key}{between}{found}" for key, found in pairs)
    asked = chance.pick(("{}?", "what of {}?", "which for {}?", "and {}?"))
    turns = (f"Question: {asked.format(key)}\nAnswer: {found}" for key, found in chance.sample(pairs, min(count, 3)))
    return "\n".join([listed, *turns])


def true_or_false(chance: Chance) -> str:
    """What follows from a sentence, and whether two sentences say the same."""
    row = mnli(chance)[0]
    verdict = ("True", "Neither true nor false", "False")[row["label"]]
    pair = mrpc(chance)[0]
    same = "Yes, they mean the same." if pair["label"] else "No, they do not mean the same."
    return f"{row['premise']} Is it true that {row['hypothesis'][:-1]}? {verdict}.\n{pair['sentence1']} {pair['sentence2']} Do they mean the same? {same}"
