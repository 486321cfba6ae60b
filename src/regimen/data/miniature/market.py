"""What happens to companies, said in clauses that are good or bad news only as a whole.

Owns the grammar of market news: the sign of a clause comes from figure and direction together (profit rises, debt
rises), from the expectation (fell less than feared), from negation, from who beats whom, and in two clauses from the
one that decides. Knows neither labels nor tables.
"""

from __future__ import annotations

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.words import BAD_METRICS, FALL, GOOD_METRICS, RISE
from regimen.data.miniature.writing import write

PLAIN, SLIGHT, SHARP = "", " slightly", " sharply"

_KINDS = {"plain": 44, "expected": 12, "width": 8, "beat": 14, "negated": 13, "effect": 9}

_LONG = {
    1: ("higher {metric}", "strong demand", "lower costs", "a narrower loss", "more orders", "fewer complaints", "wider margins", "less debt"),
    -1: ("lower {metric}", "weak demand", "higher costs", "a wider loss", "fewer orders", "more complaints", "narrower margins", "more debt"),
}

_BEAT = {
    (1, False): ("{metric} beat [forecasts|estimates]", "{it} beat rivals to [an order|a deal|a contract] in {place}", "{metric} topped estimates"),
    (-1, False): ("{metric} missed [forecasts|estimates]", "rivals beat {them} to [an order|a deal|a contract] in {place}", "estimates topped {metric}"),
    (1, True): ("{metric} [beat|beats] [forecasts|estimates]", "{it} beats rivals to [an order|a deal|a contract] in {place}"),
    (-1, True): ("{metric} [miss|misses] [forecasts|estimates]", "rivals beat {them} to [an order|a deal|a contract] in {place}"),
}


def clause(chance: Chance, sign: int, firm: str, *, now: bool, first: bool = True, force: str = PLAIN) -> str:
    """A finite clause, good news for `firm` where sign is 1, bad where -1; `now` is the present tense of headlines.

    `first` says whether the clause names the company; otherwise it says "its". `force` is how far a figure moved.
    """
    owner = (f"{firm} " if now else f"{firm}'s ") if first else ("" if now else "its ")
    it = firm if first else "it"
    kind = "plain" if force else chance.weighted(_KINDS)
    if kind == "plain":
        return owner + _plain(chance, sign, now, force)
    if kind == "expected":
        return owner + _expected(chance, sign, now)
    if kind == "width":
        return owner + _width(chance, sign, now)
    if kind == "negated":
        return _negated(chance, sign, owner, it, now)
    if kind == "effect":
        return _effect(chance, sign, it, now)
    metric, plural = _metric(chance, good=True)
    template = chance.pick(_BEAT[sign, now])
    if now:
        template = template.replace("[beat|beats]", "beat" if plural else "beats")
        template = template.replace("[miss|misses]", "miss" if plural else "misses")
    return write(chance, template, metric=owner + metric, it=it, them=firm if first else "it")


def cause(chance: Chance, sign: int) -> str:
    """A noun phrase that is good or bad news: "higher costs", "a narrower loss"."""
    return write(chance, chance.pick(_LONG[sign]), metric=chance.pick(tuple(GOOD_METRICS)))


def statement(chance: Chance, sign: int, firm: str, *, now: bool) -> str:
    """One or two clauses whose sum is good news (1) or bad news (-1) for `firm`."""
    shape = chance.weighted({"one": 46, "cause": 14, "but": 14, "although": 10, "even": 8, "despite": 8})
    if shape == "one":
        return clause(chance, sign, firm, now=now) + chance.pick(("", "", _when(chance)))
    if shape == "cause":
        return clause(chance, sign, firm, now=now) + chance.pick((" on ", " after ", " thanks to " if sign > 0 else " because of ")) + cause(chance, sign)
    if shape == "but":
        return f"{clause(chance, -sign, firm, now=now)} but {clause(chance, sign, firm, now=now, first=False)}"
    if shape == "although":
        head = chance.pick((f"although {clause(chance, -sign, firm, now=now)}", f"despite {cause(chance, -sign)} at {firm}"))
        return f"{head}, {clause(chance, sign, firm, now=now, first=False)}"
    if shape == "even":
        other = clause(chance, -sign, firm, now=now, first=False)
        return f"{clause(chance, sign, firm, now=now)} even {chance.pick(('though', 'as'))} {other}"
    return f"{clause(chance, sign, firm, now=now)} despite {cause(chance, -sign)}"


def shares(chance: Chance, sign: int, firm: str) -> str:
    """A headline of which the share price is the news, with a reason for or against it."""
    up = sign > 0
    moves = ("rise", "climb", "jump", "gain {2-9}%", "are up {2-9}%") if up else ("fall", "drop", "slide", "lose {2-9}%", "are down {2-9}%")
    reason = chance.weighted({"after": 4, "despite": 3, "even": 3, "rating": 3})
    if reason == "rating":
        template = (
            "{firm} [raised|lifted] to [buy from hold|buy from sell|hold from sell] [at|by] {bank}"
            if up
            else "{firm} [cut|lowered] to [sell from hold|sell from buy|hold from buy] [at|by] {bank}"
        )
        return write(chance, template, firm=firm)
    move = write(chance, chance.pick(moves))
    if reason == "after":
        return f"{firm} shares {move} after {cause(chance, sign)}" + _when(chance)
    if reason == "despite":
        return f"{firm} shares {move} despite {cause(chance, -sign)}" + _when(chance)
    return f"{firm} shares {move} even as {clause(chance, -sign, firm, now=True, first=False)}"


def level(chance: Chance, firm: str) -> str:
    """A headline that is news neither way, in the words that news either way is made of."""
    return write(
        chance,
        chance.pick(
            (
                "{firm} to report {metric} for the {quarter} quarter on {day}",
                "Will {firm} {metric} [beat|miss] forecasts [this|next] quarter?",
                "{firm} {metric} [in line with|as high as] forecasts in the {quarter} quarter",
                "{firm} {metric} unchanged from a year [earlier|ago] at ${2-90} million",
                "{firm} neither [raises nor cuts|beats nor misses] its {metric} forecast for the year",
                "[{higher} {metric}|Strong demand] at {firm} offset by {worse}",
                "{firm} names {person} as {role} from {month}",
                "{firm} to hold its [annual|yearly] meeting in {place} on {day}",
                "{firm} {metric} [rise|fall] is the same as the forecast, says {bank}",
                "{number} things to know about {firm} before its {metric} report",
                "{bank} keeps [hold|its hold rating] on {firm} after {quarter} quarter {metric}",
                "{firm} says {worse} and {better} cancel out this {half}",
                "Not clear whether {firm} {metric} will [rise|fall] in the {quarter} quarter",
                "{firm} to open [an office|a plant] in {place} in {month}",
            )
        ),
        firm=firm,
        higher=chance.pick(("Higher", "Better")),
        worse=cause(chance, -1),
        better=cause(chance, 1),
        half=chance.pick(("year", "quarter", "month")),
    )


def _when(chance: Chance) -> str:
    return write(chance, chance.pick((" in the {quarter} quarter", " in {month}", " this [year|quarter]", " in {place}", " from a year earlier")))


def _metric(chance: Chance, *, good: bool) -> tuple[str, bool]:
    return chance.pick(tuple((GOOD_METRICS if good else BAD_METRICS).items()))


def _verb(chance: Chance, direction: int, plural: bool, now: bool) -> str:
    past, singular, several = chance.pick(RISE if direction > 0 else FALL)
    return (several if plural else singular) if now else past


def _plain(chance: Chance, sign: int, now: bool, force: str) -> str:
    good = chance.yes(0.75)
    metric, plural = _metric(chance, good=good)
    verb = _verb(chance, sign if good else -sign, plural, now)
    amount = force or chance.pick(("", " {2-30}%" if now else " by {2-30}%"))
    return write(chance, f"{metric} {verb}{amount}")


def _expected(chance: Chance, sign: int, now: bool) -> str:
    good = chance.yes(0.7)
    more = chance.yes(0.5)
    metric, plural = _metric(chance, good=good)
    welcome = sign if more else -sign
    verb = _verb(chance, welcome if good else -welcome, plural, now)
    return f"{metric} {verb} {'more' if more else 'less'} than {'hoped' if welcome > 0 else 'feared'}"


def _width(chance: Chance, sign: int, now: bool) -> str:
    noun, direction = chance.pick((("loss", -sign), ("margin", sign)))
    verb = ("widens" if now else "widened") if direction > 0 else ("narrows" if now else "narrowed")
    return f"{noun} {verb}" + write(chance, chance.pick(("", " to {2-30}%" if noun == "margin" else " to ${2-30} million")))


def _negated(chance: Chance, sign: int, owner: str, it: str, now: bool) -> str:
    kind = chance.pick(("not", "hardly", "no longer", "sees"))
    if kind == "sees":
        noun = chance.pick(("growth", "progress", "gain") if sign < 0 else ("weakness", "shortage", "trouble"))
        return f"{it} {'sees' if now else 'saw'} no {noun}"
    metric, plural = _metric(chance, good=True)
    if kind == "not":
        helper = ("do" if plural else "does") if now else "did"
        return f"{owner}{metric} {helper} not {chance.pick(FALL if sign > 0 else RISE)[2]}"
    if kind == "hardly":
        return f"{owner}{metric} hardly {_verb(chance, -sign, plural, now)}"
    return f"{owner}{metric} no longer {_verb(chance, -sign, plural, now)}"


def _effect(chance: Chance, sign: int, it: str, now: bool) -> str:
    negated = chance.yes(0.5)
    verb = "helped" if (sign > 0) != negated else "hurt"
    be = "is" if now else "was"
    return f"{it} {be} {'not ' if negated else ''}{verb} by {cause(chance, sign if not negated else -sign)}"
