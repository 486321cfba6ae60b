"""Exercises of school mathematics, with exact answers.

Owns the eleven modules of deepmind/math_dataset that the study uses: question and answer as plain strings, small
numbers. Fractions are exact (`fractions.Fraction`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row

_LETTERS = "abcdfghjkmnpqrstuvwxyz"


def drawer(config: str) -> Callable[[Chance], list[Row]]:
    """What draws a row of that config: question, answer."""
    make = MODULES[config]

    def draw(chance: Chance) -> list[Row]:
        question, answer = make(chance)
        return [{"question": question, "answer": str(answer)}]

    return draw


def _linear_1d(chance: Chance) -> tuple[str, object]:
    x, letter = chance.between(-9, 9), chance.pick(_LETTERS)
    a = chance.between(2, 9) * chance.sign()
    b = chance.between(-20, 20)
    c = chance.pick((0, 0, 1, 2, 3))
    left = f"{a}*{letter}" + (_signed(b) if b else "")
    right = f"{c}*{letter}{_signed(a * x + b - c * x)}" if c else str(a * x + b)
    if a == c:
        return _linear_1d(chance)
    return f"Solve {left} = {right} for {letter}.", x


def _linear_2d(chance: Chance) -> tuple[str, object]:
    x, y = chance.between(-5, 5), chance.between(-5, 5)
    one, two = chance.sample(_LETTERS, 2)
    a, b, c, d = (chance.pick((1, 2, 3, -1, -2, -3)) for _ in range(4))
    if a * d == b * c:
        return _linear_2d(chance)

    def side(p: int, q: int) -> str:
        left = {1: one, -1: f"-{one}"}.get(p, f"{p}*{one}")
        right = two if abs(q) == 1 else f"{abs(q)}*{two}"
        return f"{left} {'+' if q > 0 else '-'} {right} = {p * x + q * y}"

    wanted, value = chance.pick(((one, x), (two, y)))
    return f"Solve {side(a, b)}, {side(c, d)} for {wanted}.", value


def _add_or_sub(chance: Chance) -> tuple[str, object]:
    a, b = chance.between(-60, 99), chance.between(-60, 99)
    if chance.yes(0.2):
        tenths = chance.between(1, 99)
        total = Fraction(tenths, 10) + b
        return f"Add together {tenths / 10} and {b}.", f"{float(total):g}"
    plus = (f"Calculate {a} + {b}.", f"What is {a} plus {b}?", f"Add together {a} and {b}.", f"Sum {a} and {b}.")
    minus = (f"Calculate {a} - {b}.", f"What is {a} minus {b}?", f"What is {b} less than {a}?", f"Subtract {b} from {a}.")
    return (chance.pick(plus), a + b) if chance.yes(0.5) else (chance.pick(minus), a - b)


def _mixed(chance: Chance) -> tuple[str, object]:
    a, b, c, d = (chance.between(1, 9) * chance.sign() for _ in range(4))
    shape = chance.below(4)
    if shape == 3 and c + d == 0:
        return _mixed(chance)
    text, value = (
        (f"({a} + {_wrapped(b)})*{_wrapped(c)}", Fraction((a + b) * c)),
        (f"{a} - ({b} + {_wrapped(c)})", Fraction(a - b - c)),
        (f"({a * b})/{_wrapped(a)} + {_wrapped(c)}", Fraction(b + c)),
        (f"({a} - {_wrapped(b)})/({c} + {_wrapped(d)})", Fraction(a - b, c + d) if c + d else Fraction()),
    )[shape]
    return chance.pick((f"Evaluate {text}.", f"Calculate {text}.", f"What is the value of {text}?")), value


def _mul(chance: Chance) -> tuple[str, object]:
    a, b = chance.between(-30, 30), chance.between(2, 12) * chance.sign()
    if chance.yes(0.25):
        value = Fraction(a, 10) * b
        return f"What is {a / 10} times {b}?", f"{float(value):g}"
    texts = (f"Calculate {a}*{b}.", f"What is {a} times {b}?", f"Multiply {a} and {b}.", f"What is the product of {a} and {b}?")
    return chance.pick(texts), a * b


def _differentiate(chance: Chance) -> tuple[str, object]:
    letter = chance.pick(_LETTERS)
    powers = sorted(chance.sample((1, 2, 3, 4), 2), reverse=True)
    terms = [(chance.between(2, 9) * chance.sign(), power) for power in powers]
    constant = chance.between(-90, 90)
    order, name = chance.pick(((1, "derivative"), (1, "first derivative"), (2, "second derivative")))
    derived = [(factor * math.perm(power, order), power - order) for factor, power in terms if power >= order]
    if not derived:
        return _differentiate(chance)
    start = chance.pick((f"What is the {name} of", f"Find the {name} of", "Differentiate" if order == 1 else f"What is the {name} of"))
    polynomial = _polynomial([*terms, (constant, 0)], letter)
    end = f" with respect to {letter}." if start == "Differentiate" else "." if start.startswith("Find") else "?"
    return f"{start} {polynomial}{end}", _polynomial(derived, letter)


def _pair(chance: Chance) -> tuple[str, object]:
    a = Fraction(chance.between(-40, 40), chance.pick((1, 1, 2, 3, 5)))
    b = Fraction(chance.between(-40, 40), chance.pick((1, 1, 1, 4)))
    if a == b:
        return _pair(chance)
    kinds: tuple[tuple[str, object], ...] = (
        (f"Which is {chance.pick(('bigger', 'greater'))}: {a} or {b}?", max(a, b)),
        (f"Which is smaller: {a} or {b}?", min(a, b)),
        (f"Is {a} less than {b}?", a < b),
        (f"Is {a} greater than {b}?", a > b),
        (f"Is {a} at least {b}?", a >= b),
        (f"Is {a} at most {b}?", a <= b),
    )
    return chance.pick(kinds)


_UNITS = (
    ("hours", "minutes", 60), ("minutes", "seconds", 60), ("days", "hours", 24), ("weeks", "days", 7),
    ("years", "months", 12), ("metres", "centimetres", 100), ("kilometres", "metres", 1000), ("tonnes", "kilograms", 1000),
    ("litres", "millilitres", 1000), ("centimetres", "millimetres", 10),
)  # fmt: skip


def _conversion(chance: Chance) -> tuple[str, object]:
    large, small, factor = chance.pick(_UNITS)
    count = chance.between(2, 99)
    if chance.yes(0.3):
        part = chance.pick([value for value in (2, 3, 4, 5, 6, 10) if factor % value == 0] or [7])
        share = chance.between(1, part - 1)
        value = Fraction(share * factor, part)
        whole = large.removesuffix("s")
        article = "an" if whole == "hour" else "a"
        return f"How many {small} are there in {Fraction(share, part)} of {article} {whole}?", value
    if chance.yes(0.6):
        return chance.pick((f"What is {count} {large} in {small}?", f"Convert {count} {large} to {small}.", f"How many {small} are there in {count} {large}?")), count * factor
    return f"Convert {count * factor} {small} to {large}.", count


def _gcd(chance: Chance) -> tuple[str, object]:
    a, b, common = chance.between(1, 12), chance.between(1, 12), chance.between(1, 12)
    word = chance.pick(("divisor", "factor"))
    verb = chance.pick(("What is", "Calculate"))
    end = "?" if verb == "What is" else "."
    name = chance.pick(("greatest", "highest"))
    return f"{verb} the {name} common {word} of {a * common} and {b * common}{end}", math.gcd(a, b) * common


def _is_prime(chance: Chance) -> tuple[str, object]:
    number = chance.between(11, 999)
    prime = all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
    name = chance.pick(("prime", "composite", "a prime number", "a composite number"))
    return f"Is {number} {name}?", prime == ("prime" in name)


def _level_set(chance: Chance) -> tuple[str, object]:
    letters = chance.sample(_LETTERS, chance.between(2, 4))
    counts = [chance.between(1, 5) for _ in letters]
    total = sum(counts)
    picked, word = chance.pick(((2, "Two"), (3, "Three")))
    first = chance.between(1, picked - 1) if chance.yes(0.7) else picked
    wanted = [first, picked - first] if first < picked else [picked]
    if total < picked:
        return _level_set(chance)
    ways = math.prod(math.comb(count, want) for count, want in zip(counts, wanted, strict=False))
    chosen = " and ".join(f"{want} {letter}" for want, letter in zip(wanted, letters, strict=False))
    bag = "{" + ", ".join(f"{letter}: {count}" for letter, count in chance.shuffled(zip(letters, counts, strict=True))) + "}"
    ask = chance.pick((f"What is prob of picking {chosen}?", f"Give prob of picking {chosen}."))
    return f"{word} letters picked without replacement from {bag}. {ask}", Fraction(ways, math.comb(total, picked))


def _signed(number: int) -> str:
    return f" {'+' if number >= 0 else '-'} {abs(number)}"


def _wrapped(number: int) -> str:
    return f"({number})" if number < 0 else str(number)


def _polynomial(terms: list[tuple[int, int]], letter: str) -> str:
    text = ""
    for factor, power in terms:
        if factor == 0:
            continue
        body = str(abs(factor)) + ("" if power == 0 else f"*{letter}" if power == 1 else f"*{letter}**{power}")
        sign = "-" if factor < 0 else "+"
        text += f" {sign} {body}" if text else body if factor > 0 else f"-{body}"
    return text or "0"


MODULES: dict[str, Callable[[Chance], tuple[str, object]]] = {
    "algebra__linear_1d": _linear_1d,
    "algebra__linear_2d": _linear_2d,
    "arithmetic__add_or_sub": _add_or_sub,
    "arithmetic__mixed": _mixed,
    "arithmetic__mul": _mul,
    "calculus__differentiate": _differentiate,
    "comparison__pair": _pair,
    "measurement__conversion": _conversion,
    "numbers__gcd": _gcd,
    "numbers__is_prime": _is_prime,
    "probability__swr_p_level_set": _level_set,
}
