"""Small stories in plain words.

Owns the narrative sentences that web text uses too, and bookcorpus/bookcorpus: one lower-case sentence a row, in
running order, with blanks around marks. A story keeps its people and its thing from the first sentence to the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from regimen.data.miniature import market, reviews
from regimen.data.miniature.chance import Chance
from regimen.data.miniature.table import Row
from regimen.data.miniature.writing import someone, write

_HEAD = re.compile(r"[a-zA-Z]")

_START = (
    "{who} {surname} was a {job} in {place} and lived near the {spot} with {their} {relative}",
    "on a {day} in {month} {who} [went|walked|came] to the {spot} of {town} to [buy|sell] {number} {thing}",
    "it was the [second|third|fourth] day of {weather} in {town} when {who} found a {colour} {animal} in the {room}",
    "{who} had always wanted {object}, but {they} was a {job} and had only {number} dollars",
    "[there was once|once there was] a {job} called {who} who kept {number} {animals} in the {room}",
    "{other} called {who} on {day} and said that the {spot} in {town} had burned",
)  # fmt: skip

_MIDDLE = (
    "{they} [looked|searched] for {other} in the {room}, but only the {colour} {animal} was there",
    '"where is {other}?" {they} asked the {job}, and the {job} [looked at|pointed to] the {spot}',
    "{other} did not want to wait, so {they} went [alone|without {other}] through the {weather}",
    "the {job} [gave|sold] {them} some {food} and {number} {thing} for {number2} dollars",
    "{they} [counted|put] the {thing} on the table and there were {number} of them",
    '"i am not [angry|afraid|tired]," said {other}, although {who} could see that it was not so',
    "in the {room} it was [cold|warm|dark|quiet], and the {weather} had [stopped|begun]",
    "{who} and {other} ate {food} with {food2} and talked about {town}",
    "the {animal} [slept|waited|played] under the table while {who} wrote to {their} {relative}",
    "{they} had [lost|sold|forgotten] the {thing}, and {their} {relative} was not [happy|glad] about it",
    "{other} thought that the {job} was [right|wrong], but {who} did not [think so|believe it]",
    "they [walked|drove] from the {spot} to the {spot2}, and {who} [laughed|sang] all the way",
    '"[how much is the {colour} {thing_one}|what does the {colour} {thing_one} cost]?" asked {who}, and the {job} said {number} dollars',
    "nobody in {town} had ever seen so [many|few] {animals} at the {spot}",
    "{they} read the letter [twice|again] : {firm} would not [give|lend] {them} the money",
    "the {relative} of {other} worked for {firm} and knew the {role} there",
    "because of the {weather} the road to {town} was closed and {they} had to [stay|wait] {number} days",
    "{they} [opened|closed] the door of the {room} and saw {number} {colour} {thing}",
    "{disliked}, so {who} [left|went home] before the end",
    "{liked}, so {who} [stayed|clapped] until the end",
    "{other} told {them} that {liked}, and {who} [wanted|went] to see it",
    "{other} told {them} that {disliked}, and {who} did not want to see it",
    "{who} read that {gain}, and it was good news for {their} {relative}, who had shares of the company",
    "{who} read that {fall}, and it was bad news for {their} {relative}, who had shares of the company",
    "{gain}, so the [people|workers] there were [glad|happy]",
    "{fall}, so the [people|workers] there were [sad|afraid]",
    "{other} had {number} {thing} and gave some of them to {who}",
    "if the {weather} [stops|ends], {other} said, {they} could go to {town} on {day}",
)  # fmt: skip

_END = (
    "in the end {who} [kept|sold] the {thing} and [bought|got] {object}",
    "{they} never went back to {town}, but {they} often thought of {other}",
    "from that day on {who} and {other} were friends, and the {animal} lived in the {room}",
    "{other} [smiled|laughed], took the {food} and went home to {place}",
    "and so the {job} from {town} became {role} of {firm}",
    "when {month} came, {who} was [happy|rich|tired] and {other} was not",
)  # fmt: skip


def tell(chance: Chance, middle: int) -> Iterator[str]:
    """The sentences of a story in lower case without their full stop: a start, `middle` sentences, an end."""
    cast = someone(chance)
    other = someone(chance, cast["who"])["who"]
    fixed = write(chance, "{animal}/{town}/{colour}/{thing}/{job}/{surname}").split("/")
    plot = dict(zip(("animal", "town", "colour", "thing", "job", "surname"), fixed, strict=True)) | cast
    for template in (chance.pick(_START), *chance.sample(_MIDDLE, middle), chance.pick(_END)):
        yield write(chance, template, other=other, thing_one=plot["thing"].removesuffix("s"), **_said(chance), **plot)


def _said(chance: Chance) -> dict[str, str]:
    """What is said of a film and of a company, for and against."""
    firm = write(chance, "{firm}")
    film = write(chance, "the {film}")
    plain = chance.yes(0.4)
    return {
        "liked": f"{film} was {reviews.qualities(chance, 1)}" if plain else reviews.clause(chance, 1),
        "disliked": f"{film} was {reviews.qualities(chance, -1)}" if plain else reviews.clause(chance, -1),
        "gain": market.clause(chance, 1, firm, now=False),
        "fall": market.clause(chance, -1, firm, now=False),
    }


def told(chance: Chance, middle: int) -> str:
    """A story as running text, with capitals at the head of its sentences."""
    return " ".join(_HEAD.sub(_upper, line.replace(" :", ":"), count=1) + "." for line in tell(chance, middle))


def _upper(head: re.Match[str]) -> str:
    return head.group().upper()


def chapter(chance: Chance) -> list[Row]:
    """The rows of one story of BookCorpus: text."""
    return [{"text": reviews.parted(line) + " ."} for line in tell(chance, chance.between(8, 14))]
