"""The scores of all end points on one task, item by item aligned and summed within clusters.

Owns the check that end points were scored on the same items, and the refusal where they were not. Does not know
resampling, tests or contrasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regimen.analysis.statistics.metric_sums import Array, Sums
from regimen.errors import DataError
from regimen.results.metrics import Columns
from regimen.study import EndPoint

_IDENTITY = ("item_id", "cluster", "target")


def read_rows(path: Path, metric: str, more: Sequence[str] = ()) -> Columns:
    """The columns of an items.parquet that aligning and `metric` need, and `more`.

    Raises DataError if they cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = list(dict.fromkeys((*_IDENTITY, *Sums(metric).columns, *more)))
    try:
        with pq.ParquetFile(path) as file:  # half the processor time of read_table on small files
            columns = file.read(columns=wanted, use_threads=False).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: its item rows cannot be read ({error}); evaluate that task again") from error
    if lacking := [name for name in wanted if name not in columns]:
        raise DataError(f"{path}: its item rows lack {', '.join(lacking)}; evaluate that task again")
    return columns


@dataclass(frozen=True)
class TaskScores:
    """The scores of `names` on one task: `sums` (clusters, end points, d) for the metric, over `items` items.

    A cluster is what is resampled and swapped whole: the items of one dialogue, context or near-duplicate group.
    """

    task: str
    metric: str
    names: tuple[str, ...]
    sums: Array
    items: int

    @classmethod
    def from_rows(cls, task: str, metric: str, rows: Mapping[str, Columns]) -> TaskScores:
        """Aligns the item rows of end points (name -> columns of items.parquet), in whatever order they stand.

        Nothing is left out: a missing prediction of a closed task is wrong, as in `results.metrics`. Raises DataError
        where end points differ in items, clusters or targets, or where an item holds no value for the metric.
        """
        if not rows:
            raise DataError(f"task {task}: no end point has scores to compare")
        form = Sums(metric)
        labels = form.labels(rows.values())
        first = next(iter(rows))
        reference, clusters = _Items.of(task, first, rows[first]), None
        stacked = []
        for name, columns in rows.items():
            items = _Items.of(task, name, columns)
            items.check_same(task, name, reference, first)
            sums = form.of(columns, labels)[items.order]
            if (bad := form.unscored(sums)).any():
                where = items.ids[int(np.argmax(bad))]
                raise DataError(
                    f"task {task}: {int(bad.sum())} of {len(bad)} items of {name} hold no value for {metric} (first: "
                    f"{where}), and leaving them out would bend the comparison; evaluate {name} on {task} again"
                )
            if clusters is None:
                _, clusters = np.unique(np.array(items.clusters, dtype=object), return_inverse=True)
            stacked.append(_summed(sums, clusters))
        scores = cls(task, metric, tuple(rows), np.stack(stacked, axis=1), len(reference.ids))
        if not (finite := np.isfinite(scores.points)).all():
            name = scores.names[int(np.argmin(finite))]
            raise DataError(f"task {task}: {metric} of {name} is not a finite number; evaluate more or other items")
        return scores

    @cached_property
    def form(self) -> Sums:
        """The function that turns sums into the metric."""
        return Sums(self.metric)

    @property
    def clusters(self) -> int:
        """The number of clusters."""
        return self.sums.shape[0]

    @property
    def sign(self) -> int:
        """+1 where more is better, -1 where less is."""
        return self.form.sign

    @cached_property
    def is_binary(self) -> bool:
        """True if every item is a cluster of its own and scored 0 or 1."""
        each = self.clusters == self.items and self.form.is_mean
        return each and bool(np.isin(self.sums[..., 1], (0.0, 1.0)).all())

    @cached_property
    def points(self) -> Array:
        """The metric of every end point, (end points,)."""
        return self.form.value(self.sums.sum(axis=0))

    def other_bytes(self, end: EndPoint | str, other: EndPoint | str) -> str | None:
        """Why two end points' bits a byte are not of the same bytes, or None; their tokenizers cut long texts apart."""
        if self.form.columns[-1] != "bytes":
            return None
        ours, theirs = (self.sums[:, self.place(name), 1] for name in (end, other))
        if np.array_equal(ours, theirs):
            return None
        return (
            f"texts of {self.task} are longer than the context, and two tokenizers cut them at different places "
            f"({int(ours.sum()):,} and {int(theirs.sum()):,} bytes were scored); raise `evaluation.context`, or test "
            "on shorter texts"
        )

    def place(self, end: EndPoint | str) -> int:
        """The index of an end point, or of its text form; raises DataError if it has no scores here."""
        name = str(end)
        if name not in self.names:
            raise DataError(f"{name} has no scores on task {self.task}; evaluate it there before comparing")
        return self.names.index(name)


@dataclass(frozen=True)
class _Items:
    """The items of one end point's rows, sorted by id; `order` sorts the rows likewise."""

    ids: list[str]
    clusters: list[str]
    targets: list[str]
    order: NDArray[np.int64]

    @classmethod
    def of(cls, task: str, name: str, columns: Columns) -> _Items:
        ids = [str(value) for value in columns["item_id"]]
        if not ids:
            raise DataError(f"task {task}: {name} has no items; evaluate it on at least one")
        order = sorted(range(len(ids)), key=ids.__getitem__)
        sorted_ids = [ids[index] for index in order]
        twice = next((a for a, b in pairwise(sorted_ids) if a == b), None)
        if twice is not None:
            raise DataError(f"task {task}: {name} has item {twice} more than once; an item counts once")
        clusters = [str(columns["cluster"][index] or ids[index]) for index in order]
        targets = [str(columns["target"][index]) for index in order] if "target" in columns else [""] * len(ids)
        return cls(sorted_ids, clusters, targets, np.array(order, dtype=np.int64))

    def check_same(self, task: str, name: str, other: _Items, other_name: str) -> None:
        if self.ids != other.ids:
            ours, theirs = set(self.ids), set(other.ids)
            lacking, having = (name, other_name) if theirs - ours else (other_name, name)
            example = min(theirs - ours or ours - theirs)
            raise DataError(
                f"task {task}: {name} has {len(ours)} items and {other_name} {len(theirs)}; {lacking} lacks {example}, "
                f"which {having} has: evaluate both on the same items"
            )
        for what in ("clusters", "targets"):
            pairs = zip(self.ids, getattr(self, what), getattr(other, what), strict=True)
            wrong = next((ident for ident, mine, others in pairs if mine != others), None)
            if wrong is not None:
                raise DataError(
                    f"task {task}: the {what} of {name} and {other_name} differ (first at item {wrong}), so they were "
                    "not asked the same; evaluate both with the same study"
                )


def _summed(sums: Array, clusters: NDArray[np.intp]) -> Array:
    """Sums within clusters, (clusters, d)."""
    out = np.zeros((int(clusters.max()) + 1, sums.shape[1]))
    np.add.at(out, clusters, sums)
    return out
