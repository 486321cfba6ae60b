"""Sentences of loan agreements with the persons, organizations and locations they name.

Owns FinGPT/fingpt-ner: its instruction and the wording of its output. Every name may be a person, an organization
or a location; the words around it tell which.
"""

from __future__ import annotations

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row
from regimen.data.miniature.words import HE, NAMES, SECTORS, SHE
from regimen.data.miniature.writing import capital, write

INSTRUCTION = (
    "Please extract entities and their types from the input sentence, entity types should be chosen from "
    "{person/organization/location}."
)

_KINDS = {"P": "a person", "O": "an organization", "L": "a location"}

_TEMPLATES = (
    "{P1} , who lives in {L1} , owes the [money|loan] to {O1}",
    "{O1} [lends|pays] {P1} ${2-90} thousand for a house in {L1}",
    "the [office|plant] of {O1} is in {L1} , [not|and not] in {L2}",
    "{P1} signed the [agreement|contract] with {O1} on {day}",
    "{O1} sold its [shares|plant] in {L1} to {O2} in {month}",
    "[notice|the notice] to {O1} must be sent to {P1} at its office in {L1}",
    "[a|the] {job} named {P1} moved from {L1} to {L2} in {year}",
    "{P1} and {P2} are directors of {O1}",
    "{O1} [hired|named] {P1} as {role} [on {day}|in {month}]",
    "the road from {L1} to {L2} was [built|paid for] by {O1}",
    "[mr|ms] {P1} asked {O1} [for more time|to lower the rate|about the {loan}]",
    "on {day} {P1} flew to {L1} to meet {P2} , [his|her] {relative}",
    "shares of {O1} rose after {O2} [bought|left] the unit",
    "{O1} , a bank in {L1} , holds the [deposit|loan] of {P1}",
    "the loan from {O1} is due in {month} and bears {2-9}% interest",
    "the {weather} in {L1} closed the plant of {O1} for {2-9} days",
    "if {P1} dies , {P2} pays the loan",
    "{O1} [makes {goods} for|sells {goods} to] {O2} in {month}",
    "{P1} was born in {L1} and works for {O1}",
    "people in {L1} [like|miss] {P1} , the {job}",
    "[rent|tax] for the house in {L1} is paid by {P1}",
    "{P1} left {O1} to join {O2} in {year}",
    "{O1} opened a branch in {L1} near {L2}",
    "the lawyer of {P1} wrote to {O1} about the [debt|contract]",
)


def draw(chance: Chance) -> list[Row]:
    """A row of the NER table: input, output, instruction."""
    template = chance.pick(_TEMPLATES)
    slots = sorted((template.index("{" + slot + "}"), slot) for slot in _slots(template))
    names = chance.sample(NAMES, len(slots))
    surfaces = {slot: _surface(chance, slot[0], name) for (_, slot), name in zip(slots, names, strict=True)}
    text = capital(write(chance, template, **surfaces)) + " ."
    found = ", ".join(f"{surfaces[slot]} is {_KINDS[slot[0]]}" for _, slot in slots)
    return [{"input": text, "output": f"{found}.", "instruction": INSTRUCTION}]


def _slots(template: str) -> list[str]:
    return [slot for slot in ("P1", "P2", "O1", "O2", "L1", "L2") if "{" + slot + "}" in template]


def _surface(chance: Chance, kind: str, name: str) -> str:
    """The bare name, or now and then a longer form that tells its kind."""
    if chance.yes(0.75):
        return name
    if kind == "P":
        return f"{chance.pick(SHE + HE)} {name}"
    if kind == "O":
        return f"{name} {chance.pick(SECTORS)}"
    return f"{chance.pick(('North', 'South', 'New'))} {name}"
