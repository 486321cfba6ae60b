"""The engine's arithmetic against plain autograd, torch's own optimiser, and fp64 truth."""

from __future__ import annotations

import math
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from regimen.engine import objective, weights
from regimen.engine.head import Head
from regimen.engine.lockstep_linear import LockstepLinear
from regimen.engine.optimiser import AdamState, adamw_update, clip_rows, learning_rate
from regimen.study.schema import LearningRate, Schedule

RATES = LearningRate(pretrain=1e-3, finetune=1e-3)


@pytest.mark.parametrize("members", [1, 2, 5])
@pytest.mark.parametrize("bias", [True, False])
def test_a_stacked_layer_is_k_separate_layers(members: int, bias: bool) -> None:
    torch.manual_seed(members)
    inner = nn.Linear(12, 20, bias=bias).requires_grad_(False)
    stacked = LockstepLinear(inner)
    down = torch.randn(members, 3, 12, requires_grad=True)
    up = torch.randn(members, 20, 3, requires_grad=True)
    stacked.down, stacked.up, stacked.scale = down, up, 2.0
    x = torch.randn(members * 2, 7, 12, requires_grad=True)
    y = stacked(x)
    weights = torch.randn_like(y)
    (y * weights).sum().backward()
    for k in range(members):
        a, b = down[k].detach().requires_grad_(), up[k].detach().requires_grad_()
        xk = x[2 * k : 2 * k + 2].detach().requires_grad_()
        yk = inner(xk) + 2.0 * (xk @ a.T) @ b.T
        (yk * weights[2 * k : 2 * k + 2]).sum().backward()
        torch.testing.assert_close(y[2 * k : 2 * k + 2], yk)
        assert down.grad is not None
        assert up.grad is not None
        assert x.grad is not None
        torch.testing.assert_close(down.grad[k], a.grad)
        torch.testing.assert_close(up.grad[k], b.grad)
        torch.testing.assert_close(x.grad[2 * k : 2 * k + 2], xk.grad)


def test_without_adapters_a_layer_is_itself() -> None:
    inner = nn.Linear(5, 6)
    x = torch.randn(3, 5)
    assert torch.equal(LockstepLinear(inner)(x), inner(x))


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("chunk", [1, 200, 1 << 24])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_chunked_loss_is_the_plain_one(
    chunk: int, dtype: torch.dtype, far: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three ways: truth in fp64, the plain form, ours; ours may err no more than the plain form does."""
    monkeypatch.setattr(objective, "DEVICE_CHUNK_LOGITS" if far else "CHUNK_LOGITS", chunk)
    monkeypatch.setattr(objective, "is_far", lambda device: far)
    torch.manual_seed(1)
    hidden = (2 * torch.randn(3, 9, 16)).to(dtype)
    head = torch.randn(50, 16).to(dtype)
    tokens = torch.randint(0, 50, (3, 9))
    predicted = torch.rand(3, 9) < 0.6
    predicted[:, 0] = False
    weights = torch.tensor([0.1, 0.2, 0.7])

    def plain(kind: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        h = hidden.to(kind, copy=True).requires_grad_()
        logits = functional.linear(h, head.to(kind))[:, :-1]
        losses = functional.cross_entropy(
            logits.reshape(-1, 50).to(max(kind, torch.float32, key=lambda t: t.itemsize)),
            tokens[:, 1:].reshape(-1),
            reduction="none",
        ).view(3, 8)
        total = (losses * predicted[:, 1:] * weights[:, None].to(losses.dtype)).sum()
        total.backward()
        assert h.grad is not None
        return total.detach().double(), h.grad.double()

    truth, truth_grad = plain(torch.float64)
    naive, naive_grad = plain(dtype)
    leaf = hidden.clone().requires_grad_()
    ours, losses = objective.token_losses(leaf, Head(head), tokens, predicted, weights)
    ours.backward()
    assert leaf.grad is not None
    slack = 1e-6 if dtype is torch.float32 else 4e-3
    assert abs(ours.double() - truth) <= 1.5 * abs(naive - truth) + slack
    error, naive_error = ((g - truth_grad).norm() / truth_grad.norm() for g in (leaf.grad.double(), naive_grad))
    assert error <= 1.5 * naive_error + slack
    assert losses.shape == (int(predicted.sum()),)
    assert not losses.requires_grad


def test_logits_never_exceed_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    plain = functional.linear

    def watched(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        nonlocal largest
        out = plain(x, weight, bias)
        largest = max(largest, out.numel())
        return out

    monkeypatch.setattr(objective, "CHUNK_LOGITS", 4000)
    monkeypatch.setattr(weights.functional, "linear", watched)
    hidden = torch.randn(8, 64, 4, requires_grad=True)
    tokens = torch.randint(0, 1000, (8, 64))
    predicted = torch.ones(8, 64, dtype=torch.bool)
    predicted[:, 0] = False
    objective.token_losses(hidden, Head(torch.randn(1000, 4)), tokens, predicted, torch.ones(8))[0].backward()
    assert 0 < largest <= 4000


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("chunk", [1 << 24, 500])
def test_a_scaled_capped_head_with_a_bias_has_autograd_s_gradient(
    chunk: int, frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head that trains; and, as on a GPU, one that does not, between whose products one function is compiled."""
    monkeypatch.setattr(objective, "DEVICE_CHUNK_LOGITS" if frozen else "CHUNK_LOGITS", chunk)
    monkeypatch.setattr(objective, "is_far", lambda device: frozen)
    torch.manual_seed(2)
    hidden, weight, bias = torch.randn(2, 9, 16), torch.randn(50, 16), torch.randn(50)
    tokens = torch.randint(0, 50, (2, 9))
    predicted = torch.ones(2, 9, dtype=torch.bool)
    predicted[:, 0] = False
    row_weights = torch.tensor([0.3, 0.7])
    found, wanted = ([one.clone().requires_grad_() for one in (hidden, weight, bias)] for _ in range(2))
    for leaf in found[1:] + wanted[1:]:
        leaf.requires_grad_(not frozen)
    head = Head(found[1], found[2], scale=0.25, limit=1.5)
    ours, _ = objective.token_losses(found[0], head, tokens, predicted, row_weights)
    logits = 1.5 * torch.tanh(0.25 * functional.linear(wanted[0], wanted[1], wanted[2]) / 1.5)
    losses = functional.cross_entropy(logits[:, :-1].reshape(-1, 50), tokens[:, 1:].reshape(-1), reduction="none")
    theirs = (losses.view(2, 8) * row_weights[:, None]).sum()
    ours.backward()
    theirs.backward()
    torch.testing.assert_close(ours, theirs)
    for one, other in zip(found[: 1 if frozen else 3], wanted, strict=False):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.filterwarnings("ignore")  # torch's own, while it compiles
def test_between_the_head_s_products_one_compiled_function_reads_and_writes_each_logit_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the compiler counts its kernels' operands, in 16 bits; and its values are those of the function as it is."""
    from torch._inductor import compile_fx, config, metrics

    torch._dynamo.reset()
    metrics.reset()
    monkeypatch.setattr(config, "force_disable_caches", True)
    monkeypatch.setattr(compile_fx.inductor_metrics_log, "isEnabledFor", lambda level: True)
    torch.manual_seed(1)
    rows, vocabulary = 16, 8192
    logits, targets = (3 * torch.randn(rows, vocabulary)).bfloat16(), torch.randint(0, vocabulary, (rows,))
    weights = torch.rand(rows)
    program = torch.compile(objective.chunk_losses, dynamic=False)
    found, wanted = (form(logits, targets, weights, 1.0, None) for form in (program, objective.chunk_losses))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)
    assert metrics.num_bytes_accessed <= 1.01 * 2 * logits.nbytes


@given(
    st.integers(1, 4),
    st.lists(st.floats(1e-5, 1e-1), min_size=4, max_size=4),
    st.sampled_from([0.0, 0.01]),
    st.integers(1, 6),
)
@settings(max_examples=25, deadline=None)
def test_rows_update_as_torch_adamw_does(members: int, rates: list[float], decay: float, steps: int) -> None:
    torch.manual_seed(members)
    schedule = Schedule(learning_rate=RATES, weight_decay=decay, clip_norm=0.5)
    weights = torch.randn(members, 30)
    singles = [nn.Parameter(row.clone()) for row in weights]
    optimisers = [
        torch.optim.AdamW([p], lr=rate, betas=schedule.betas, eps=schedule.epsilon, weight_decay=decay)
        for p, rate in zip(singles, rates, strict=False)
    ]
    state = AdamState.zeros(weights)
    for step in range(steps):
        grads = torch.randn(members, 30) * (10 if step % 2 else 0.01)  # some steps are clipped, some not
        for single, optimiser, grad in zip(singles, optimisers, grads.clone(), strict=True):
            single.grad = grad
            torch.nn.utils.clip_grad_norm_([single], schedule.clip_norm)
            optimiser.step()
        clip_rows(grads, schedule.clip_norm)
        adamw_update(weights, grads, state, torch.tensor(rates[:members], dtype=torch.float64), schedule)
    torch.testing.assert_close(weights, torch.stack([p.data for p in singles]), rtol=1e-5, atol=1e-7)


def test_clipping_touches_only_the_rows_that_need_it() -> None:
    grads = torch.tensor([[3.0, 4.0], [0.3, 0.4], [30.0, 40.0]])
    norms = clip_rows(grads, 1.0)
    torch.testing.assert_close(norms, torch.tensor([5.0, 0.5, 50.0]))
    torch.testing.assert_close(grads, torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.6, 0.8]]), rtol=1e-5, atol=1e-6)


def test_the_learning_rate_by_hand() -> None:
    four, none = (Schedule(learning_rate=RATES, warmup_steps=steps) for steps in (4, 0))
    rate = [learning_rate(n, 1.0, four, stable=10, horizon=14) for n in range(14)]
    assert rate[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rate[4:11] == [1.0] * 7  # the first step of the cooldown is still at the peak
    assert rate[11:] == [pytest.approx(1 - math.sqrt(n / 4)) for n in (1, 2, 3)]
    trunk = [learning_rate(n, 1.0, four, stable=None, horizon=10) for n in range(10)]
    assert trunk == rate[:10], "a trunk is the beginning of every horizon"
    assert learning_rate(0, 0.5, none, stable=None, horizon=3) == 0.5
