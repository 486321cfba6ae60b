"""Questions about money with answers that follow from the numbers in them.

Owns FinGPT/fingpt-fiqa_qa and the financial part of gbharti/finance-alpaca. The rule behind each answer is simple:
the dearest loan first, what is due soon stays in cash, a gain is taxed and a loss is not.
"""

from __future__ import annotations

from collections.abc import Callable

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row
from regimen.data.miniature.writing import capital, sentence, write

INSTRUCTION = (
    "Utilize your financial knowledge, give your answer or opinion to the input question or subject . "
    "Answer format is not limited."
)

Pair = tuple[str, str]


def fiqa(chance: Chance) -> list[Row]:
    """A row of FiQA in FinGPT's form: input, output, instruction."""
    question, answer = ask(chance)
    return [{"input": question, "output": answer, "instruction": INSTRUCTION}]


def alpaca(chance: Chance) -> list[Row]:
    """A row of Finance Alpaca: text, instruction, input, output; text and input are empty."""
    question, answer = ask(chance)
    return [{"text": "", "instruction": question, "input": "", "output": answer}]


def ask(chance: Chance) -> Pair:
    """A question and its answer."""
    question, answer = chance.pick(KINDS)(chance)
    return question, capital(answer)


def _debts(chance: Chance) -> Pair:
    a, b = chance.sample(range(2, 30), 2)
    one, other = write(chance, "{loan}/{loan2}").split("/")
    question = sentence(
        chance,
        "[I owe ${2-90}00 on my {one} at {a}% and ${2-90}00 on my {other} at {b}%|my {one} costs {a}% a year and my {other} {b}%, and I have ${20-900} to spare]. Which [one |]should I pay [off |back |]first?",
        one=one, other=other, a=a, b=b,
    )  # fmt: skip
    first = one if a > b else other
    return question, write(chance, f"[pay the {first} first|the {first} first], [because|since] its rate is higher. Pay the minimum on the other.")


def _horizon(chance: Chance) -> Pair:
    years = chance.pick((1, 2, 3, 8, 10, 15, 20, 30))
    question = sentence(
        chance,
        "[I [have|saved] ${2-90}00 and want {object} in {years} years. Should I buy {choice} [now|until then]?|is it wise to put ${2-90}00 into {choice} if I need it for {object} in {years} years?|my {relative} needs ${2-90}00 in {years} years for {object}; would {choice} be a good place for it?]",
        years=years, choice=write(chance, "[shares|an index fund|shares of {firm}]"),
    )  # fmt: skip
    if years < 5:
        return question, f"No, {years} years is a short time and shares can fall. Keep the money in a savings account."
    return question, f"Yes, with {years} years to go shares have time to recover. Do not put all in one company."


def _months(chance: Chance) -> Pair:
    months, each = chance.between(2, 12), chance.between(2, 9)
    total = months * each
    question = sentence(
        chance,
        "[how long does it take to save ${total}00 for {object} if I put away ${each}00 [a|each] month?|I put away ${each}00 a month for {object} that costs ${total}00. When can I buy it?|{object} costs ${total}00 and I can save ${each}00 a month, how many months is that?]",
        total=total, each=each,
    )  # fmt: skip
    return question, f"It takes {months} months, because {total} divided by {each} is {months}."


def _tax(chance: Chance) -> Pair:
    bought, sold = chance.sample(range(10, 90), 2)
    question = sentence(
        chance,
        "[I bought {20-90} shares of {firm} at ${bought} and sold them at ${sold} in {month}. Do I owe tax?|do I have to pay tax on shares of {firm} that I sold for ${sold} in {month} after I bought them for ${bought}?]",
        bought=bought, sold=sold,
    )  # fmt: skip
    if sold > bought:
        return question, f"Yes, on the gain of ${sold - bought} a share."
    return question, f"No, you lost ${bought - sold} a share, and a loss is not taxed."


def _cheaper(chance: Chance) -> Pair:
    months, each = chance.between(3, 12), chance.between(5, 30)
    once = months * each + chance.pick((-9, -6, -3, 3, 6, 9))
    question = sentence(
        chance,
        "[a shop in {place} sells {object} for ${once}00 now or ${each}00 a month for {months} months. Which is cheaper?|should I pay ${once}00 at once for {object} or ${each}00 in each of {months} months?]",
        once=once, each=each, months=months,
    )  # fmt: skip
    cheap = "paying at once" if once < months * each else "paying by the month"
    return question, f"{cheap} is cheaper, because {months} times {each} is {months * each}."


def _emergency(chance: Chance) -> Pair:
    cost = chance.between(2, 9)
    have = cost * chance.pick((1, 2, 4, 5, 6, 8))
    question = sentence(
        chance,
        "[I am a {job} with ${have}00 in the bank and spend ${cost}00 a month. Can I buy {choice} [now|this year]?|with costs of ${cost}00 a month and ${have}00 in cash, should a {job} in {place} buy {choice}?|my {relative}, a {job}, spends ${cost}00 a month and has ${have}00. Is it time to buy {choice}?]",
        have=have, cost=cost, choice=chance.pick(("shares", "bonds", "gold", "a bond fund")),
    )  # fmt: skip
    months = have // cost
    if months < 3:
        return question, f"Not yet, the cash lasts only {months} {'month' if months == 1 else 'months'}. First save enough for three."
    return question, f"Yes, the cash lasts {months} months, and three are enough."


def _lend(chance: Chance) -> Pair:
    question = sentence(
        chance,
        "[my {relative} wants to borrow ${20-900} for {object} and pay it back in {2-9} [months|years]. Should I lend it?|should I lend ${20-900} to my {relative}, a {job}, who wants to buy {object} in {place}?|a {job} I know in {place} asks me for ${20-900} to buy {object}. Is it safe to lend it?]",
    )
    return question, write(chance, "[only lend|lend only] what you can afford to lose, and write down when it is [due|to be paid back].")


def _fee(chance: Chance) -> Pair:
    question = sentence(
        chance,
        "[{bank} takes ${2-9} a month for my [account|card] in {place}. How can I avoid [it|the fee]?|how do I get {bank} to drop the ${2-90} fee for [my card|a late payment|cash] in {place}?|why does {bank} charge ${2-90} when I [pay|get cash|send money] in {place}?]",
    )
    return question, write(chance, "[ask the bank to drop the fee|call the bank and ask], [or|and if it says no] move to a bank that charges nothing.")


def _dividend(chance: Chance) -> Pair:
    cents, pay = chance.between(10, 90), chance.between(10, 90)
    if cents == pay:
        return _dividend(chance)
    question = sentence(
        chance,
        "[{firm} earns {pay} cents a share and pays a dividend of {cents} cents. Is [it|that] safe?|is the dividend of {firm} safe if it pays {cents} cents of the {pay} cents it earns a share?|can {firm} keep a dividend of {cents} cents when it earns {pay} cents a share in {year}?]",
        cents=cents, pay=pay,
    )  # fmt: skip
    if cents > pay:
        return question, "No, it pays more than it earns, so the dividend may be cut."
    return question, "Yes, it earns more than it pays, as long as profit does not fall."


def _insurance(chance: Chance) -> Pair:
    worth = chance.pick((2, 3, 4, 80, 100, 200))
    question = sentence(
        chance,
        "[do I need insurance for {object} worth ${worth}00 that I use in {place}?|{object} of mine is worth ${worth}00. Should a {job} buy insurance for it?|{firm} sells me insurance at ${2-90} a year for {object} worth ${worth}00. Is it [worth it|needed]?]",
        worth=worth,
    )  # fmt: skip
    if worth < 10:
        return question, "No, you could pay for a new one yourself."
    return question, "Yes, the loss would be too large to pay for yourself."


def _match(chance: Chance) -> Pair:
    question = sentence(
        chance,
        "[{firm}, where I work, adds {20-90} cents to each dollar I save for [old age|my pension]. Should I save there or pay my {loan} at {2-9}%?|is it better to pay back a {loan} at {2-9}% or to save at {firm}, which adds {20-90} cents to each dollar?]",
    )
    return question, write(chance, "[save there|save at work] first, [because|since] what your company adds is more than the rate of the loan.")


def _inflation(chance: Chance) -> Pair:
    rate, prices = chance.sample(range(1, 10), 2)
    question = sentence(
        chance,
        "[my [savings account|deposit] at {bank} pays {rate}% and prices in {place} rise {prices}% a year. Am I [losing money|getting poorer]?|{bank} pays {rate}% on my [account|deposit]. With inflation in {place} at {prices}%, do I lose?]",
        rate=rate, prices=prices,
    )  # fmt: skip
    if prices > rate:
        return question, f"Yes, prices rise {prices - rate}% faster than your money."
    return question, f"No, your money grows {rate - prices}% faster than prices."


def _concentrated(chance: Chance) -> Pair:
    question = sentence(
        chance,
        "[all my money, ${2-90}00, is in shares of {firm}[, where I work|]. Should I sell [some|any] in {month}?|I own {20-900} shares of {firm} and nothing else, and they [rose|fell] {2-30}% in {month}. What should I do?|my {relative} put ${2-90}00 into {firm} alone. Is that wise in {year}?]",
    )
    return question, write(chance, "[sell some and buy a fund|a fund is safer]: if one company fails, you should not lose [all|everything].")


KINDS: tuple[Callable[[Chance], Pair], ...] = (
    _debts, _horizon, _months, _tax, _cheaper, _emergency, _lend, _fee, _dividend, _insurance, _match, _inflation,
    _concentrated,
)  # fmt: skip
