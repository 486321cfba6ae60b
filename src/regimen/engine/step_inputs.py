"""The inputs of one optimiser step, made on the host: tokens, positions, and the places at which the loss is taken.

Owns the stacking of the members' rows, their split into passes, the indices of predicted tokens and their weights. On
a GPU every pass of a cohort has the same shapes, whatever the batch: full width, and room for the most predicted
tokens so far. Does not know models or what is done with a loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from regimen.data.batch import StepBatch
from regimen.engine.segments import segment_bounds

_LEAST_PLACES = 128


@dataclass(frozen=True)
class PassInputs:
    """One pass over N rows of L tokens, the members' rows one member after the other.

    `tokens`, `positions` (N, L) int64. For each of n predicted tokens, in row-major order: `places`, row x L + column
    of the token before it; `targets`, its id; `weights`, one over its member's predicted tokens in the step (fp32).
    Padding has the place N L and weight 0. `bounds` are those of the segments (see Segments), padded. `several` says
    whether any row holds more than one segment; `rows` are these rows among the step's, in blocks of `block` tokens.
    """

    tokens: Tensor
    positions: Tensor
    places: Tensor
    targets: Tensor
    weights: Tensor
    bounds: Tensor
    several: bool
    rows: slice
    block: int


@dataclass
class Room:
    """Room in every pass of a steady cohort, for predicted tokens and for segments: grows, at the first batches, and
    never shrinks."""

    places: int = 0
    segments: int = 0

    def for_places(self, count: int) -> int:
        """Room for so many: a power of two while that is little, above in steps of an eighth of the power of two."""
        if count > self.places:
            power = 1 << max(_LEAST_PLACES, count - 1).bit_length()
            step = max(_LEAST_PLACES, power // 16)
            self.places = max(self.places, math.ceil(count / step) * step)
        return self.places

    def for_segments(self, count: int) -> int:
        """Room for so many, with half as many again when it grows: a power of two."""
        if count > self.segments:
            self.segments = 1 << (count * 3 // 2 - 1).bit_length()
        return self.segments


def idle_batch(rows: int, block: int) -> StepBatch:
    """A batch for a seat whose member has left: one empty segment a row, nothing to predict."""
    shape = (rows, block)
    positions = np.tile(np.arange(block, dtype=np.int32), (rows, 1))
    return StepBatch(np.zeros(shape, np.int32), positions, np.zeros(shape, np.bool_), np.zeros(rows, np.int32))


def even(rows: int, most: int) -> int:
    """The rows of a micro-batch, at most so many: as few passes as that allows, as equal as they can be."""
    return math.ceil(rows / math.ceil(rows / most))


@dataclass(frozen=True)
class StepArrays:
    """One step's arrays before they go to the device: `rates` (K,) fp64, `live` (K,) bool, then six for each pass.

    Of each pass `several` says whether any row holds more than one segment, padding counted as one, and `rows` which
    rows of the step it takes; `block` is the length of the step's blocks.
    """

    arrays: tuple[NDArray, ...]
    several: tuple[bool, ...]
    rows: tuple[slice, ...]
    block: int

    def inputs(self, sent: Sequence[Tensor]) -> tuple[Tensor, Tensor, list[PassInputs]]:
        """Rates, live, and the passes, of the tensors that the arrays became."""
        passes = []
        for number, (several, rows) in enumerate(zip(self.several, self.rows, strict=True)):
            tokens, positions, places, targets, weights, bounds = sent[2 + 6 * number : 8 + 6 * number]
            passes.append(PassInputs(tokens, positions, places, targets, weights, bounds, several, rows, self.block))
        return sent[0], sent[1], passes


def step_arrays(
    batches: Sequence[StepBatch],
    rates: Sequence[float],
    live: Sequence[bool],
    micro: int,
    *,
    room: Room | None,
    wide: bool,
) -> StepArrays:
    """The arrays of one step in passes of `micro` rows of each member; with `room` predicted tokens are padded to it,
    and with `wide` rows have the block's full width, not that of their longest."""
    counts = np.array([max(1, batch.loss_tokens) for batch in batches], dtype=np.float32)
    arrays: list[NDArray] = [np.array(rates, dtype=np.float64), np.array(live, dtype=np.bool_)]
    several = []
    count, block = batches[0].tokens.shape
    parts = tuple(slice(start, start + micro) for start in range(0, count, micro))
    for rows in parts:
        arrays += _pass_arrays(batches, rows, np.float32(1.0) / counts, room, wide=wide)
        several.append(bool((arrays[-5][:, 1:] == 0).any()))
    return StepArrays(tuple(arrays), tuple(several), parts, block)


def _pass_arrays(
    batches: Sequence[StepBatch], rows: slice, by_member: NDArray, room: Room | None, *, wide: bool
) -> list[NDArray]:
    """The arrays of a PassInputs, in its order."""
    block = batches[0].tokens.shape[1]
    width = block if wide else max(1, int(max(batch.lengths[rows].max() for batch in batches)))
    tokens, positions, predicted = (
        np.concatenate([getattr(batch, name)[rows, :width] for batch in batches])
        for name in ("tokens", "positions", "loss")
    )
    at = np.flatnonzero(predicted)
    each = len(tokens) // len(batches) * width
    places, targets, weights = at - 1, tokens.reshape(-1)[at], by_member[at // each]
    if room is not None:
        missing = (0, room.for_places(len(places)) - len(places))
        places = np.pad(places, missing, constant_values=tokens.size)
        targets, weights = np.pad(targets, missing), np.pad(weights, missing)
    bounds = segment_bounds(positions)
    if room is not None:
        missing = (0, room.for_segments(len(bounds) - 1) + 1 - len(bounds))
        bounds = np.pad(bounds, missing, constant_values=positions.size)
    whole = [array.astype(np.int64) for array in (tokens, positions, places, targets)]
    return [*whole, weights, bounds]


def texts_in_a_row(batch: StepBatch) -> bool:
    """Whether any row holds several segments of real tokens."""
    real = np.arange(batch.positions.shape[1]) < batch.lengths[:, None]
    return bool(((batch.positions == 0) & real)[:, 1:].any())
