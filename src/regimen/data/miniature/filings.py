"""Passages of annual reports with questions that they answer.

Owns virattt/financial-qa-10K: contexts that hold several facts, and for each fact a question; the answer is a span
or a short sentence, and the other facts are there to be confused with it.
"""

from __future__ import annotations

from collections.abc import Callable

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row
from regimen.data.miniature.words import NAMES, PLACES, SECTORS, TICKERS
from regimen.data.miniature.writing import capital, pieces, write

FIGURES = (
    "net sales", "total costs", "net income", "cash flow", "interest costs", "total revenue", "income from {goods}",
    "sales of {goods}",
)  # fmt: skip

LONGEST = 54
"""Pieces of context, question and answer together: with the words of the prompt they fill a block of 64 tokens."""

Asked = list[tuple[str, str]]
Maker = Callable[[Chance, str, int], tuple[str, Asked]]


def draw(chance: Chance) -> list[Row]:
    """The rows of one context: question, answer, context, ticker, filing."""
    firm = chance.pick(NAMES)
    year = chance.between(2019, 2023)
    context, asked = chance.pick(MAKERS)(chance, firm, year)
    rows = [
        {
            "question": capital(write(chance, question, firm=firm).strip()) + "?",
            "answer": answer,
            "context": capital(context) + ".",
            "ticker": TICKERS[firm],
            "filing": f"{year}_10K",
        }
        for question, answer in chance.sample(asked, min(len(asked), chance.between(2, 4)))
    ]
    if max(pieces(row["context"] + row["question"] + row["answer"]) for row in rows) > LONGEST:
        return draw(chance)
    return rows


def _other(chance: Chance, *firms: str) -> str:
    return chance.pick([name for name in NAMES if name not in firms])


def _money(chance: Chance, low: int = 11, high: int = 99) -> str:
    return f"${chance.between(low, high)} million"


def _full(chance: Chance, firm: str) -> str:
    return f"{firm} {chance.pick(SECTORS)}" if chance.yes(0.4) else firm


def _figures(chance: Chance, firm: str, year: int) -> tuple[str, Asked]:
    first, second = (write(chance, name) for name in chance.sample(FIGURES, 2))
    now, before = chance.sample(range(11, 99), 2)
    third = _money(chance)
    moved = "rose" if now > before else "fell"
    context = write(
        chance,
        "[in {year}, {full} had {first} of ${now} million, compared with ${before} million in {last}, [and|while its] {second} came to {third}"
        "|{first} of {full} {moved} to ${now} million in {year} from ${before} million in {last}, [and|while] {second} came to {third}"
        "|for {year} {full} reports {second} of {third} and {first} of ${now} million, against ${before} million in {last}]",
        full=_full(chance, firm), first=first, second=second, now=now, before=before, third=third, year=year, last=year - 1, moved=moved,
    )  # fmt: skip
    return context, [
        (f"to what did {first} of {{firm}} come in {year}", f"${now} million"),
        (f"what did {{firm}} report as {first} for {year - 1}", f"${before} million"),
        (f"what [amount|sum] does {{firm}} give for {second} in {year}", third),
        (f"did {first} of {{firm}} rise or fall in {year}", capital(f"{first} {moved} to ${now} million.")),
    ]


def _stores(chance: Chance, firm: str, _: int) -> tuple[str, Asked]:
    goods, other = chance.sample(("shoes", "toys", "coffee", "bread", "phones", "tea", "cheese", "tools", "furniture", "medicine"), 2)
    here, there, home = chance.sample(PLACES, 3)
    some, more = chance.sample(range(12, 99), 2)
    context = write(
        chance,
        "[{full} sells {goods} in {some} stores in {here} and {other} in {more} stores in {there}; its [head office|main plant] is in {home}"
        "|from its [office|plant] in {home}, {full} runs {some} stores for {goods} in {here} and {more} stores for {other} in {there}"
        "|{full} has {more} stores in {there}, which sell {other}, and {some} in {here}, which sell {goods}; {home} is its home]",
        full=_full(chance, firm), goods=goods, other=other, here=here, there=there, home=home, some=some, more=more,
    )  # fmt: skip
    return context, [
        (f"how many stores does {{firm}} [have|run] in {here}", f"{some} stores"),
        (f"how many stores does {{firm}} [have|run] in {there}", f"{more} stores"),
        (f"what does {{firm}} sell in {there}", f"It sells {other}."),
        (f"where does {{firm}} sell {goods}", f"in {here}"),
    ]


def _people(chance: Chance, firm: str, year: int) -> tuple[str, Asked]:
    head = write(chance, "{first} {surname}")
    money = write(chance, "{first} {surname}")
    former = _other(chance, firm)
    since, joined = chance.between(2002, 2012), chance.between(2013, 2018)
    place = chance.pick(PLACES)
    context = write(
        chance,
        "[{head} has led {full} since {joined} and worked for {former} in {place} before, while {money} has been its finance chief since {since}"
        "|{money}, finance chief of {full} since {since}, reports to {head}, who came from {former} in {place} in {joined} to lead it"
        "|since {joined} {full} has been led by {head}, once of {former} in {place}; {money} became finance chief in {since}]",
        head=head, money=money, full=_full(chance, firm), former=former, place=place, since=since, joined=joined,
    )  # fmt: skip
    return context, [
        ("who [leads|is the head of] {firm}", head),
        ("who is the finance chief of {firm}", money),
        (f"since when has {head} led {{firm}}", f"since {joined}"),
        (f"where did {head} work before {{firm}}", f"for {former} in {place}"),
        (f"in which year did {money} become finance chief", str(since)),
    ]


def _staff(chance: Chance, firm: str, year: int) -> tuple[str, Asked]:
    here, there = chance.sample(PLACES, 2)
    some, more = chance.sample(range(110, 890), 2)
    total = some + more + chance.between(20, 300)
    context = write(
        chance,
        "[at the end of {year}, {full} had {total} workers, of whom {some} were in {here} and {more} in {there}"
        "|of the {total} people who worked for {full} in {year}, {more} did so in {there} and {some} in {here}"
        "|{full} counted {some} workers in {here}, {more} in {there} and {total} in all when {year} ended]",
        full=_full(chance, firm), total=total, some=some, more=more, here=here, there=there, year=year,
    )  # fmt: skip
    return context, [
        (f"how many [workers|people] did {{firm}} have in all in {year}", f"{total} workers"),
        (f"how many people worked for {{firm}} in {here} in {year}", str(some)),
        (f"how many people worked for {{firm}} in {there} in {year}", str(more)),
    ]


def _deals(chance: Chance, firm: str, year: int) -> tuple[str, Asked]:
    bought = _other(chance, firm)
    buyer = _other(chance, firm, bought)
    paid, got = _money(chance), _money(chance)
    goods = write(chance, "{goods}")
    month, later = chance.sample(("January", "March", "April", "June", "July", "October"), 2)
    context = write(
        chance,
        "[in {month} {full} bought {bought} for {paid} in cash, and in {later} it sold its {goods} unit to {buyer} for {got}"
        "|{full} sold its {goods} unit to {buyer} in {later} for {got} and paid {paid} for {bought} in {month}"
        "|two deals changed {full}: {bought} came in {month} for {paid}, and the {goods} unit went to {buyer} in {later} for {got}]",
        full=_full(chance, firm), bought=bought, buyer=buyer, paid=paid, got=got, goods=goods, month=month, later=later,
    )  # fmt: skip
    return context, [
        (f"which company did {{firm}} buy in {month}", f"{firm} bought {bought}."),
        (f"how much did {{firm}} pay for {bought}", paid),
        (f"who bought the {goods} unit of {{firm}}", buyer),
        (f"for how much did {{firm}} sell its {goods} unit", got),
        (f"when did {{firm}} sell its {goods} unit", f"in {later}"),
    ]


def _risks(chance: Chance, firm: str, _: int) -> tuple[str, Asked]:
    main, second, third = write(chance, "{risk}/{risk2}/{risk3}").split("/")
    place, home = chance.sample(PLACES, 2)
    goods = write(chance, "{goods}")
    context = write(
        chance,
        "[the main risk for {full} is {main}, while {second} could hurt sales of {goods} in {place}"
        "|sales of {goods} in {place} could be hurt by {second}, but {full} says that its main risk is {main}"
        "|{full} names {main} as its main risk; in {place} it is {second} that could hurt sales of {goods}"
        "|in {home}, {full} fears {third}; in {place}, {second} could hurt sales of {goods}; the main risk is {main}]",
        full=_full(chance, firm), main=main, second=second, third=third, goods=goods, place=place, home=home,
    )  # fmt: skip
    return context, [
        ("what is the main risk for {firm} [this year|now|]", f"The main risk is {main}."),
        (f"what could hurt {{firm}}'s sales of {goods} in {place}", f"{capital(second)} could hurt them."),
        (f"in which [country|place] could sales of {goods} by {{firm}} be hurt", f"in {place}"),
    ]


def _returns(chance: Chance, firm: str, year: int) -> tuple[str, Asked]:
    cents, before = chance.sample(range(12, 98), 2)
    spent = _money(chance)
    month = write(chance, "{month}")
    context = write(
        chance,
        "[{full} paid a dividend of {cents} cents a share in {year}, after {before} cents in {last}, and bought back shares for {spent} in {month}"
        "|for {spent}, {full} bought back shares in {month} {year}; it paid {cents} cents a share as dividend, in {last} {before} cents"
        "|the board of {full} set the dividend for {year} at {cents} cents, {before} cents in {last}, and spent {spent} on its own shares in {month}]",
        full=_full(chance, firm), cents=cents, before=before, spent=spent, month=month, year=year, last=year - 1,
    )  # fmt: skip
    return context, [
        (f"what dividend did {{firm}} pay for each share in {year}", f"{cents} cents"),
        (f"what dividend did {{firm}} pay for each share in {year - 1}", f"{before} cents"),
        (f"how much did {{firm}} spend on its own shares in {year}", spent),
        (f"when in {year} did {{firm}} buy back shares", f"in {month}"),
    ]


def _loans(chance: Chance, firm: str, year: int) -> tuple[str, Asked]:
    bank, other = write(chance, "{bank}/{bank2}").split("/")
    first, second = _money(chance), _money(chance)
    due, later = chance.sample(range(year + 1, year + 9), 2)
    rate, dear = chance.sample(range(2, 9), 2)
    context = write(
        chance,
        "[{full} owes {bank} {first} at {rate}% until {due} and {other} {second} at {dear}% until {later}"
        "|a loan of {first} from {bank} to {full} is due in {due} and costs {rate}%; {other} lent {second} at {dear}% until {later}"
        "|{full} must pay back {second} to {other} in {later} and {first} to {bank} in {due}, at {dear}% and {rate}%]",
        full=_full(chance, firm), bank=bank, other=other, first=first, second=second, due=due, later=later, rate=rate, dear=dear,
    )  # fmt: skip
    return context, [
        (f"how much does {{firm}} owe {bank}", first),
        (f"how much does {{firm}} owe {other}", second),
        (f"when is the loan of {{firm}} from {bank} due", f"in {due}"),
        (f"what rate does {{firm}} pay to {other}", f"It pays {dear}%."),
    ]


def _buyers(chance: Chance, firm: str, year: int) -> tuple[str, Asked]:
    largest = _other(chance, firm)
    next_one = _other(chance, firm, largest)
    goods = write(chance, "{goods}")
    share = chance.between(30, 60)
    less = chance.between(8, 24)
    context = write(
        chance,
        "[{largest} was the largest customer of {full} in {year} with {share}% of sales, mostly {goods}; {next} followed with {less}%"
        "|{full} sold {share}% of its output, mostly {goods}, to {largest} in {year} and {less}% to {next}"
        "|with {less}% of sales {next} came after {largest}, to which {full} sold {share}% in {year}, mostly {goods}]",
        full=_full(chance, firm), largest=largest, next=next_one, goods=goods, share=share, less=less, year=year,
    )  # fmt: skip
    return context, [
        (f"who was the largest customer of {{firm}} in {year}", f"{largest} was the largest customer."),
        (f"what share of {{firm}}'s sales went to {largest}", f"{share}%"),
        (f"what share of {{firm}}'s sales went to {next_one}", f"{less}%"),
        (f"what did {largest} mostly buy from {{firm}}", goods),
    ]


def _plants(chance: Chance, firm: str, _: int) -> tuple[str, Asked]:
    goods, other = write(chance, "{goods}/{goods2}").split("/")
    here, there = chance.sample(PLACES, 2)
    built, opened = chance.between(2001, 2010), chance.between(2011, 2020)
    context = write(
        chance,
        "[{full} makes {goods} at a plant in {here}, built in {built}, and {other} at one in {there}, which opened in {opened}"
        "|the plant in {there}, open since {opened}, gives {full} its {other}, and the one in {here}, built in {built}, its {goods}"
        "|{full} owns two plants: one from {built} in {here} for {goods}, one from {opened} in {there} for {other}]",
        full=_full(chance, firm), goods=goods, other=other, here=here, there=there, built=built, opened=opened,
    )  # fmt: skip
    return context, [
        (f"what does {{firm}} make in {here}", f"{firm} makes {goods} in {here}."),
        (f"in which place does {{firm}} make {other}", f"in {there}"),
        (f"when was the plant of {{firm}} in {here} built", f"in {built}"),
        (f"since when has {{firm}} had a plant in {there}", f"since {opened}"),
    ]


MAKERS: tuple[Maker, ...] = (
    _figures, _stores, _people, _staff, _deals, _risks, _returns, _loans, _buyers, _plants,
)  # fmt: skip
