"""Market news with its sentiment: the tweets, and the news that FinGPT's training set adds to them.

Owns the label encodings and instructions of zeroshot/twitter-financial-news-sentiment and
FinGPT/fingpt-sentiment-train. Knows how news is worded only through `market`.
"""

from __future__ import annotations

from regimen.data.miniature import market
from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row
from regimen.data.miniature.words import NAMES, TICKERS
from regimen.data.miniature.writing import capital, write

BEARISH, BULLISH, NEUTRAL = 0, 1, 2
_WORDS = {BEARISH: "negative", BULLISH: "positive", NEUTRAL: "neutral"}
_SIGNS = {-1: BEARISH, 1: BULLISH, 0: NEUTRAL}

TWEET = "What is the sentiment of this tweet? Please choose an answer from {negative/neutral/positive}."
NEWS = "What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}."
GRADES = (
    "What is the sentiment of this news? Please choose an answer from {strong negative/moderately negative/"
    "mildly negative/neutral/mildly positive/moderately positive/strong positive}."
)

_ADDRESS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def tweet(chance: Chance) -> list[Row]:
    """A row of the Twitter sentiment table: text, and label 0 bearish, 1 bullish, 2 neutral."""
    sign = chance.weighted({-1: 28, 1: 33, 0: 39})
    firm = chance.pick(NAMES)
    if sign == 0:
        text = market.level(chance, firm)
    elif chance.yes(0.45):
        text = market.shares(chance, sign, firm)
    else:
        text = market.statement(chance, sign, firm, now=True)
    text = padded(chance, text)
    if chance.yes(0.3):
        text = f"${TICKERS[firm]} - {capital(text)}"
    return [{"text": capital(text) + address(chance), "label": _SIGNS[sign]}]


def address(chance: Chance, probability: float = 0.12) -> str:
    """Now and then a blank and a short link, as tweets end with."""
    if not chance.yes(probability):
        return ""
    return " https://t.co/" + "".join(chance.pick(_ADDRESS) for _ in range(10))


def padded(chance: Chance, text: str) -> str:
    """The text, with a time or place where it is shorter than six words."""
    if len(text.split()) >= 6 or text.endswith("?"):
        return text
    return text + write(chance, chance.pick((" in the {quarter} quarter of the year", " in {month}, says {bank}", " this year, {bank} says")))


def as_fingpt(row: Row) -> Row:
    """The row of a tweet in FinGPT's form."""
    return {"input": row["text"], "output": _WORDS[row["label"]], "instruction": TWEET}


def phrase_bank(chance: Chance) -> list[Row]:
    """A sentence of a company report, three labels."""
    sign = chance.weighted({-1: 30, 1: 36, 0: 34})
    firm = chance.pick(NAMES)
    if sign == 0:
        text = write(
            chance,
            chance.pick(
                (
                    "{firm} makes {goods} and {goods2} at [its plant|two plants] in {place}",
                    "{firm}'s {metric} [rose|fell] in the {quarter} quarter as much as forecast",
                    "{firm}'s [profit|sales|revenue|income] for {year} came to ${10-90} million, the same as in the year before",
                    "the [profit|sales] report of {firm} for {year} will be published in {month}",
                    "{firm} did not say whether its {metric} would [rise|fall] in {year}",
                    "{firm} has {20-900} workers in {place} and sells {goods} in {place2}",
                    "{firm} expects its {metric} to [stay the same|neither rise nor fall] in the {quarter} quarter",
                )
            ),
            firm=firm,
        )
    elif chance.yes(0.2):
        low, gap = chance.between(3, 40), chance.between(2, 30)
        now, before = (low + gap, low) if sign > 0 else (low, low + gap)
        template = "{firm}'s [profit|sales|revenue|income|cash flow] [for|in] the {quarter} quarter came to ${now} million, compared with ${before} million a year earlier"
        text = write(chance, template, firm=firm, now=now, before=before)
    else:
        text = market.statement(chance, sign, firm, now=False)
    text = capital(padded(chance, text)) + "."
    return [{"input": text, "output": _WORDS[_SIGNS[sign]], "instruction": NEWS}]


def opinion(chance: Chance) -> list[Row]:
    """A short post or headline about a company (the FiQA part), three labels."""
    sign = chance.weighted({-1: 42, 1: 46, 0: 12})
    firm = chance.pick(NAMES)
    if sign == 0:
        text = market.level(chance, firm)
    else:
        text = write(
            chance,
            chance.pick(
                (
                    "${ticker} {news}, so I [bought|am buying] more" if sign > 0 else "${ticker} {news}, so I [sold|am selling] mine",
                    "{news}, [good|great] for ${ticker}" if sign > 0 else "{news}, [bad|poor] for ${ticker}",
                    "{news}",
                    "${ticker} [not a sell|no reason to sell], {news}" if sign > 0 else "${ticker} [not a buy|no reason to buy], {news}",
                )
            ),
            ticker=TICKERS[firm],
            news=market.statement(chance, sign, firm, now=True),
        )
    return [{"input": capital(padded(chance, text)), "output": _WORDS[_SIGNS[sign]], "instruction": NEWS}]


def graded(chance: Chance) -> list[Row]:
    """A line of news with one of seven grades: how far the deciding clause goes, and which way."""
    sign = chance.weighted({-1: 33, 1: 47, 0: 20})
    firm = chance.pick(NAMES)
    if sign == 0:
        text, grade = market.level(chance, firm), "neutral"
    else:
        strength = chance.weighted({"mildly": 30, "moderately": 50, "strong": 20})
        text = _of_strength(chance, sign, firm, strength)
        grade = f"{strength} {'positive' if sign > 0 else 'negative'}"
    text = capital(padded(chance, text))
    return [{"input": text if text.endswith("?") else text + ".", "output": grade, "instruction": GRADES}]


def _of_strength(chance: Chance, sign: int, firm: str, strength: str) -> str:
    if strength == "moderately":
        return market.statement(chance, sign, firm, now=False)
    force, other = (market.SLIGHT, market.SHARP) if strength == "mildly" else (market.SHARP, market.SLIGHT)
    text = market.clause(chance, sign, firm, now=False, force=force)
    if chance.yes(0.4):
        return f"{text} even though {market.clause(chance, -sign, firm, now=False, first=False, force=chance.pick((other, market.PLAIN)))}"
    if chance.yes(0.4):
        return f"{market.clause(chance, -sign, firm, now=False, force=chance.pick((other, market.PLAIN)))} but {market.clause(chance, sign, firm, now=False, first=False, force=force)}"
    return text + write(chance, chance.pick((" in the {quarter} quarter", " in {month}", " in {place} [last|this] year", " as {bank} [had said|expected]")))
