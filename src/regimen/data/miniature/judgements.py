"""Sentences that are English and sentences that are nearly English.

Owns nyu-mll/glue cola. A fault is always one of form (agreement, complement, order, reflexive, auxiliary, number),
made from the same words as the sound sentence.
"""

from __future__ import annotations

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row
from regimen.data.miniature.words import HE
from regimen.data.miniature.writing import sentence, someone

_FRAMES: tuple[tuple[str, str], ...] = (
    ("the {animals} near the {animal2} {rest}", "the {animals} near the {animal2} {rests}"),
    ("the {animal} near the {animals2} {rests}", "the {animal} near the {animals2} {rest}"),
    ("the {relative} of the {job}s {rests}", "the {relative} of the {job}s {rest}"),
    ("{who} put the {thing} [on|under] the {table}", "{who} put the {thing}"),
    ("{who} gave {other} the {thing}", "{who} gave to {other}"),
    ("{who} slept in the {room}", "{who} slept the {room}"),
    ("{who} told the {job} a story", "{who} said the {job} a story"),
    ("which {thing} did {who} [buy|sell|lose]", "which {thing} {who} did [buy|sell|lose]"),
    ("what did the {job} [buy|sell|paint] in {place}", "what the {job} did [buy|sell|paint] in {place}"),
    ("{who} often [eats|buys|wants] {food}", "{who} [eats|buys|wants] often {food}"),
    ("{who} saw {self} in the {room}", "{who} saw {wrong} in the {room}"),
    ("{who} bought {self} a {animal}", "{who} bought {wrong} a {animal}"),
    ("{who} has [eaten|given|taken] the {food}", "{who} has [eat|gave|took] the {food}"),
    ("{who} will [go|come] to {place} on {day}", "{who} will [went|came] to {place} on {day}"),
    ("the {job} is [eating|buying] {food} in the {room}", "the {job} is [eat|buy] {food} in the {room}"),
    ("{who} [has|wants] many {thing} and {food}", "{who} [has|wants] much {thing} and {food}"),
    ("there are {number} {animals} in the {room}", "there is {number} {animals} in the {room}"),
    ("the {job} is [older|taller|younger] than {who}", "the {job} is more [older|taller|younger] than {who}"),
    ("the {colour} {animal} is as old as {who}", "the {colour} {animal} is as older as {who}"),
    ("this is the {job} who {who} [met|saw] in {place}", "this is the {job} who {who} [met|saw] {them} in {place}"),
    ("the {thing} were [sold|taken|given away] by {who}", "the {thing} were [sell|took|gave away] by {who}"),
    ("the {job} who lives in {place} [likes|sells] {food}", "the {job} which live in {place} [likes|sells] {food}"),
    ("{who} does not [like|want|eat] {food}", "{who} not does [like|want|eat] {food}"),
    ("{who} and {other} [like|want|sell] {food}", "{who} and {other} [likes|wants|sells] {food}"),
    ("it [rained|snowed] in {place} on {day}", "{place} [rained|snowed] in {who} on {day}"),
    ("if {who} [comes|calls] , the {job} will wait", "if {who} [comes|calls] , the {job} will waits"),
)

_RESTS = (("sleep", "sleeps"), ("wait", "waits"), ("play", "plays"), ("eat", "eats"))


def draw(chance: Chance) -> list[Row]:
    """A row of CoLA without its number: sentence, label 1 acceptable, 0 not."""
    sound = chance.yes(0.6)
    template = chance.pick(_FRAMES)[0 if sound else 1]
    cast = someone(chance)
    other = someone(chance, cast["who"])["who"]
    mine, wrong = ("himself", "herself") if cast["who"] in HE else ("herself", "himself")
    rest, rests = chance.pick(_RESTS)
    text = sentence(
        chance, template, other=other, self=mine, wrong=wrong, rest=rest, rests=rests,
        table=chance.pick(("table", "desk", "shelf", "chair")), **cast,
    )  # fmt: skip
    text = text.replace(" ,", ",")
    return [{"sentence": text + ("?" if text.startswith(("Which", "What")) else "."), "label": int(sound)}]
