"""Opinions about films whose sign lies in how words are put together.

Owns the grammar of praise and blame (negation, expectation, contrast, what could have been) and the tables
stanfordnlp/imdb and nyu-mll/glue sst2. Knows no other kind of text.
"""

from __future__ import annotations

import re

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row
from regimen.data.miniature.words import BLAME, PRAISE
from regimen.data.miniature.writing import capital, someone, write

_KINDS = {"plain": 70, "negated": 15, "expected": 6, "nothing": 5, "could": 4}
_SHAPES = {"one": 46, "and": 20, "but": 12, "although": 9, "despite": 6, "even": 7}

_VERDICTS = {
    1: ("I [loved|enjoyed|liked] {it}", "[go and see|do not miss] {it}", "I would see {it} again", "I did not want {it} to end", "{it} is worth [your|the] time"),
    -1: ("I [hated|disliked] {it}", "[stay away from|do not see] {it}", "I would not see {it} again", "I wanted {it} to end", "{it} is not worth [your|the] time"),
}


def clause(chance: Chance, sign: int, subject: str = "") -> str:
    """A clause that praises (1) or blames (-1) `subject`, or an aspect of the film."""
    kind = chance.weighted(_KINDS)
    good, bad = chance.pick(PRAISE), chance.pick(BLAME)
    fit, unfit = (good, bad) if sign > 0 else (bad, good)
    it = subject or "the {aspect}"
    templates = {
        "plain": (
            f"{it} is [|really |so |very ]{fit}", f"{it} feels [|very ]{fit}", f"{it} is {qualities(chance, sign)}",
        ),
        "negated": (
            f"{it} is not [|really |very |at all ]{unfit}", f"{it} is [never|hardly] {unfit}", f"{it} is [far from|anything but] {unfit}",
            f"{it} is no longer {unfit}" if not subject else f"{it} never feels {unfit}",
        ),
        "expected": (
            f"{it} is [better|less {bad}] than I feared" if sign > 0 else f"{it} is [worse|less {good}] than I hoped",
            f"{it} is as {fit} as I [{'hoped' if sign > 0 else 'feared'}|was told]",
            f"{it} is not as {unfit} as people said",
        ),
        "nothing": (
            f"there is nothing {unfit} about {it}", f"there is [hardly a|not one] {unfit} scene in {it}" if subject else f"there is not one {unfit} scene",
            f"{it} has nothing {unfit} in it",
        ),
        "could": (
            (f"{it} could have been {bad} and is not", f"{it} might have been {bad} without its hero")
            if sign > 0
            else (f"{it} could have been {good}", f"{it} should have been {good}", f"{it} wants to be {good} and is not")
        ),
    }  # fmt: skip
    return write(chance, chance.pick(templates[kind]))


def qualities(chance: Chance, sign: int) -> str:
    """Two or three adjectives of one mind: "dull, slow and boring"."""
    *first, last = chance.sample(PRAISE if sign > 0 else BLAME, chance.between(2, 3))
    return f"{', '.join(first)} and {last}"


def opinion(chance: Chance, sign: int, subject: str = "", *, before: bool = False) -> str:
    """One or two clauses; of two, the one that decides has the sign."""
    shape = chance.weighted(_SHAPES)
    mine = clause(chance, sign, subject if chance.yes(0.5) else "")
    if shape == "one":
        return mine
    against = clause(chance, -sign)
    if shape == "and":
        return f"{mine} and {clause(chance, sign)}"
    if shape == "but":
        return f"{against} but {mine}"
    if shape == "although":
        return f"although {against}, {mine}" if not before else f"{mine} although {against}"
    if shape == "despite":
        return write(chance, "{mine} despite its {bad} {aspect}" if sign > 0 else "{mine} despite its {good} {aspect}", mine=mine)
    return f"{mine} even though {against}"


def phrase(chance: Chance, sign: int) -> str:
    """A film in a noun phrase, as critics write."""
    fit = "good" if sign > 0 else "bad"
    unfit = "bad" if sign > 0 else "good"
    plain = (
        f"a [|very |really ]{{{fit}}} {{film}} [with|about] {{relative}}s and a {{{fit}2}} {{part}}",
        f"{{job}}s and {{animals}} in a [|very ]{{{fit}}} {{film}} from {{place}}",
        f"as {{{fit}}} as a {{film}} about a {{job}} and a {{animal}} can be",
        f"{{{fit}}}, {{{fit}2}} and {{{fit}3}}, this {{film}} is [all|everything] a {{job}} could {'hope for' if sign > 0 else 'fear'}",
    )
    turned = (
        f"a {{{fit}}} {{film}} that is [never|not|hardly] {{{unfit}}}",
        f"a {{{unfit}}} {{film}} with a {{{unfit}2}} {{part}} is what I [feared|expected], not what I got",
        f"not a {{{unfit}}} {{film}} but a {{{fit}}} one",
        f"[anything but|far from] a {{{unfit}}} {{film}}",
        f"more {{{fit}}} than {{{unfit}}}, a {{film}} [for|about] {{job}}s",
    )
    templates = plain if chance.yes(0.7) else turned
    return write(chance, chance.pick(templates))


def verdict(chance: Chance, sign: int, it: str = "it") -> str:
    return write(chance, chance.pick(_VERDICTS[sign]), it=it)


def sst2(chance: Chance) -> list[Row]:
    """A row of GLUE SST-2 without its number: lower case, words parted; label 0 negative, 1 positive."""
    sign = chance.sign()
    while True:
        subject = write(chance, chance.pick(("this {film}", "the {film}", "it", "this {film} about a {job}")))
        text = phrase(chance, sign) if chance.yes(0.35) else opinion(chance, sign, subject)
        if chance.yes(0.2) and "about" not in text:
            text += write(chance, "[, as a {job} might say| in this {film} about {animals}| for a {film} [made|set] in {place}| from the first scene to the last]")
        text = parted(text + ("." if chance.yes(0.7) else ""))
        if 6 <= len(text.split()) <= 20:
            return [{"sentence": text, "label": int(sign > 0)}]


def parted(text: str) -> str:
    """Lower case with blanks around marks, as SST-2 and BookCorpus have it."""
    text = re.sub(r"(\w)n't\b", r"\1 n't", text.lower())
    text = re.sub(r"(\w)'(s|ll|re|ve|d|m)\b", r"\1 '\2", text)
    text = re.sub(r'"(?=\w)', "`` ", text).replace('"', " ''")
    return " ".join(re.sub(r"([.,!?;:])", r" \1 ", text).split())


def imdb(chance: Chance) -> list[Row]:
    """A row of IMDB: text of two or three sentences, label 0 negative, 1 positive."""
    sign = chance.sign()
    while True:
        text = _review(chance, sign)
        if 15 <= len(text.replace("<br /><br />", " ").split()) <= 30:
            return [{"text": text, "label": int(sign > 0)}]


def _review(chance: Chance, sign: int) -> str:
    film = write(chance, "{film}")
    other = chance.pick(("first", "other", "brother", "beginning", "critics", "none", "none", "none", "none"))
    third = someone(chance)
    opening = write(
        chance,
        chance.pick(
            (
                "[I|We] saw this {film} [in {place}|last {day}|with my {relative}]",
                "[This|Here] is a {film} about a {job} and a {animal}",
                "In this {film} {who} [plays|is] a {job} in {place}",
                "A {job} [loses|finds] a {animal} in {place}",
                "My {relative} [took me to|told me about] this {film}",
            )
        ),
        film=film,
        **third,
    )
    against = {
        "first": f"the first {film} " + ("was " + chance.pick(BLAME if sign > 0 else PRAISE)) + ", and this one is not like it",
        "other": write(chance, "{first} [hated|disliked] it, I did not" if sign > 0 else "{first} [loved|liked|enjoyed] it, I did not"),
        "brother": write(chance, "my {relative} says " + clause(chance, -sign) + ", but that is not so"),
        "beginning": f"at first {clause(chance, -sign)}",
        "critics": write(chance, "I expected a {bad} {film} and [was wrong|did not get one]" if sign > 0 else "I expected a {good} {film} and [was wrong|did not get one]", film=film),
        "none": "",
    }[other]  # fmt: skip
    parts = [part for part in (opening if chance.yes(0.7) else "", against) if part]
    parts.append(opinion(chance, sign, f"the {film}"))
    if chance.yes(0.45):
        parts.append(verdict(chance, sign))
    mark = "<br /><br />" if chance.yes(0.12) else " "
    text = ". ".join(capital(part) for part in parts) + "."
    return text if mark == " " else text.replace(". ", "." + mark, 1)
