"""Small programs: what they should do in a sentence, how they do it in Python, and what they return.

Owns the pieces that programs are put together from. Each piece has its words, its source and its meaning as a Python
function, so that expected values come from the meaning and never from running the source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from regimen.data.miniature.chance import Chance

Meaning = Callable[..., Any]
Piece = tuple[str, str, str, Callable[[Any], Any]]
"""A word for the function's name, words for the docstring, source over x, meaning of x."""


@dataclass(frozen=True)
class Program:
    """A function of one to three lines."""

    name: str
    parameters: str
    task: str
    body: str
    meaning: Meaning
    inputs: tuple[tuple[Any, ...], ...]
    library: str = ""

    def cases(self) -> list[tuple[str, str]]:
        """Call arguments and expected value as Python literals, for each of the inputs."""
        return [(", ".join(map(repr, given)), repr(self.meaning(*given))) for given in self.inputs]


def compose(chance: Chance) -> Program:
    """A program of one of the kinds below, which no constant could stand for."""
    while True:
        program = chance.pick(KINDS)(chance)
        if len({value for _, value in program.cases()}) > 1:
            return program


def _filters(chance: Chance) -> Piece:
    k = chance.between(3, 9)
    return chance.pick(
        (
            ("even", "the even numbers", "x % 2 == 0", lambda x: x % 2 == 0),
            ("odd", "the odd numbers", "x % 2 == 1", lambda x: x % 2 == 1),
            ("positive", "the positive numbers", "x > 0", lambda x: x > 0),
            ("negative", "the negative numbers", "x < 0", lambda x: x < 0),
            (f"above_{k}", f"the numbers above {k}", f"x > {k}", lambda x: x > k),
            (f"below_{k}", f"the numbers below {k}", f"x < {k}", lambda x: x < k),
            (f"not_{k}", f"the numbers that are not {k}", f"x != {k}", lambda x: x != k),
            (f"by_{k}", f"the multiples of {k}", f"x % {k} == 0", lambda x: x % k == 0),
        )
    )


def _maps(chance: Chance) -> Piece:
    k = chance.between(2, 9)
    return chance.pick(
        (
            ("square", "squared", "x * x", lambda x: x * x),
            (f"times_{k}", f"times {k}", f"x * {k}", lambda x: x * k),
            (f"plus_{k}", f"plus {k}", f"x + {k}", lambda x: x + k),
            (f"minus_{k}", f"minus {k}", f"x - {k}", lambda x: x - k),
            ("negated", "with its sign changed", "-x", lambda x: -x),
            ("absolute", "without its sign", "abs(x)", abs),
        )
    )


_TOTALS: tuple[tuple[str, str, str, Callable[[list[int]], Any], str], ...] = (
    ("sum", "the sum of", "sum({})", sum, ""),
    ("largest", "the largest of", "max({}, default=0)", lambda xs: max(xs, default=0), ""),
    ("smallest", "the smallest of", "min({}, default=0)", lambda xs: min(xs, default=0), ""),
    ("sorted", "a sorted list of", "sorted({})", sorted, ""),
    ("product", "the product of", "math.prod({})", lambda xs: _product(xs), "math"),
)


def _product(xs: list[int]) -> int:
    result = 1
    for x in xs:
        result *= x
    return result


def _numbers(chance: Chance) -> tuple[tuple[list[int]], ...]:
    lists = ([chance.between(-9, 12) for _ in range(chance.between(3, 6))] for _ in range(3))
    return (*((xs,) for xs in lists), ([],))


def _total_of_some(chance: Chance) -> Program:
    name, words, source, total, library = chance.pick(_TOTALS)
    slug, which, test, keep = _filters(chance)
    body = f"return {source.format(f'x for x in xs if {test}' if 'default' not in source else f'(x for x in xs if {test})')}"
    return Program(f"{name}_{slug}", "xs", f"Return {words} {which} in xs.", body, lambda xs: total([x for x in xs if keep(x)]), _numbers(chance), library)


def _total_of_mapped(chance: Chance) -> Program:
    name, words, source, total, library = chance.pick(_TOTALS)
    slug, how, image, change = _maps(chance)
    body = f"return {source.format(f'{image} for x in xs' if 'default' not in source else f'({image} for x in xs)')}"
    return Program(f"{name}_{slug}", "xs", f"Return {words} the numbers in xs, each {how}.", body, lambda xs: total([change(x) for x in xs]), _numbers(chance), library)


def _some(chance: Chance) -> Program:
    slug, which, test, keep = _filters(chance)
    if chance.yes(0.25):
        return Program(f"count_{slug}", "xs", f"Return how many of xs are among {which}.", f"return len([x for x in xs if {test}])", lambda xs: len([x for x in xs if keep(x)]), _numbers(chance))
    name, how, image, change = _maps(chance)
    return Program(f"{name}_{slug}", "xs", f"Return a list of {which} in xs, each {how}.", f"return [{image} for x in xs if {test}]", lambda xs: [change(x) for x in xs if keep(x)], _numbers(chance))


def _slice(chance: Chance) -> Program:
    k = chance.between(1, 4)
    slug, words, source, cut = chance.pick(
        (
            (f"first_{k}", f"the first {k} items of xs", f"xs[:{k}]", lambda xs: xs[:k]),
            (f"last_{k}", f"the last {k} items of xs", f"xs[-{k}:]", lambda xs: xs[-k:]),
            (f"after_{k}", f"the items of xs after the first {k}", f"xs[{k}:]", lambda xs: xs[k:]),
            (f"each_{k + 1}", f"every item number {k + 1} of xs", f"xs[::{k + 1}]", lambda xs: xs[:: k + 1]),
        )
    )
    name, task, body, act = chance.pick(
        (
            ("sum", f"Return the sum of {words}.", f"return sum({source})", sum),
            ("reverse", f"Return {words} in reverse order.", f"return list(reversed({source}))", lambda xs: xs[::-1]),
            ("sort", f"Return {words} in sorted order.", f"return sorted({source})", sorted),
            ("count", f"Return how many different values are in {words}.", f"return len(set({source}))", lambda xs: len(set(xs))),
        )
    )
    inputs = tuple(([chance.between(0, 9) for _ in range(chance.between(4, 7))],) for _ in range(3))
    return Program(f"{name}_{slug}", "xs", task, body, lambda xs: act(cut(xs)), inputs)


_WORDS = ("apple", "bread", "coffee", "garden", "paper", "silver", "engine", "market", "tea", "stone", "honey", "bank")


def _letters(chance: Chance) -> Program:
    k, letter, other = chance.between(2, 4), chance.pick("aeiou"), chance.pick("xyz")
    slug, words, source, cut = chance.pick(
        (
            ("text", "s", "s", lambda s: s),
            (f"first_{k}", f"the first {k} letters of s", f"s[:{k}]", lambda s: s[:k]),
            (f"last_{k}", f"the last {k} letters of s", f"s[-{k}:]", lambda s: s[-k:]),
            (f"after_{k}", f"s after its first {k} letters", f"s[{k}:]", lambda s: s[k:]),
        )
    )
    name, task, body, act = chance.pick(
        (
            ("upper", f"Return {words} in upper case.", f"return {source}.upper()", str.upper),
            ("repeat", f"Return {words} repeated {k} times.", f"return {source} * {k}", lambda s: s * k),
            ("without", f"Return {words} without the letter '{letter}'.", f"return {source}.replace('{letter}', '')", lambda s: s.replace(letter, "")),
            ("change", f"Return {words} with '{letter}' replaced by '{other}'.", f"return {source}.replace('{letter}', '{other}')", lambda s: s.replace(letter, other)),
            ("count", f"Return how often '{letter}' is in {words}.", f"return {source}.count('{letter}')", lambda s: s.count(letter)),
            ("add", f"Return {words} with '{other}' added.", f"return {source} + '{other}'", lambda s: s + other),
        )
    )
    return Program(f"{name}_{slug}", "s", task, body, lambda s: act(cut(s)), tuple((word,) for word in chance.sample(_WORDS, 3)))


def _words(chance: Chance) -> Program:
    k, letter = chance.between(2, 6), chance.pick("abcdefghst")
    slug, which, test, keep = chance.pick(
        (
            (f"longer_{k}", f"longer than {k} letters", f"len(w) > {k}", lambda w: len(w) > k),
            (f"shorter_{k}", f"shorter than {k} letters", f"len(w) < {k}", lambda w: len(w) < k),
            (f"from_{letter}", f"that start with '{letter}'", f"w.startswith('{letter}')", lambda w: w.startswith(letter)),
            (f"with_{letter}", f"that have '{letter}' in them", f"'{letter}' in w", lambda w: letter in w),
        )
    )
    name, task, source, act = chance.pick(
        (
            ("words", "Return a list of the words in s {}.", "[w for w in s.split() if {}]", lambda ws: ws),
            ("count", "Return how many words in s there are {}.", "len([w for w in s.split() if {}])", len),
            ("join", "Return the words in s {}, joined by '-'.", "'-'.join(w for w in s.split() if {})", "-".join),
            ("sort", "Return the words in s {}, sorted.", "sorted(w for w in s.split() if {})", sorted),
        )
    )
    inputs = tuple((" ".join(chance.sample(_WORDS, 4)),) for _ in range(3))
    return Program(f"{name}_{slug}", "s", task.format(which), f"return {source.format(test)}", lambda s: act([w for w in s.split() if keep(w)]), inputs)


def _formula(chance: Chance) -> Program:
    j, k = chance.between(2, 9), chance.between(2, 9)
    slug, words, source, start = chance.pick(
        (
            ("sum", "the sum of a and b", "(a + b)", lambda a, b: a + b),
            ("product", "the product of a and b", "a * b", lambda a, b: a * b),
            ("larger", "the larger of a and b", "max(a, b)", max),
            ("smaller", "the smaller of a and b", "min(a, b)", min),
            ("gap", "the difference of a and b without sign", "abs(a - b)", lambda a, b: abs(a - b)),
        )
    )
    name, task, body, end = chance.pick(
        (
            (f"plus_{k}", f"Return {words}, plus {k}.", f"return {source} + {k}", lambda x: x + k),
            (f"times_{k}", f"Return {words}, times {k}.", f"return {source} * {k}", lambda x: x * k),
            (f"rest_{k}", f"Return what is left of {words} after division by {k}.", f"return {source} % {k}", lambda x: x % k),
            (f"is_above_{k}", f"Return whether {words} is above {k}.", f"return {source} > {k}", lambda x: x > k),
            (f"times_{k}_minus_{j}", f"Return {words}, times {k} and minus {j}.", f"return {source} * {k} - {j}", lambda x: x * k - j),
        )
    )
    inputs = tuple((chance.between(0, 12), chance.between(0, 12)) for _ in range(4))
    return Program(f"{slug}_{name}", "a, b", task, body, lambda a, b: end(start(a, b)), inputs)


def _branch(chance: Chance) -> Program:
    j, k = chance.between(2, 9), chance.between(2, 9)
    slug, which, test, keep = _filters(chance)
    one = which.removeprefix("the ").replace("numbers that are", "value that is").replace("numbers", "number").replace("multiples", "multiple")
    body = f"if {test}:\n        return x + {k}\n    return x - {j}"
    return Program(f"step_{slug}", "x", f"Return x plus {k} if x is a {one}, else x minus {j}.".replace("a even", "an even").replace("a odd", "an odd"), body, lambda x: x + k if keep(x) else x - j, tuple((chance.between(-9, 12),) for _ in range(4)))


def _counter(chance: Chance) -> Program:
    k = chance.between(1, 5)
    name, task, body, meaning = chance.pick(
        (
            (f"often_{k}", f"Return how often {k} is in xs, with a Counter.", f"return Counter(xs)[{k}]", lambda xs: xs.count(k)),
            (f"twice_{k}", f"Return {k} times the number of different values in xs, with a Counter.", f"return len(Counter(xs)) * {k}", lambda xs: len(set(xs)) * k),
            (f"more_{k}", f"Return how many values are in xs more than {k} times, with a Counter.", f"return sum(n > {k} for n in Counter(xs).values())", lambda xs: sum(xs.count(x) > k for x in set(xs))),
        )
    )
    inputs = tuple(([chance.between(1, 4) for _ in range(chance.between(4, 8))],) for _ in range(3))
    return Program(name, "xs", task, body, meaning, inputs, "collections")


KINDS: tuple[Callable[[Chance], Program], ...] = (
    _total_of_some, _total_of_mapped, _some, _slice, _letters, _words, _formula, _branch, _counter,
)  # fmt: skip
