"""Examples kept on disk between tokenising and packing: packing wants them in random order, memory is bounded.

Owns one scratch file of token ids and where each example lies in it. Does not know rows or blocks.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from regimen.data.blocks import Example

_BUFFERED = 1 << 20  # token ids


class Spool:
    """A growing list of examples; use as a context manager, the file is deleted at its end."""

    def __init__(self, path: Path):
        self._path = path
        self._file: BinaryIO = path.open("wb")
        self._reader = os.open(path, os.O_RDONLY)
        self._pending = array("i")
        self._middles = array("q")  # where each example's answer begins
        self.ends = array("q")

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: object, trace: TracebackType | None) -> None:
        self._file.close()
        os.close(self._reader)
        self._path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self.ends)

    def add(self, example: Example) -> None:
        """Appends an example."""
        start = self.ends[-1] if self.ends else 0
        self._pending.extend(example.prompt)
        if example.loss is None:
            self._pending.extend(example.answer)
        else:  # an id without loss is kept as its complement, a negative number
            self._pending.extend(n if loss else ~n for n, loss in zip(example.answer, example.loss, strict=True))
        self._middles.append(start + len(example.prompt))
        self.ends.append(start + len(example))
        if len(self._pending) >= _BUFFERED:
            self._flush()

    def _flush(self) -> None:
        self._pending.tofile(self._file)
        self._pending = array("i")

    def chosen(self, numbers: NDArray[np.int64]) -> Chosen:
        """The examples of these numbers, read when they are asked for."""
        self._flush()
        self._file.flush()
        return Chosen(self, numbers)

    def example(self, number: int) -> Example:
        """One example. Read, not mapped: pages of a mapped file would count as this process's memory."""
        start = self.ends[number - 1] if number else 0
        middle, end = self._middles[number] - start, self.ends[number] - start
        ids = np.frombuffer(os.pread(self._reader, 4 * end, 4 * start), np.int32)
        prompt, answer = ids[:middle], ids[middle:]
        loss = answer >= 0
        if loss.all():
            return Example(prompt, answer)  # type: ignore[arg-type]
        return Example(prompt, np.where(loss, answer, ~answer), loss)  # type: ignore[arg-type]


class Chosen(Sequence[Example]):
    """Some of a spool's examples, in a given order; each is read anew whenever it is asked for."""

    def __init__(self, spool: Spool, numbers: NDArray[np.int64]):
        self._spool = spool
        self._numbers: list[int] = numbers.tolist()

    def lengths(self) -> list[int]:
        """The number of ids in each, without reading any."""
        ends = self._spool.ends
        return [ends[number] - (ends[number - 1] if number else 0) for number in self._numbers]

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._spool.example(self._numbers[index])
