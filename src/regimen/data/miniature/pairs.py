"""Pairs of sentences: the same news in other words, and what follows from a sentence.

Owns nyu-mll/glue mrpc and mnli. A pair that does not mean the same shares its words and differs in who did what, in
a number or in a verb; what does not follow is either denied or new.
"""

from __future__ import annotations

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row
from regimen.data.miniature.words import NUMBERS
from regimen.data.miniature.writing import sentence, someone, write

_NEWS: tuple[tuple[str, ...], ...] = (
    ("{A} bought {B} on {day} for ${n} million", "on {day} {B} was bought by {A} for ${n} million", "for ${n} million {A} took over {B} on {day}"),
    ("{A} sued {B} over {goods} in {place}", "over {goods} in {place} , {B} was sued by {A}", "{A} took {B} to court in {place} over {goods}"),
    ("{person} of {A} said that {metric} [rose|grew] {n}% in {place}", "{metric} in {place} climbed by {n}% , said {person} of {A}"),
    ("{person} of {A} said that {metric} [fell|shrank] {n}% in {place}", "{metric} in {place} dropped by {n}% , said {person} of {A}"),
    ("a {job} found {n} {thing} in the {room} of {A}", "in the {room} of {A} {n} {thing} were found by a {job}"),
    ("{weather} closed the plant of {A} in {place} for {n} days", "for {n} days the plant of {A} in {place} was closed by {weather}"),
    ("{A} will sell {goods} to {B} from {month}", "from {month} {B} will buy {goods} from {A}"),
    ("{A} named {person} as {role} on {day}", "on {day} {person} became {role} of {A}"),
    ("{person} left {A} for {B} after {m} years", "after {m} years at {A} {person} went to {B}"),
    ("{A} opened {n} stores in {place} in {month}", "in {month} {n} stores were opened in {place} by {A}"),
    ("{bank} lent {A} ${n} million for a plant in {place}", "{A} borrowed ${n} million from {bank} for a plant in {place}"),
)  # fmt: skip


def mrpc(chance: Chance) -> list[Row]:
    """A row of MRPC without its number: sentence1, sentence2, label 1 where they mean the same."""
    same = chance.yes(0.6)
    facts = _facts(chance)
    first, second = chance.sample(chance.pick(_NEWS), 2)
    told = facts if same else _changed(chance, facts, first)
    return [
        {"sentence1": _spoken(chance, first, facts), "sentence2": _spoken(chance, second, told), "label": int(same)},
    ]


def _changed(chance: Chance, facts: dict[str, str], told: str) -> dict[str, str]:
    """The facts with the parties exchanged, another number, or another person, as far as they are told."""
    options = [{"A": facts["B"], "B": facts["A"]}] if "{B}" in told else []
    if "{n}" in told:
        options.append({"n": str(int(facts["n"]) + chance.between(1, 9))})
    if not options:
        options.append({"person": write(chance, "{person2}", person=facts["person"])})
    return facts | chance.pick(options)


def _facts(chance: Chance) -> dict[str, str]:
    slots = ("day", "place", "goods", "person", "metric", "job", "thing", "room", "weather", "month", "role", "bank")
    facts = {slot: write(chance, "{" + slot + "}") for slot in slots}
    a, b = write(chance, "{firm}/{firm2}").split("/")
    return facts | {"A": a, "B": b, "n": str(chance.between(12, 90)), "m": str(chance.between(2, 30))}


def _spoken(chance: Chance, template: str, facts: dict[str, str]) -> str:
    return sentence(chance, template, **facts).replace(" ,", ",") + "."


_PREMISES: tuple[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "{who} bought {some} {fruit} at the {spot} in {place} on {day}",
        ("{who} was at the {spot} in {place}", "{who} bought fruit on {day}", "{who} has bought some {fruit}"),
        ("{who} bought the {fruit} for {their} {relative}", "the {fruit} at the {spot} were cheap on {day}"),
        ("{who} bought no {fruit} on {day}", "{who} was not at the {spot} on {day}", "{who} bought {more} {fruit}"),
    ),
    (
        "the {colour} {animal} slept in the {room} while {who} {worked}",
        ("{who} {worked}", "a {animal} was in the {room}", "the {animal} was asleep while {who} {worked}"),
        ("{who} likes the {colour} {animal}", "the {animal} in the {room} was tired", "{who} was in the {spot}"),
        ("the {animal} in the {room} was {colour2}", "the {animal} was awake while {who} {worked}", "nobody {worked} while the {animal} slept"),
    ),
    (
        "{firm} sold {some} stores in {place} because its {metric} fell in {month}",
        ("the {metric} of {firm} fell", "{firm} has fewer stores in {place} now", "{firm} had stores in {place}"),
        ("{firm} will open stores in {place2}", "{firm2} bought the stores in {place}", "{firm} is led by {person}"),
        ("the {metric} of {firm} rose in {month}", "{firm} kept all its stores in {place}", "{firm} sold {more} stores in {place}"),
    ),
    (
        "{who} , a {job} from {place} , is older than {other} but works with {them2}",
        ("{other} is younger than {who}", "{who} is a {job}", "{who} and {other} work together"),
        ("{other} is a {job2} from {place2}", "{who} and {other} are friends", "{who} has worked in {place2}"),
        ("{other} is older than {who}", "{who} and {other} have never met", "{who} is not from {place}"),
    ),
    (
        "no {job} in {place} wanted to [buy|rent] the {colour} house near the {spot}",
        ("the house near the {spot} is {colour}", "there is a {colour} house in {place}", "{job}s in {place} did not want the house"),
        ("the {colour} house near the {spot} is old", "the {colour} house belongs to {firm}", "a {job2} wanted the {colour} house"),
        ("every {job} in {place} wanted the {colour} house", "the house near the {spot} is {colour2}", "a {job} [bought|rented] the {colour} house"),
    ),
    (
        "{firm} paid {bank} ${n} million in {month} and owes it nothing now",
        ("{firm} has no debt at {bank}", "{bank} got ${n} million from {firm}", "{firm} paid its debt in {month}"),
        ("{firm} sold a plant to pay {bank}", "{bank} will lend {firm} money again", "{bank} is in {place}"),
        ("{firm} still owes {bank} ${n} million", "{bank} paid ${n} million to {firm}", "{firm} paid nothing in {month}"),
    ),
)  # fmt: skip


def mnli(chance: Chance) -> list[Row]:
    """A row of MNLI without its number: premise, hypothesis, label 0 entailment, 1 neutral, 2 contradiction."""
    premise, *hypotheses = chance.pick(_PREMISES)
    label = chance.below(3)
    cast = someone(chance)
    other = someone(chance, cast["who"])
    count = chance.between(2, 8)
    slots = (
        "fruit", "spot", "place", "place2", "day", "relative", "colour", "colour2", "animal", "room", "firm", "firm2", "metric",
        "month", "person", "job", "job2", "bank",
    )  # fmt: skip
    joined = write(chance, "/".join("{" + slot + "}" for slot in slots)).split("/")
    given = dict(zip(slots, joined, strict=True)) | cast
    given |= {
        "other": other["who"], "them2": other["them"], "some": NUMBERS[count], "more": NUMBERS[count + chance.between(1, 3)],
        "n": str(chance.between(2, 90)), "worked": chance.pick(("worked", "ate", "read", "cooked")),
    }  # fmt: skip
    return [
        {
            "premise": _spoken(chance, premise, given),
            "hypothesis": _spoken(chance, chance.pick(hypotheses[label]), given),
            "label": label,
        }
    ]
