"""Tokens at the ends of texts: as lm-evaluation-harness has them, with and without a begin-of-text token."""

from __future__ import annotations

import importlib.util
import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from regimen.data.items import Item
from regimen.data.tokenizer import TextTokenizer
from regimen.engine.generation import generate
from regimen.engine.loading import load_base
from regimen.engine.scoring import Scored, score
from regimen.evaluation.adapted_model import AdaptedModel
from regimen.evaluation.lm_eval_bridge import _ENGINES
from regimen.evaluation.prompts import encode_items
from tests.support.harness import harness_model
from tests.support.tokenizers import begin_texts_with, save_prefixing_tokenizer

PACKAGED = Path(str(resources.files("regimen") / "assets" / "tiny-qwen2"))
NEEDS_HARNESS = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="the extra lm-eval is not installed"
)
BOUND = 1e-3
CONTEXTS = ("Is the crate here?\nAnswer:", "a plum and a fig \n", "", "yes")
CHOICES = (" yes", " no", " apple pear")


def base_folder(kind: str, folder: Path) -> Path:
    if kind == "prefixing":
        save_prefixing_tokenizer(folder)
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=420, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, initializer_range=0.4,
        )  # fmt: skip
        LlamaForCausalLM(config).save_pretrained(folder)
        return folder
    shutil.copytree(PACKAGED, folder, dirs_exist_ok=True)
    return begin_texts_with(folder, "<|im_start|>") if kind == "begins" else folder


@pytest.fixture(scope="module", params=["plain", "begins", "prefixing"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_folder(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.filterwarnings("ignore")  # lm-eval's own
@NEEDS_HARNESS
def test_the_harness_s_requests_are_answered_as_the_harness_answers(folder: Path) -> None:
    from lm_eval.api.instance import Instance

    rival = harness_model(folder, batch=4)
    model = AdaptedModel(load_base(folder, "fp32"), None, TextTokenizer(folder))
    asked = [(context, choice) for context in CONTEXTS for choice in CHOICES]
    requests = [Instance("loglikelihood", {}, pair, 0) for pair in asked]
    theirs = [value for value, _ in rival.loglikelihood(requests, disable_tqdm=True)]
    ours = [answer[0][0] for answer in _ENGINES["loglikelihood"](model, asked, 256)]
    assert ours == pytest.approx(theirs, abs=BOUND)

    texts = [("the crate and the fig are here: yes",), ("no",)]
    rolling = [Instance("loglikelihood_rolling", {}, text, 0) for text in texts]
    theirs = rival.loglikelihood_rolling(rolling, disable_tqdm=True)
    ours = [answer[0] for answer in _ENGINES["loglikelihood_rolling"](model, texts, 256)]
    assert ours == pytest.approx(theirs, abs=BOUND)

    options = {"until": ["zzz"], "do_sample": False, "max_gen_toks": 8}
    wanted = rival.generate_until(
        [Instance("generate_until", {}, (text, dict(options)), 0) for text in CONTEXTS if text], disable_tqdm=True
    )
    found = _ENGINES["generate_until"](model, [(text, options) for text in CONTEXTS if text], 256)
    assert [answer[0] for answer in found] == wanted


@pytest.mark.filterwarnings("ignore")  # lm-eval's own
@NEEDS_HARNESS
def test_own_items_are_scored_as_the_harness_scores_them(folder: Path) -> None:
    from lm_eval.api.instance import Instance

    rival = harness_model(folder, batch=4)
    base, tokenizer = load_base(folder, "fp32"), TextTokenizer(folder)
    shots = ("Is the fig here?\nAnswer: no\n\n",)
    items = [
        Item("a", "Is the crate here?\nAnswer:", " yes", choices=(" yes", " no"), target=0, cluster="a"),
        Item("b", "Is the pear here?\nAnswer:", " no", choices=(" yes", " no"), target=1, cluster="b", shots=shots),
    ]
    encoded = encode_items(items, tokenizer, 200, 1, "left")
    ours = np.stack([values[0] for values in score(base, None, [Scored(e.before, e.choices) for e in encoded])])
    pairs = [("".join(item.shots) + item.prompt, choice) for item in items for choice in item.choices]
    requests = [Instance("loglikelihood", {}, pair, 0) for pair in pairs]
    theirs = [value for value, _ in rival.loglikelihood(requests, disable_tqdm=True)]
    assert ours.reshape(-1) == pytest.approx(theirs, abs=BOUND)
    assert encoded[0].prompt == encoded[0].before


@pytest.mark.parametrize("listed", [[7, 0], [0, 7], 7, None, []], ids=str)
def test_generation_stops_at_every_end_that_is_listed(tmp_path: Path, listed: list[int] | int | None) -> None:
    """By generation config, model config and tokenizer (id 0), which transformers' generate agrees with."""
    shutil.copytree(PACKAGED, tmp_path / "base")
    settings = json.loads((PACKAGED / "generation_config.json").read_text())
    (tmp_path / "base" / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": listed}))
    base = load_base(tmp_path / "base", "fp32")
    expected = {0, *(listed if isinstance(listed, list) else [] if listed is None else [listed])}
    assert base.ends == expected
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    for end in sorted(expected):
        only_this(base.head, end)
        with torch.no_grad():
            model.get_output_embeddings().weight.copy_(base.head)
        prompt = torch.tensor([[5, 6, 9]])
        theirs = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=4, do_sample=False,
            eos_token_id=sorted(expected), pad_token_id=0,
        )[0, 3:].tolist()  # fmt: skip
        (ours,) = generate(base, None, [[5, 6, 9]], 4, lambda ids: False)[0]
        assert (ours.ids, ours.ending) == ([], "end"), end
        assert theirs == [end]


def only_this(head: torch.Tensor, token: int) -> None:
    """Turns the head so that a token is the likeliest after anything: every row but its own is nothing."""
    with torch.no_grad():
        row = head[token].clone() if bool(head[token].any()) else torch.ones_like(head[token])
        head.zero_()
        head[token] = row
