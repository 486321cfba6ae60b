"""Encyclopedia articles about people, companies, towns and films that never were.

Owns Salesforce/wikitext: one line a row with its line break, blank rows, headings " = Title = " and
" = = Section = = ", blanks around marks. Section headings carry the title, so that a heading is found once.
"""

from __future__ import annotations

from collections.abc import Callable

from regimen.data.miniature import reviews
from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row
from regimen.data.miniature.words import SECTORS
from regimen.data.miniature.writing import capital, someone, write

Sections = list[tuple[str, tuple[str, ...]]]


def draw(chance: Chance) -> list[Row]:
    """The rows of one article: text."""
    title, sections = chance.pick(KINDS)(chance)
    lines = ["", f" = {title} = \n", ""]
    for heading, paragraphs in sections:
        if heading:
            lines += ["", f" = = {heading} = = \n", ""]
        lines += [f" {_spaced(paragraph)} \n" for paragraph in paragraphs]
    return [{"text": line} for line in lines]


def lines_of(row: Row) -> list[str]:
    """The text of a line, none where it is blank."""
    return [row["text"]] if row["text"].strip() else []


def _spaced(paragraph: str) -> str:
    marked = paragraph
    for mark in (".", ",", ";", ":"):
        marked = marked.replace(f"{mark} ", f" {mark} ")
    return f"{marked.removesuffix('.')} ."


def _told(chance: Chance, templates: tuple[str, ...], count: int, **given: object) -> str:
    return " ".join(capital(write(chance, template, **given)) + "." for template in chance.sample(templates, count))


_LIFE = (
    "{they} was born in {town} in {born}, where {their} father was a {job}",
    "at the age of {number} {they} moved to {place} with {their} {relative}",
    "{they} learned to be a {job} and worked {number} years for {firm}",
    "in {later} {they} became {role} of {firm}, a maker of {goods}",
    "{they} left {firm} in {month} {last} and returned to {town}",
    "{their} house in {place} is now a museum of {goods}",
    "{they} wrote {number} books about {animals}, none of which sold well",
    "{they} lost an election in {place} by {2-9}% and never stood for office again",
    "a {spot} in {town} bears {their} name since {last}",
)  # fmt: skip


def _person(chance: Chance) -> tuple[str, Sections]:
    cast = someone(chance)
    surname = write(chance, "{surname}")
    name = f"{cast['who']} {surname}"
    born = chance.between(1810, 1950)
    given = cast | {
        "name": name, "born": born, "later": born + chance.between(25, 40), "last": born + chance.between(45, 60), "town": write(chance, "{town2}", town=surname),
    }  # fmt: skip
    head = write(chance, "{name} ( born {born} ) [was|is known as] a {job} and [later ]{role} from {place}", **given) + "."
    return name, [
        ("", (head, _told(chance, _LIFE, 2, **given))),
        (f"Life of {name}", (_told(chance, _LIFE, 3, **given),)),
        (f"Later years of {name}", (_told(chance, _LIFE, 3, **given),)),
    ]


_TRADE = (
    "the company makes {goods} and {goods2} at {number} plants in {place}",
    "in {year} it bought {firm2} for ${2-90} million and became the largest maker of {goods} in {place}",
    "its {metric} rose by {2-30}% in {year} and fell by {2-30}% in the year after",
    "{person} has been {role} since {year}",
    "a judge in {place} fined it ${2-90} million over {goods} in {year}",
    "its shares have been traded in {place} since the IPO in {year}, when they cost ${2-90}",
    "it pays a dividend of {2-90} cents a share and has debt of ${2-90} million",
    "in {month} {year} it closed its plant in {place} because of {risk}",
    "{bank} [owns|sold] {2-90}% of the company, the {surname2} family the rest",
)  # fmt: skip


def _company(chance: Chance) -> tuple[str, Sections]:
    firm = write(chance, "{firm}")
    name = f"{firm} {chance.pick(SECTORS)} of {write(chance, '{place}')}"
    given = {"firm": firm, "name": name}
    head = write(chance, "{name} is [a company|an organization] [started|founded] by {person} in {year} that sells {goods}", **given) + "."
    return name, [
        ("", (head, _told(chance, _TRADE, 2, **given))),
        (f"History of {name}", (_told(chance, _TRADE, 3, **given),)),
        (f"{chance.pick(('Trade', 'Business'))} of {name}", (_told(chance, _TRADE, 3, **given),)),
    ]


_PLACE = (
    "the {spot} was built in {year} from {colour} stone",
    "most people work for {firm}, which makes {goods} there",
    "in {month} there is {weather} on {number} days of the month, in {month2} hardly any",
    "the town is known for its {food}, its {animals} and its {spot}",
    "a road leads to {town2}, {2-90} kilometres to the [north|south|east|west]",
    "{2-90} thousand people lived there in {year}, fewer than now",
    "{person}, a {job}, was born there in {year}",
    "{metal} was found near the {spot} in {year}, but the mine was soon closed",
    "{bank} has its head office near the {spot}",
)  # fmt: skip


def _town(chance: Chance) -> tuple[str, Sections]:
    town = write(chance, "{town}")
    place = write(chance, "{place}")
    name = f"{write(chance, '[North|South|East|West|New|Old]')} {town} , {place}"
    given = {"town": town, "name": name, "place": place}
    head = write(chance, "{town} is a [town|place|location] of {2-90} thousand people [near {town2}|in the [north|south|east|west] of {place}]", **given) + "."
    return name, [
        ("", (head, _told(chance, _PLACE, 2, **given))),
        (f"History of {name}", (_told(chance, _PLACE, 3, **given),)),
        (f"People of {name}", (_told(chance, _PLACE, 2, **given),)),
    ]


_FILM = (
    "it tells of a {job} from {place} who finds a {colour} {animal} in the {room}",
    "{person} plays the {job}, {person2} the {relative}",
    "it was filmed in {town} in {month} {year} and cost ${2-90} million",
    "the music is by {person}, the script by {person2}",
    "in the end the {animal} is sold and the {job} goes back to {place}",
    "it ran for {number} weeks in {place} and earned ${2-90} million",
    "a sequel was planned in {year} but never made",
)  # fmt: skip


def _film(chance: Chance) -> tuple[str, Sections]:
    colour, animal, town, job, relative = write(chance, "{colour}/{animal}/{town}/{job}/{relative}").split("/")
    given = {"colour": colour, "animal": animal, "town": town, "job": job, "relative": relative}
    name = f"The {capital(colour)} {capital(animal)} of {town}"
    sign = chance.sign()
    views = " ".join(
        capital(write(chance, "{person} wrote that ")) + reviews.opinion(chance, sign) + "." for _ in range(2)
    )
    fate = "many people saw it and it was called a success" if sign > 0 else "few people saw it and it was called a failure"
    head = write(chance, "{name} is a [drama|comedy|thriller] from {year} about a {job} and a {animal}", name=name, **given) + "."
    return name, [
        ("", (head, _told(chance, _FILM, 2, **given))),
        (f"Plot of {name}", (_told(chance, _FILM, 2, **given),)),
        (f"What critics said about {name}", (f"{views} {capital(fate)}.",)),
    ]


KINDS: tuple[Callable[[Chance], tuple[str, Sections]], ...] = (_person, _company, _town, _film)
