"""The seats of a cohort: which row of the bank each member has, for how long.

Owns the members' values and who sits where. In a steady cohort members keep their seats, the seats of those that left
stay empty, and the cohort moves to fewer seats only when at most half are taken: so shapes hardly ever change. In any
other a cohort has as many seats as members that run. Does not know tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regimen.data.batch import BatchStream
from regimen.engine.states import MemberState
from regimen.study.schema import Schedule


@dataclass
class Member:
    """One run of a cohort: its data, its learning rate, the steps it has to go, the state it begins with.

    `schedule` is its own (None: the cohort's) and decides its rates; what it says of updates must be the cohort's.
    `seed` decides what its dropout leaves out.

    `step` is the next step of its leg, `last` one past its last; `stable` is where its cooldown begins (None: it is a
    piece of trunk); a cooldown ends with its leg. `seat` is (which, of how many) in a steady cohort under way.
    """

    name: str
    stream: BatchStream
    step: int
    last: int
    peak: float
    stable: int | None
    state: MemberState
    failure: str | None = None
    schedule: Schedule | None = None
    seed: int = 0
    seat: tuple[int, int] | None = None

    @property
    def runs(self) -> bool:
        """Whether it has steps to go and has not failed."""
        return self.step < self.last and self.failure is None


def seated(members: Sequence[Member], *, steady: bool) -> list[Member | None]:
    """The seats of the members that run, None where one is empty; a resumed steady cohort sits as it sat before.

    Seats noted before count if they fit together and more than half are taken, as always in a steady cohort: halves of
    a cohort that did not fit into memory sit anew.
    """
    running = [member for member in members if member.runs]
    noted = [member.seat for member in running if member.seat is not None]
    total = noted[0][1] if noted else 0
    fits = len({which for which, of in noted if of == total}) == len(running)
    seats: list[Member | None] = [*running]
    if steady and fits and len(running) > total // 2:
        seats = [None] * total
        for member, (which, _) in zip(running, noted, strict=True):
            seats[which] = member
    for which, member in enumerate(seats):
        if member is not None:
            member.seat = (which, len(seats)) if steady else None
    return seats


def moves(seats: Sequence[Member | None], *, steady: bool) -> bool:
    """Whether the members that run should move to fewer seats."""
    taken = sum(member is not None and member.runs for member in seats)
    return taken < len(seats) and (not steady or taken <= len(seats) // 2)


def empty(seats: Sequence[Member | None]) -> list[Member | None]:
    """The same seats, those of members that do not run any more empty."""
    return [member if member is not None and member.runs else None for member in seats]
