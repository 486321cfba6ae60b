"""The rows of a batch that decodes: which prompt each is busy with, what it has made, when it leaves.

Owns the endings of rows and the rule by which finished rows leave. Rows are ordered by adapter, then prompt; as the
groups of the adapters must stay equal, an adapter that is ahead of the others keeps some finished rows. Does not know
models or caches.
"""

from __future__ import annotations

from collections.abc import Sequence

from regimen.engine.continuations import Continuation, Stops

NOT_FINITE = -2  # stands for a token


class RowsUnderWay:
    """K groups of rows; `live[k]` says which prompt each row of adapter k is busy with."""

    def __init__(self, results: Sequence[list[Continuation]], ends: frozenset[int], stops: Stops):
        """`results[p][k]` collects what adapter k makes of prompt p."""
        self._results, self._ends, self._stops = results, ends, stops
        self.live = [list(range(len(results))) for _ in results[0]]
        self._done = [[False] * len(by_member) for by_member in results]

    @property
    def width(self) -> int:
        """Rows of each adapter."""
        return len(self.live[0])

    @property
    def widest(self) -> int:
        """The most rows of an adapter that have not ended."""
        return max(sum(not self._done[p][k] for p in live) for k, live in enumerate(self.live))

    def take(self, chosen: Sequence[Sequence[int]], live: Sequence[Sequence[int]] | None = None) -> None:
        """Notes each row's new token, and whether it ends the row; `live` where the rows have moved since."""
        for member, (row, prompts) in enumerate(zip(chosen, live or self.live, strict=True)):
            for token, prompt in zip(row, prompts, strict=False):
                if self._done[prompt][member]:
                    continue
                out = self._results[prompt][member]
                if token == NOT_FINITE or token in self._ends:
                    out.ending = "not finite" if token == NOT_FINITE else "end"
                    self._done[prompt][member] = True
                    continue
                out.ids.append(token)
                if self._stops(out.ids):
                    out.ending = "stop"
                    self._done[prompt][member] = True

    def shrink(self, width: int) -> list[list[int]]:
        """Drops finished rows until each adapter has `width`; returns by adapter the places of those that stay."""
        places = []
        for member, live in enumerate(self.live):
            busy = [place for place, prompt in enumerate(live) if not self._done[prompt][member]]
            idle = [place for place, prompt in enumerate(live) if self._done[prompt][member]]
            places.append([*busy, *idle[: width - len(busy)]])
        self.live = [[live[place] for place in kept] for live, kept in zip(self.live, places, strict=True)]
        return places
