"""What a machine measures about itself, and what `plan` and `run` make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from regimen import api
from regimen.cli.app import app
from regimen.cli.bench import chosen
from regimen.engine.adapter_bank import layout
from regimen.engine.bench import SEGMENTS, Measured, RandomBlocks, flops_per_token
from regimen.engine.loading import load_base
from regimen.engine.locate import locate_base
from regimen.plan.rates import Rate, remember, remembered
from regimen.study import load_study
from regimen.study.schema import Adapter


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REGIMEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None, result.exception
    return result.stdout


def rate(**changes: Any) -> Rate:
    values: dict[str, Any] = {
        "device": "a machine", "measured": "2026-01-01", "workers": 2, "width": 3, "pass_tokens": 2048,
        "compiled": False, "steps_per_hour": 5206.0, "tokens_per_second": 100.0, "mfu": 0.25,
    }  # fmt: skip
    return Rate(**{**values, **changes})


def test_bench_measures_and_plan_speaks_in_this_machines_hours() -> None:
    found = json.loads(
        invoke("bench", "--profile", "demo", "--seconds", "0.1", "--widest", "2", "--no-compile", "--json")
    )
    assert [one["width"] for one in found["measured"]][:2] == [1, 2]
    for one in found["measured"]:
        assert 0 < one["mfu"] < 1
        assert one["tokens_per_second"] == pytest.approx(one["steps_per_second"] * found["tokens_a_step"])
        assert one["peak_memory"] > 1e7
    assert found["chosen"]["width"] in (1, 2)
    totals = json.loads(invoke("plan", "qwen2-finance", "--profile", "demo", "--json"))["totals"]
    mine = totals["measured"]
    hourly = found["chosen"]["steps_per_hour"] * found["chosen"]["workers"]
    assert mine["hours_to_run"] == pytest.approx(totals["steps_to_run"] / hourly, abs=1e-6)
    assert mine["hours_planned"] == pytest.approx(totals["steps_planned"] / hourly, abs=1e-6)
    assert totals["rate"]["source"] == "the plan's rate"
    other = json.loads(invoke("plan", "qwen2-finance", "--json"))["totals"]
    assert other["measured"] is None, "another base was not measured"
    assert other["gpu_hours_planned"] == pytest.approx(341.7)


def test_blocks_are_measured_as_training_has_them_with_several_texts_each() -> None:
    batch = RandomBlocks(1, (6, 64), 500).batch(3)
    again = RandomBlocks(1, (6, 64), 500).batch(3)
    assert all((one == other).all() for one, other in zip(vars(batch).values(), vars(again).values(), strict=True))
    starts = batch.positions == 0
    assert {int(count) for count in starts.sum(axis=1)} <= {SEGMENTS, SEGMENTS + 1}
    assert (batch.positions[:, 1:][~starts[:, 1:]] == batch.positions[:, :-1][~starts[:, 1:]] + 1).all()
    assert (batch.loss == ~starts).all(), "a text's first token has nothing to be predicted from"


def test_plan_says_which_estimate_is_which() -> None:
    assert "not measured; `regimen bench` measures it" in invoke("plan", "qwen2-finance").replace("\n", " ")
    remember(load_study("qwen2-finance"), rate())
    text = " ".join(invoke("plan", "qwen2-finance").split())
    assert "(the plan's rate)" in text
    assert "measured 2026-01-01: 10,412 steps an hour with 2 workers" in text
    assert "50.0 hours of training to run, 65.3 without sharing" in text


def test_a_run_takes_the_measured_width_and_keeps_its_own(tmp_path: Path) -> None:
    def width(**more: Any) -> int:
        plan = api.load_and_compile("qwen2-finance", profile="demo", **more)
        return plan.options.cohort_width

    assert width() == 8
    study = load_study("qwen2-finance", "demo")
    remember(study, rate())
    assert remembered(study) == rate()
    assert width() == 3
    assert width(cohort_width=5) == 5
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps({"compile": {"cohort_width": 6}}))
    assert width(out=tmp_path / "run") == 6, "a run folder goes on as it began"
    assert width(out=tmp_path / "new") == 3


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 1}'])
def test_a_damaged_file_of_rates_counts_as_none(text: str, cache: Path) -> None:
    cache.mkdir()
    (cache / "rates.json").write_text(text)
    study = load_study("qwen2-finance", "demo")
    assert remembered(study) is None
    remember(study, rate())
    assert remembered(study) == rate()


def test_of_settings_nearly_as_fast_the_narrowest_with_the_largest_pass_is_chosen() -> None:
    def one(width: int, pass_tokens: int, speed: float) -> Measured:
        return Measured(width, pass_tokens, False, speed, 1.0, 0.1, 1, 1.0)

    assert chosen([one(1, 8, 90), one(2, 8, 99), one(4, 8, 100), one(4, 4, 99.5)]).width == 2
    assert chosen([one(1, 8, 99), one(1, 4, 100)]).pass_tokens == 8


def test_the_count_of_operations_by_hand() -> None:
    """The tiny base, its layers counted from its published shape."""
    folder = locate_base(load_study("qwen2-finance", "demo").base)
    shape = json.loads((folder / "config.json").read_text())
    d, m, layers = shape["hidden_size"], shape["intermediate_size"], shape["num_hidden_layers"]
    width = d // shape["num_attention_heads"]
    narrow = shape["num_key_value_heads"] * width
    weights = layers * (2 * d * d + 2 * d * narrow + 3 * d * m) + shape["vocab_size"] * d
    attention = 12 * layers * d * 64
    base = load_base(folder, "fp32")
    assert flops_per_token(base, Adapter(method="full"), 64) == 6 * weights + attention
    adapter = 4 * layers * (4 * d + 2 * (d + narrow) + 3 * (d + m))
    assert layout(base, Adapter())[-1].end == adapter
    assert flops_per_token(base, Adapter(), 64) == 4 * weights + 6 * adapter + attention
