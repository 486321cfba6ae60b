"""Legs -> train stages: the pieces of their constant parts, which lengths share, and their cooldowns.

Owns where a trunk is cut so that shorter lengths branch off. Every leg of the study is added before the first is cut,
so that every track cuts alike. Does not know experiments, sources or evaluations.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from regimen.plan.choices import ChooseSpec
from regimen.plan.stages import LegSpec, TrainSpec


@dataclass(frozen=True)
class CompiledLeg:
    """A leg: its spec, the step its constant part ends at, its length.

    Where a choice hands on a state, `given` is that choice and `first` the step of the state.
    """

    spec: LegSpec
    stable: int
    horizon: int
    first: int = 0
    given: str | None = None

    @property
    def key(self) -> str:
        """Equal for legs that share a trunk."""
        return self.spec.canonical

    def cooldown(self, label: str, parent: str | None) -> TrainSpec:
        """The stage that ends it."""
        return TrainSpec(
            label=label, leg=self.spec, part="cooldown", first_step=self.stable, last_step=self.horizon, parent=parent
        )

    @property
    def end(self) -> str:
        """The fingerprint of the stage that ends it."""
        return self.cooldown("", None).fingerprint

    @property
    def trunk_end(self) -> str | None:
        """The fingerprint of the stage at whose end the cooldown begins; None where that is the leg's start."""
        if not self.stable:
            return None
        spec = self.spec
        return TrainSpec(label="", leg=spec, part="trunk", first_step=0, last_step=self.stable, parent=None).fingerprint


class Pieces:
    """Cuts legs into stages. While `keeping`, what is cut becomes part of the plan; else it is only named."""

    def __init__(self) -> None:
        self.keeping = True
        self.kept: dict[str, TrainSpec | ChooseSpec] = {}
        self._forks: dict[str, set[int]] = {}
        self._cut_at: dict[str, list[int]] = {}
        self._named: dict[str, TrainSpec] = {}
        self._trunks: dict[str, list[TrainSpec]] = {}
        self._kept_pieces: dict[str, int] = {}

    def add(self, leg: CompiledLeg) -> None:
        """Makes a leg known."""
        self._forks.setdefault(leg.key, set()).add(leg.stable)
        self._cut_at.pop(leg.key, None)

    def of(self, name: str, leg: CompiledLeg) -> list[TrainSpec]:
        """The trunk's pieces and the cooldown of one leg, each called after the first `name` that needs it."""
        pieces = self._trunk(f"{name}-trunk", leg)
        parent = pieces[-1].fingerprint if pieces else leg.given
        return [*pieces, self._keep(leg.cooldown(f"{name}-cooldown", parent))]

    def keep_choice(self, choice: ChooseSpec) -> None:
        """Makes a choice part of the plan, after the trainings that it compares."""
        if self.keeping:
            self.kept.setdefault(choice.fingerprint, choice)

    def _trunk(self, label: str, leg: CompiledLeg) -> list[TrainSpec]:
        """The trunk's pieces up to this leg's fork; those that an experiment before it made are only looked up, so that
        a ladder of thousands of lengths is planned in seconds."""
        pieces = self._trunks.setdefault(leg.key, [])
        cuts = self._cuts(leg)
        for cut in cuts[len(pieces) :]:
            before = pieces[-1] if pieces else None
            spec = TrainSpec(
                label=label,
                leg=leg.spec,
                part="trunk",
                first_step=before.last_step if before else leg.first,
                last_step=cut,
                parent=before.fingerprint if before else leg.given,
            )
            pieces.append(self._named.setdefault(spec.fingerprint, spec))
        if self.keeping:
            kept = self._kept_pieces.get(leg.key, 0)
            for spec in pieces[kept : len(cuts)]:
                self._keep(spec)
            self._kept_pieces[leg.key] = max(kept, len(cuts))
        return pieces[: len(cuts)]

    def _cuts(self, leg: CompiledLeg) -> Sequence[int]:
        """The ends of the trunk's pieces up to this leg's fork."""
        if leg.key not in self._cut_at:
            self._cut_at[leg.key] = sorted(step for step in self._forks[leg.key] if step > leg.first)
        ends = self._cut_at[leg.key]
        return ends[: bisect_right(ends, leg.stable)]

    def _keep(self, spec: TrainSpec) -> TrainSpec:
        named = self._named.setdefault(spec.fingerprint, spec)
        if self.keeping:
            self.kept.setdefault(spec.fingerprint, named)
        return named
