"""Items through the evaluator: company, order and adapters change nothing; every odd item has a defined outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from regimen.data.items import Item
from regimen.data.tokenizer import TextTokenizer
from regimen.engine.adapter_bank import AdapterBank, initial_row
from regimen.engine.base_model import BaseModel
from regimen.engine.loading import load_base
from regimen.engine.scoring import Scored, score
from regimen.evaluation import evaluator
from regimen.evaluation.adapted_model import AdaptedModel
from regimen.evaluation.evaluator import evaluate
from regimen.evaluation.prompts import encode_items
from regimen.study.schema import Adapter
from regimen.study.tasks import Generation, Task
from tests.support.studies import with_fields

WORDS = [
    "the",
    "market",
    "rose",
    "after",
    "earnings",
    "while",
    "bonds",
    "fell",
    "and",
    "gold",
    "was",
    "flat",
    "on",
    "fears",
    "of",
    "higher",
    "rates",
]
CHOICES = (" negative", " neutral", " very positive")
CLOSED = Task(title="t", group="g", source=("s",), scoring="choice", metrics=("accuracy",))
NUMBERS = Task(
    title="t", group="g", source=("s",), scoring="generation", metrics=("numeric-match", "exact-match"),
    generation=Generation(tokens=12),
)  # fmt: skip
ANSWERS = with_fields(NUMBERS, metrics=("rouge-l", "answer-bits-per-byte"))


def items_of(count: int) -> list[Item]:
    rng = np.random.default_rng(5)
    items = []
    for number in range(count):
        text = " ".join(rng.choice(WORDS, int(rng.integers(2, 40))))
        prompt = f"{text}\nQuestion: Is this good?\nAnswer:"
        items.append(Item(str(number), prompt, CHOICES[number % 3], CHOICES, number % 3))
    return items


def adapters(base: BaseModel, count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    fresh = [initial_row(base, Adapter(), seed) for seed in range(count)]
    return [row + 0.02 * torch.randn(row.shape, generator=generator) for row in fresh]


def with_adapters(base: BaseModel, tokenizer: TextTokenizer, rows: Sequence[torch.Tensor]) -> AdaptedModel:
    return AdaptedModel(base, AdapterBank(base, Adapter(), rows) if rows else None, tokenizer)


def test_company_order_and_other_adapters_change_no_log_likelihood(tiny: BaseModel, tokenizer: TextTokenizer) -> None:
    items, rows = items_of(40), adapters(tiny, 3)
    together = evaluate(with_adapters(tiny, tokenizer, rows), CLOSED, items[::-1], 256, None).results
    for member, row in enumerate(rows):
        alone = [
            evaluate(with_adapters(tiny, tokenizer, [row]), CLOSED, [item], 256, None).results[0][0] for item in items
        ]
        for one, other in zip(alone, together[member][::-1], strict=True):
            assert one.item_id == other.item_id
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
            top = sorted(one.logprobs)[-2:]
            if top[1] - top[0] > 2e-4:
                assert one.prediction == other.prediction


def test_company_and_padding_change_no_generation(tiny: BaseModel, tokenizer: TextTokenizer) -> None:
    items, rows = items_of(12), adapters(tiny, 2)
    together = evaluate(with_adapters(tiny, tokenizer, rows), NUMBERS, items[::-1], 256, None).results
    for member, row in enumerate(rows):
        for item, other in zip(items, together[member][::-1], strict=True):
            one = evaluate(with_adapters(tiny, tokenizer, [row]), NUMBERS, [item], 256, None).results[0][0]
            assert one.text == other.text


def test_examples_before_the_prompt_are_part_of_it(tiny: BaseModel, tokenizer: TextTokenizer) -> None:
    """Shots are computed once for all items; the scores are those of the whole text read anew."""
    shots = tuple(f"{item.prompt}{item.answer}\n\n" for item in items_of(5))
    items = items_of(30)
    model = with_adapters(tiny, tokenizer, adapters(tiny, 2))
    kept = evaluate(model, CLOSED, [replace(item, shots=shots) for item in items], 1024, None).results
    whole = [replace(item, prompt="".join(shots) + item.prompt) for item in items]
    for member in range(2):
        for item, found in zip(whole, kept[member], strict=True):
            anew = evaluate(model, CLOSED, [item], 1024, None).results[member][0]
            assert found.logprobs == pytest.approx(anew.logprobs, abs=1e-4)
            assert found.prompt_hash == anew.prompt_hash
            assert found.shots == 5


def test_examples_that_do_not_fit_go_before_the_prompt_is_cut(tokenizer: TextTokenizer) -> None:
    item = Item("1", "short prompt\nAnswer:", " yes", shots=tuple(f"{'word ' * 30}{n}\n\n" for n in range(5)))
    own = len(tokenizer.encode(item.prompt))
    (roomy,) = encode_items([item], tokenizer, 1000, 8, "left")
    (tight,) = encode_items([item], tokenizer, own + 60 + 8, 8, "left")
    (none,) = encode_items([item], tokenizer, own + 8, 8, "left")
    (cut,) = encode_items([item], tokenizer, own + 6, 8, "left")
    assert (roomy.shots, none.shots) == (5, 0)
    assert 0 < tight.shots < 5
    assert tokenizer.decode(tight.prompt).startswith("word")
    assert tokenizer.decode(tight.prompt).endswith("4\n\nshort prompt\nAnswer:")
    assert not tight.truncated
    assert tokenizer.decode(none.prompt) == item.prompt
    assert cut.truncated


@pytest.mark.parametrize("rule", ["left", "middle"])
def test_a_prompt_longer_than_the_context_is_cut_by_the_rule_and_flagged(
    rule: str, tiny: BaseModel, tokenizer: TextTokenizer
) -> None:
    long = Item("long", "first " + "word " * 300 + "last\nAnswer:", CHOICES[0], CHOICES, 0)
    task = with_fields(CLOSED, truncate=rule)
    short, cut = evaluate(AdaptedModel(tiny, None, tokenizer), task, [items_of(1)[0], long], 64, None).results[0]
    (encoded,) = encode_items([long], tokenizer, 64, 1, rule)  # type: ignore[arg-type]
    assert (short.truncated, cut.truncated) == (False, True)
    longest = max(len(tokenizer.encode(choice)) for choice in CHOICES)
    assert len(encoded.prompt) == 64 - longest
    text = tokenizer.decode(encoded.prompt)
    assert text.endswith("last\nAnswer:")
    assert text.startswith("first") == (rule == "middle")
    assert math.isfinite(cut.score)


def test_an_empty_prompt_is_read_as_the_start_of_a_document(tiny: BaseModel, tokenizer: TextTokenizer) -> None:
    model = AdaptedModel(tiny, None, tokenizer)
    (result,) = evaluate(model, CLOSED, [Item("1", "", CHOICES[0], CHOICES, 0)], 64, None).results[0]
    expected = score(tiny, None, [Scored([tokenizer.end], [tokenizer.encode(c) for c in CHOICES])])[0][0]
    assert result.logprobs == pytest.approx(list(expected))
    assert not result.failed
    (said,) = evaluate(model, NUMBERS, [Item("1", "", " 4")], 64, None).results[0]
    assert said.text is not None


@pytest.mark.parametrize(("bad", "why"), [("", "has no tokens"), (" word" * 100, "the context is 64")])
def test_a_choice_without_tokens_or_longer_than_the_context_is_a_failure_of_its_item_alone(
    bad: str, why: str, tiny: BaseModel, tokenizer: TextTokenizer
) -> None:
    odd = Item("odd", "What?\nAnswer:", " yes", (" yes", bad), 0)
    fine = items_of(2)
    model = AdaptedModel(tiny, None, tokenizer)
    first, failed, last = evaluate(model, CLOSED, [fine[0], odd, fine[1]], 64, None).results[0]
    assert (failed.failed, failed.prediction, failed.score) == (True, None, 0.0)
    assert why in failed.detail
    assert all(math.isnan(value) for value in failed.logprobs)
    apart = evaluate(model, CLOSED, fine, 64, None).results[0]
    assert [first.logprobs, last.logprobs] == [pytest.approx(r.logprobs, abs=1e-4) for r in apart]


def test_scoring_refuses_what_has_no_tokens() -> None:
    with pytest.raises(ValueError, match="without tokens"):
        Scored([], [[1]])
    with pytest.raises(ValueError, match="without tokens"):
        Scored([1], [[2], []])


def test_a_broken_adapter_fails_alone(tiny: BaseModel, tokenizer: TextTokenizer) -> None:
    items, (row,) = items_of(6), adapters(tiny, 1)
    broken = row.clone()
    broken[:] = math.nan
    alone = with_adapters(tiny, tokenizer, [row])
    both = with_adapters(tiny, tokenizer, [broken, row])
    for task in (CLOSED, NUMBERS, ANSWERS):
        bad, good = evaluate(both, task, items, 256, None).results
        expected = evaluate(alone, task, items, 256, None).results[0]
        assert all(result.failed and "not finite" in result.detail for result in bad), task
        assert all(result.prediction in (None, "") for result in bad)
        assert [result.prediction for result in good] == [result.prediction for result in expected]
        assert not any("not finite" in result.detail for result in good)


def test_a_model_that_never_stops_is_stopped_and_said_to_be(tiny_folder: Path, tokenizer: TextTokenizer) -> None:
    base = load_base(tiny_folder, "fp32")
    base.ends = frozenset()  # a model without an end-of-text token
    generation = Generation(tokens=12, stop=("a stop that it never says",))
    task = with_fields(NUMBERS, generation=generation)
    for cap, limit in ((None, 12), (5, 5)):
        for result in evaluate(AdaptedModel(base, None, tokenizer), task, items_of(3), 256, cap).results[0]:
            assert result.detail == "no stop within the limit of new tokens"
            assert 0 < len(tokenizer.encode(result.text or "")) <= limit
            assert math.isfinite(result.score)


def test_an_answer_that_cannot_be_read_is_counted_as_failed(tiny: BaseModel, tokenizer: TextTokenizer) -> None:
    results = evaluate(AdaptedModel(tiny, None, tokenizer), NUMBERS, items_of(8), 256, None).results[0]
    for result in results:
        has_number = any(char.isdigit() for char in result.text or "")
        assert result.failed == (not has_number)
        assert (result.prediction is None) == (not has_number)


def test_a_closed_task_may_be_answered_aloud_beside(tiny: BaseModel, tokenizer: TextTokenizer) -> None:
    said = ("said-accuracy", "missing-rate", "anchor-pixiu", "anchor-fingpt")
    aloud = with_fields(CLOSED, generation=Generation(tokens=6), metrics=("accuracy", *said))
    model = with_adapters(tiny, tokenizer, adapters(tiny, 2))
    for spoken, silent in zip(
        evaluate(model, aloud, items_of(6), 256, None).results,
        evaluate(model, CLOSED, items_of(6), 256, None).results,
        strict=True,
    ):
        for one, other in zip(spoken, silent, strict=True):
            assert (one.prediction, one.score, one.logprobs) == (other.prediction, other.score, other.logprobs)
            assert one.text is not None
            assert set(one.values) == set(said)
            assert one.values["said-accuracy"] + one.values["missing-rate"] <= 1


def test_an_answer_that_the_context_cuts_counts_the_bytes_that_were_read(
    tiny: BaseModel, tokenizer: TextTokenizer
) -> None:
    item = Item("1", "Q\nAnswer:", " gold" * 400)
    (result,) = evaluate(AdaptedModel(tiny, None, tokenizer), ANSWERS, [item], 64, None).results[0]
    assert result.tokens == 63
    assert result.bytes == len(tokenizer.decode(tokenizer.encode(item.answer)[:63]))
    assert result.values["answer-bits-per-byte"] == pytest.approx(result.nats / math.log(2) / result.bytes)


def test_without_a_sandbox_programs_are_skipped_with_a_reason(
    tiny: BaseModel, tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "why_not", lambda: "no namespaces here")
    task = with_fields(NUMBERS, scoring="execution", metrics=("pass@1",), generation=Generation(tokens=12, stop=()))
    found = evaluate(AdaptedModel(tiny, None, tokenizer), task, items_of(1), 256, None)
    assert found.results == []
    assert found.skipped is not None
    assert "no namespaces here" in found.skipped


def test_the_headline_alone_decides_what_a_row_says_and_no_order_beside_it_does(
    tiny: BaseModel, tokenizer: TextTokenizer
) -> None:
    beside = ("bleu", "entity-f1", "exact-match", "rouge-l")
    rows = []
    for others in (beside, beside[::-1]):
        task = with_fields(NUMBERS, metrics=("numeric-match", *others))
        items = [replace(item, answer=" Ada is a person.") for item in items_of(4)]
        rows.append(evaluate(AdaptedModel(tiny, None, tokenizer), task, items, 256, None).results[0])
    for one, other in zip(*rows, strict=True):
        assert (one.prediction, one.target, one.failed, one.score) == (
            other.prediction, other.target, other.failed, other.score,
        )  # fmt: skip
        assert (one.bleu_counts, one.entity_counts) == (other.bleu_counts, other.entity_counts)
        assert len(one.bleu_counts) == 14
        assert len(one.entity_counts) == 3
