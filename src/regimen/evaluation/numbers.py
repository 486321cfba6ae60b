"""Numbers as people write them: one grammar, for every metric that reads a number.

Owns the grammar and its cases (tests/evaluation/test_numbers.py holds a table of them). Does not know metrics.

- A sign (-, +, U+2212, a dash) touches its number or the currency before it, and stands after no letter, digit or
  closing bracket: "3-5" begins with 3, "covid-19" holds 19. Only U+2212 may be parted from its number by a blank.
- Brackets that hold nothing but the number (with currency or percent sign) make it negative, as accountants write.
- A currency may stand before or after; it changes nothing. A percent sign, or the word, makes hundredths.
- Of points and commas the one that stands last is the decimal mark. A comma alone parts thousands where the digits are
  grouped so ("1,234", "12,34,567"), else it is a decimal comma ("2,5", "0,125"). One point is always a decimal point;
  several part thousands ("1.234.567"). Blanks and apostrophes part groups of three.
- "1e-5" and "3/4" are one number each. Words of size (million, k, bn) are not read: "1.2 million" is 1.2.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

_MINUS = "\\-\u2010\u2011\u2012\u2013\u2014\u2212\ufe63"
_TRUE_MINUS = "\u2212"
_BLANK = r"[ \u00a0\u2009\u202f]"
_FRACTION_DECIMALS = 15  # a fraction is as exact as a float
_CURRENCY = (
    r"(?:(?:US|A|C|NZ|HK|S|R)?[$]|[\u00a3\u00a5\u20a0-\u20cf\u0e3f]|Rs\.?|kr\.?|"
    r"(?:USD|EUR|GBP|JPY|CHF|CNY|INR|AUD|CAD|SEK|NOK|DKK)\b)"
)
_GROUPED = (
    rf"[1-9]\d{{0,2}}(?:{_BLANK}\d{{3}})+(?!\d)(?:[.,]\d+)?"  # 1 234 567,8
    r"|\d{1,3}(?:['\u2019]\d{3})+(?!\d)(?:[.,]\d+)?"  # 1'234.5
    r"|\d{1,3}(?:\.\d{3})+,\d+"  # 1.234,56
    r"|\d{1,3}(?:\.\d{3}){2,}(?![\d.,]\d)"  # 1.234.567
    r"|[1-9]\d{0,2}(?:,\d{2,3})*,\d{3}(?!,?\d)(?:\.\d+)?"  # 1,234.5 and 12,34,567
)
_PLAIN = r"\d++(?:\.\d+|,\d++(?!,\d))?|(?<![\w.])\.\d+"  # 12  1.5  2,5  .5
_SIGN = rf"(?<![\w)\]])[+{_MINUS}]"
_NUMBER = re.compile(
    rf"""
    (?P<before>{_SIGN}|(?<![\w)\]]){_TRUE_MINUS}\ )?
    (?P<money>{_CURRENCY}{_BLANK}?)?
    (?P<open>(?(money)\(|(?<!\w)\())?
    (?P<inside>{_SIGN})?
    (?:(?<!\w){_CURRENCY}{_BLANK}?)?
    (?P<after>{_SIGN})?
    (?P<digits>{_GROUPED}|{_PLAIN})
    (?P<power>[eE][+{_MINUS}]?\d{{1,3}}(?![\w.]))?
    (?:[/\u2044](?P<below>\d+)(?![\d/.,]\d))?
    (?:{_BLANK}?(?P<percent>%|(?i:per\ ?cent|pct)\b))?
    (?:{_BLANK}?(?:\u20ac|\u00a3|\u20bd|\u20b9|EUR\b|USD\b|GBP\b))?
    (?P<close>(?(open)\)|(?!)))?
    (?P<outside>(?(close){_BLANK}?%|(?!)))?
    """,
    re.VERBOSE,
)


class Number(NamedTuple):
    """A number in a text: its value, its decimals as written, and the characters it takes up."""

    value: float
    decimals: int
    start: int
    end: int


def numbers_of(text: str) -> Iterator[Number]:
    """The numbers of a text, in order; positions are those of `ascii_digits(text)`."""
    for match in _NUMBER.finditer(ascii_digits(text)):
        if (number := _number(match)) is not None:
            yield number


def read_number(text: str) -> Number | None:
    """The first number of a text, None where there is none."""
    return next(numbers_of(text), None)


def ascii_digits(text: str) -> str:
    """Digits of any script, and the full-width signs, as ASCII; as long as the text."""
    return text if text.isascii() else "".join(map(_ascii, text))


@cache
def _ascii(char: str) -> str:
    value = unicodedata.decimal(char, None)
    if value is not None:
        return str(value)
    if "\uff01" <= char <= "\uff5e":  # the full-width forms of ASCII
        return chr(ord(char) - 0xFEE0)
    return {"\u066b": ".", "\u066c": ",", "\u066a": "%"}.get(char, char)  # the Arabic marks


def _number(match: re.Match[str]) -> Number | None:
    """The number of a match; None where it is too large for a float, or a fraction over 0."""
    digits, decimals = _plain_digits(match["digits"])
    power = int(re.sub(f"[{_MINUS}]", "-", match["power"][1:])) if match["power"] else 0
    if match["percent"] or match["outside"]:
        power -= 2
    value, decimals = float(f"{digits}e{power}"), max(0, decimals - power)
    if match["below"]:
        below = float(match["below"])
        value, decimals = (value / below if below else math.inf), _FRACTION_DECIMALS
    signs = [sign[0] for name in ("before", "inside", "after") if (sign := match[name])]
    if any(sign != "+" for sign in signs) or (match["close"] and "+" not in signs):
        value = -value
    return Number(value, decimals, match.start(), match.end()) if math.isfinite(value) else None


def _plain_digits(digits: str) -> tuple[str, int]:
    """Digits and their marks as "1234.56", and how many of them are decimals."""
    bare = re.sub(rf"{_BLANK}|['\u2019]", "", digits)
    mark = _decimal_mark(bare)
    whole, _, part = bare.rpartition(mark) if mark else (bare, "", "")
    return f"{re.sub('[.,]', '', whole) or '0'}.{part or '0'}", len(part)


def _decimal_mark(bare: str) -> str:
    """The decimal mark of digits without blanks, "" where there is none."""
    last = max(bare.rfind("."), bare.rfind(","))
    if last < 0:
        return ""
    mark, other = bare[last], "," if bare[last] == "." else "."
    if other in bare:
        return mark
    if bare.count(mark) > 1:
        return ""
    thousands = mark == "," and re.fullmatch(r"[1-9]\d{0,2},\d{3}", bare)
    return "" if thousands else mark
