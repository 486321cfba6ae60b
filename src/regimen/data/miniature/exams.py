"""Questions with lettered options.

Owns TIGER-Lab/MMLU-Pro: its columns, three to ten options, the answer as letter and as index. What is asked can be
worked out from the question, or is a small fact that the general text tells too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row
from regimen.data.miniature.words import LISTS
from regimen.data.miniature.writing import capital, pieces, sentence, someone, write

LONGEST = 54
"""Pieces of question and options, where there are at most eight; a block has 64 tokens."""

LETTERS = "ABCDEFGHIJ"

OPPOSITES = (
    ("cheap", "expensive"), ("strong", "weak"), ("old", "young"), ("high", "low"), ("early", "late"), ("hot", "cold"),
    ("empty", "full"), ("long", "short"), ("open", "closed"), ("large", "small"), ("good", "bad"), ("slow", "fast"),
)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """A question, its right answer, wrong answers to choose from, and the reasoning in a sentence."""

    category: str
    question: str
    right: str
    wrong: tuple[str, ...]
    why: str


def examiner(*, reasoned: bool) -> Callable[[Chance], list[Row]]:
    """What draws a row of MMLU-Pro without its number; `reasoned` fills `cot_content`, as the validation split does."""

    def draw(chance: Chance) -> list[Row]:
        item = chance.pick(KINDS)(chance)
        wrong = [option for option in dict.fromkeys(item.wrong) if option != item.right]
        count = min(chance.weighted({3: 30, 4: 34, 5: 14, 6: 8, 7: 4, 8: 4, 9: 2, 10: 4}), len(wrong) + 1)
        chosen = chance.sample(wrong, count - 1)
        while 2 < len(chosen) < 8 and pieces("\n".join([item.question, item.right, *chosen])) + 3 * len(chosen) > LONGEST:
            chosen.pop()
        options = chance.shuffled([item.right, *chosen])
        index = options.index(item.right)
        thought = f"A: Let's think step by step. {item.why} The answer is ({LETTERS[index]})." if reasoned else ""
        return [
            {
                "question_id": 0,
                "question": item.question,
                "options": options,
                "answer": LETTERS[index],
                "answer_index": index,
                "cot_content": thought,
                "category": item.category,
                "src": f"miniature-{item.category.replace(' ', '_')}",
            }
        ]

    return draw


def _near(chance: Chance, value: int, *likely: int) -> tuple[str, ...]:
    others = [*likely, *(value + step for step in chance.shuffled([-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6]))]
    return tuple(dict.fromkeys(str(other) for other in others if other != value and other >= 0))


def _math(chance: Chance) -> Item:
    a, b, c = chance.between(2, 9), chance.between(2, 9), chance.between(2, 9)
    value = a * b + c
    question = write(chance, "What is [{a} times {b} plus {c}|{c} more than {a} times {b}|the sum of {c} and {a} times {b}]?", a=a, b=b, c=c)
    return Item("math", question, str(value), _near(chance, value, a + b + c, a * b), f"{a} times {b} is {a * b}, plus {c} is {value}.")


def _speed(chance: Chance) -> Item:
    hours, speed = chance.between(2, 9), chance.between(3, 12)
    question = sentence(chance, "a [car|boat|van|{animal}] goes {speed} kilometres an hour. How [far|many kilometres] does it go in {hours} hours?", speed=speed, hours=hours)
    value = hours * speed
    return Item("physics", question, str(value), _near(chance, value, hours + speed), f"{hours} times {speed} is {value}.")


def _profit(chance: Chance) -> Item:
    price, count = chance.between(3, 12), chance.between(2, 9)
    cost = chance.between(1, price * count - 1)
    question = sentence(chance, "{firm} sells {count} [cars|boats|engines] at ${price} each and has costs of ${cost}. What is its profit?", count=count, price=price, cost=cost)
    value = price * count - cost
    right, *wrong = (f"${number}" for number in (value, *_near(chance, value, price * count)))
    return Item("business", question, right, tuple(wrong), f"{count} times {price} is {price * count}, less {cost} is {value}.")


_MOVES = ("rises", "falls", "stays the same", "rises and then falls", "falls to zero")


def _price(chance: Chance) -> Item:
    demand = chance.yes(0.5)
    up = chance.yes(0.5)
    question = write(
        chance,
        "What happens to the price of {goods} in {place} if {act} {goods} and nothing else changes?",
        act=write(chance, f"[people|shops] want {'more' if up else 'less'}" if demand else f"[farms|firms] bring {'less' if up else 'more'}"),
    )
    right = "It rises" if up else "It falls"
    wrong = tuple(f"It {move}" for move in _MOVES if f"It {move}" != right)
    side = f"demand is {'higher' if up else 'lower'}" if demand else f"supply is {'lower' if up else 'higher'}"
    return Item("economics", question, right, wrong, f"If {side}, the price {'rises' if up else 'falls'}.")


def _opposite(chance: Chance) -> Item:
    word, opposite = chance.pick(OPPOSITES)
    if chance.yes(0.5):
        word, opposite = opposite, word
    others = tuple(one for pair in OPPOSITES for one in pair if one not in (word, opposite))
    who = write(chance, "{first}/{object}/{place}").split("/")
    question = f"{who[0]} says that {who[1]} in {who[2]} is not {word} but the opposite. What is it?"
    return Item("psychology", question, opposite, tuple(chance.shuffled(others))[:9], f"The opposite of {word} is {opposite}.")


_KIND_OF = {"animal": "biology", "metal": "chemistry", "fruit": "health", "weather": "other"}
_CALLED = {"animal": "an animal", "metal": "a metal", "fruit": "a fruit", "weather": "weather"}


def _kind(chance: Chance) -> Item:
    group = chance.pick(tuple(_KIND_OF))
    right = chance.pick(LISTS[group])
    wrong = tuple(chance.pick(LISTS[other]) for other in ("room", "job", "spot", "colour", "goods", "role", *(name for name in _KIND_OF if name != group)))
    asker = write(chance, "{first} of {place}").split(" of ")
    question = write(chance, "[Which of these that {who} saw in {where} is {kind}?|{who} has a list from {where}. What on it is {kind}?]", who=asker[0], where=asker[1], kind=_CALLED[group])
    return Item(_KIND_OF[group], question, right, wrong, f"{capital(right)} is {_CALLED[group]}.")


def _logic(chance: Chance) -> Item:
    animal, other = write(chance, "{animals}/{animals2}").split("/")
    who, colour = write(chance, "{first}/{colour}").split("/")
    negative = chance.yes(0.5)
    if negative:
        question = f"No {animal} of {who} are {colour}. One of {who}'s animals is {colour}. What follows?"
        right = f"It is not one of the {animal}"
        wrong = (f"It is one of the {animal}", f"All animals are {colour}", f"{who} has no {animal}", f"It is one of the {other}")
    else:
        question = f"All {animal} of {who} are {colour}. One of {who}'s animals is not {colour}. What follows?"
        right = f"It is not one of the {animal}"
        wrong = (f"It is one of the {animal}", f"No {animal} are {colour}", f"{who} has no {animal}", f"It is one of the {other}")
    return Item("philosophy", question, right, wrong, f"One of the {animal} would {'not ' if negative else ''}be {colour}.")


def _contract(chance: Chance) -> Item:
    cast = someone(chance)
    seller = someone(chance, cast["who"])["who"]
    amount, paid = chance.between(30, 90), chance.between(2, 29)
    thing = write(chance, "{object}")
    question = f"{seller} sells {cast['who']} {thing} for ${amount}. {cast['who']} pays ${paid}. Who owes what?"
    right = f"{cast['who']} owes ${amount - paid}"
    wrong = (f"{seller} owes ${amount - paid}", f"{cast['who']} owes ${amount}", f"{seller} owes ${paid}", f"{cast['who']} owes ${amount + paid}", "Nobody owes anything")
    return Item("law", question, right, wrong, f"{amount} less {paid} is {amount - paid}.")


def _code(chance: Chance) -> Item:
    xs = [chance.between(0, 9) for _ in range(chance.between(3, 5))]
    name, value = chance.pick((("sum", sum(xs)), ("max", max(xs)), ("min", min(xs)), ("len", len(xs))))
    question = f"What does {name}({xs}) return in Python?"
    return Item("computer science", question, str(value), _near(chance, value, sum(xs), max(xs), len(xs)), f"{name} of the list is {value}.")


def _order(chance: Chance) -> Item:
    years = chance.sample(range(1810, 1990), 3)
    firms = write(chance, "{firm}/{firm2}/{firm3}").split("/")
    question = "; ".join(f"{firm} began in {year}" for firm, year in zip(firms, years, strict=True)) + ". Which is the oldest?"
    right = firms[years.index(min(years))]
    wrong = (*(firm for firm in firms if firm != right), "Nobody can say")
    return Item("history", question, right, wrong, f"{min(years)} is the first of the years.")


def _plant(chance: Chance) -> Item:
    machines, each = chance.between(2, 9), chance.between(2, 9)
    goods = write(chance, "{thing}")
    question = sentence(chance, "each of {m} machines in {place} makes {each} {goods} an hour. How many {goods} do they make in {h} hours?", m=machines, each=each, goods=goods, h=(hours := chance.between(2, 4)))
    value = machines * each * hours
    return Item("engineering", question, str(value), _near(chance, value, machines * each, machines + each + hours), f"{machines} times {each} times {hours} is {value}.")


KINDS: tuple[Callable[[Chance], Item], ...] = (
    _math, _speed, _profit, _price, _opposite, _kind, _logic, _contract, _code, _order, _plant,
)  # fmt: skip
