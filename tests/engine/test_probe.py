"""The probe at load: what is broken on purpose is caught, what is not whole is refused, in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from regimen.engine import attention, masks, probe, verdicts
from regimen.engine.base_model import BaseModel
from regimen.engine.caches import GrowingLayer
from regimen.engine.head import Head
from regimen.engine.loading import load_base
from regimen.engine.lockstep_linear import LockstepLinear
from regimen.engine.prefill import Prefill
from regimen.errors import ModelError
from tests.support.families import config_of, save_family

FAMILIES = ("qwen2", "mistral-window", "gemma2")


def fresh(name: str) -> Any:
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(config_of(name))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_that_is_right_passes(name: str) -> None:
    assert probe.examine(fresh(name)) == verdicts.Verdict()


def leaky_segments(patch: pytest.MonkeyPatch) -> None:
    whole = torch.ones(99, 99, dtype=torch.bool).tril()
    patch.setattr(
        probe, "segment_mask", lambda p: whole[None, None, : p.shape[1], : p.shape[1]].expand(len(p), 1, -1, -1)
    )


def no_causality(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(masks.View, "under", lambda self, rule: torch.ones_like(self.visible))


def lost_window(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(masks.View, "under", lambda self, rule: self.visible)


def window_by_column(patch: pytest.MonkeyPatch) -> None:
    """Counts padding and other texts as if they were seen."""

    def ranks(self: masks.View) -> tuple[Tensor, Tensor]:
        length, total = self.visible.shape[-2:]
        columns = torch.arange(total)
        return columns[-length:].view(1, 1, -1, 1), columns.view(1, 1, 1, -1)

    patch.setattr(masks.View, "ranks", property(ranks))


def wrong_cache_position(patch: pytest.MonkeyPatch) -> None:
    visible = Prefill.visible

    def late(self: Prefill) -> tuple[Tensor, Tensor]:
        columns, positions = visible(self)
        return columns, positions + 1

    patch.setattr(Prefill, "visible", late)


def cache_out_of_place(patch: pytest.MonkeyPatch) -> None:
    place = GrowingLayer.place

    def beside(self: GrowingLayer, *args: Any) -> None:
        place(self, *args)
        assert self.values is not None
        self.values = self.values.roll(1, dims=2)

    patch.setattr(GrowingLayer, "place", beside)


def projection_without_bias_or_adapter(patch: pytest.MonkeyPatch) -> None:
    forward = LockstepLinear.forward

    def without(self: LockstepLinear, x: Tensor) -> Tensor:
        if self.down is None or self.up is None or self.weight.shape[0] != 16:  # keys and values
            return forward(self, x)
        return torch.nn.functional.linear(x, self.weight, self.bias)

    patch.setattr(LockstepLinear, "forward", without)


def adapters_swapped(patch: pytest.MonkeyPatch) -> None:
    forward = LockstepLinear.forward

    def swapped(self: LockstepLinear, x: Tensor) -> Tensor:
        if self.down is None:
            return forward(self, x)
        down, self.down = self.down, self.down.flip(0)
        try:
            return forward(self, x)
        finally:
            self.down = down

    patch.setattr(LockstepLinear, "forward", swapped)


def unscaled_head(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Head, "_finished", lambda self, logits: logits * 1.01)


def wrong_scale_of_scores(patch: pytest.MonkeyPatch) -> None:
    plain = attention.product_attention
    patch.setattr(attention, "product_attention", lambda q, k, v, mask, scale: plain(q, k, v, mask, scale * 1.01))


MUTATIONS: list[tuple[Callable[[pytest.MonkeyPatch], None], str]] = [
    (leaky_segments, "qwen2"),
    (no_causality, "qwen2"),
    (lost_window, "mistral-window"),
    (lost_window, "gemma2"),
    (window_by_column, "mistral-window"),
    (wrong_cache_position, "qwen2"),
    (cache_out_of_place, "qwen2"),
    (projection_without_bias_or_adapter, "qwen2"),
    (adapters_swapped, "qwen2"),
    (unscaled_head, "gemma2"),
    (wrong_scale_of_scores, "qwen2"),
]


@pytest.mark.parametrize(("breaks", "name"), MUTATIONS, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_broken_is_caught(
    breaks: Callable[[pytest.MonkeyPatch], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No verdict that the base is right in every way: refused, or some way of using it withheld."""
    breaks(monkeypatch)
    verdict, said = None, ""
    try:
        verdict = probe.examine(fresh(name))
    except ModelError as fault:
        said = str(fault)
    if verdict is None:
        assert "is not computed rightly here" in said
        assert "\n" not in said
    else:
        assert verdict.alone is not None or not verdict.branches


def test_the_second_load_tries_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIMEN_CACHE", str(tmp_path / "cache"))
    folder = save_family("qwen3", tmp_path / "base")
    load_base(folder, "fp32")

    def again(model: Any) -> None:
        raise AssertionError("it was known")

    monkeypatch.setattr(probe, "examine", again)
    load_base(folder, "fp32")
    monkeypatch.setattr(verdicts, "code_digest", lambda: "another version of the engine")
    with pytest.raises(ModelError, match="it was known"):
        load_base(folder, "fp32")


def damaged(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> Path:
    save_family("qwen2", folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


PROJECTION = "model.layers.1.self_attn.q_proj.weight"


def one_nan(tensors: dict[str, Tensor]) -> None:
    tensors[PROJECTION][3, 4] = float("nan")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: tensors.pop(PROJECTION), f"is not whole: {PROJECTION} is not in its files"),
        (lambda tensors: tensors.update(extra=torch.zeros(2)), "is not whole: extra is in its files but in no layer"),
        (lambda tensors: tensors.update({PROJECTION: torch.zeros(4, 4)}), f"{PROJECTION} is in another shape"),
        (one_nan, f"a value that is not finite, in {PROJECTION}"),
    ],
    ids=["missing", "unexpected", "mismatched", "nan"],
)
def test_a_base_that_is_not_whole_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], None], words: str
) -> None:
    with pytest.raises(ModelError) as caught:
        load_base(damaged(tmp_path, change), "fp32")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_model_is_a_traceback(tmp_path: Path) -> None:
    folder = save_family("qwen2", tmp_path)
    whole = json.loads((folder / "config.json").read_text())
    for change in (
        {"model_type": "nonesuch"},
        {"model_type": "t5"},
        {"hidden_size": "wide"},
        {"num_attention_heads": 0},
    ):
        (folder / "config.json").write_text(json.dumps(whole | change))
        with pytest.raises(ModelError) as caught:
            load_base(folder, "fp32")
        assert "\n" not in str(caught.value), change


def test_only_the_text_part_of_a_multimodal_base_carries_adapters(tmp_path: Path) -> None:
    base: BaseModel = load_base(save_family("gemma3", tmp_path), "fp32")
    assert base.linears
    assert all("language_model" in name for name in base.linears)
    assert base.context == 128
