"""Readers know of no other reader: no order of a task's metrics changes what is noted."""

from __future__ import annotations

from itertools import permutations

import pytest

from regimen.evaluation.readers import Answer, counts_of, read

SAID = "Paris is a location, about 12"
RIGHT = "Paris is a location, Ada is a person."
NAMES = ("bleu", "entity-f1", "numeric-match", "rouge-l", "answer-bits-per-byte")


@pytest.mark.parametrize("names", list(permutations(NAMES))[::7])
def test_any_order_of_metrics_reads_the_same(names: tuple[str, ...]) -> None:
    answer = Answer(SAID, (RIGHT,), nats=8.0, bytes=4)
    alone = {name: read([name], answer)[name] for name in NAMES}
    together = read(names, answer)
    assert {name: repr(reading) for name, reading in together.items()} == {n: repr(r) for n, r in alone.items()}
    assert set(counts_of(together)) == {"bleu_counts", "entity_counts"}
    assert counts_of(together)["entity_counts"] == [1, 1, 2]
    assert len(counts_of(together)["bleu_counts"]) == 14


def test_an_entity_metric_needs_no_other_beside_it() -> None:
    answer = Answer(SAID, (RIGHT,))
    assert read(["entity-precision"], answer)["entity-precision"].value == 1.0
    assert read(["entity-recall"], answer)["entity-recall"].value == 0.5
    assert counts_of(read(["entity-recall"], answer)) == {"entity_counts": [1, 1, 2]}
