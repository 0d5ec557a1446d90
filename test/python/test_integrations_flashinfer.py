# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FlashInfer's functions of decoding on CPU tensors, against what its documentation says they compute."""

import inspect

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import step_cases
from wyvern.integrations import flashinfer

HEADS, VALUE_HEADS, K, V = 1, 2, 32, 64


def make(tokens, batch=4):
    torch.manual_seed(0)
    q, k = (torch.randn(batch, tokens, HEADS, K).bfloat16() for _ in range(2))
    v = torch.randn(batch, tokens, VALUE_HEADS, V).bfloat16()
    a, b = (2 * torch.randn(batch, tokens, VALUE_HEADS).bfloat16() for _ in range(2))
    return {"q": q, "k": k, "v": v, "A_log": torch.randn(VALUE_HEADS), "a": a, "dt_bias": torch.randn(VALUE_HEADS).bfloat16(), "b": b}


def expected(x, state, scale=K**-0.5, norm=True):
    """The rule in float64, token by token, of states [B, HV, V, K]."""
    x = {name: t.double().numpy() for name, t in x.items()}
    if norm:
        x |= {name: x[name] / np.sqrt((x[name] ** 2).sum(-1, keepdims=True) + 1e-6) for name in ("q", "k")}
    q, k = (np.repeat(x[name], VALUE_HEADS // HEADS, 2) for name in ("q", "k"))
    alpha = np.exp(-np.exp(x["A_log"]) * np.logaddexp(0, x["a"] + x["dt_bias"]))
    beta = 1 / (1 + np.exp(-x["b"]))
    state, outputs = state.double().numpy().copy(), []
    for t in range(q.shape[1]):
        state *= alpha[:, t, :, None, None]
        read = np.einsum("bhvk,bhk->bhv", state, k[:, t])
        state += np.einsum("bhv,bhk->bhvk", beta[:, t, :, None] * (x["v"][:, t] - read), k[:, t])
        outputs.append(scale * np.einsum("bhvk,bhk->bhv", state, q[:, t]))
    return np.stack(outputs, 1), state


@pytest.mark.parametrize("norm", [True, False])
def test_one_state_a_sequence(norm):
    x = make(1)
    if not norm:
        x |= {name: torch.nn.functional.normalize(x[name].float(), dim=-1).bfloat16() for name in ("q", "k")}
    state = torch.randn(4, VALUE_HEADS, V, K)
    wanted, after = expected(x, state, norm=norm)
    turned = state.transpose(-1, -2).contiguous()
    output = torch.empty(4, 1, VALUE_HEADS, V, dtype=torch.bfloat16)
    o, same = flashinfer.gated_delta_rule_decode_pretranspose(state=state, **x, use_qk_l2norm=norm)
    o2, _ = flashinfer.gated_delta_rule_decode(state=turned, **x, output=output, use_qk_l2norm=norm)
    assert same is state and o2 is output
    assert step_cases.error(o.float(), wanted) < 3e-3 and step_cases.error(state, after) < 1e-6
    assert step_cases.error(o2.float(), wanted) < 3e-3 and step_cases.error(turned.transpose(-1, -2), after) < 1e-6


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
def test_a_pool(index):
    x, pool = make(3), torch.randn(9, VALUE_HEADS, V, K)
    read, write = torch.tensor([4, -1, 7, 2], dtype=index), torch.tensor([5, -1, 7, 2], dtype=index)
    before, live = pool.clone(), [0, 2, 3]
    wanted, after = expected(x, pool[read.clamp(min=0).long()], scale=0.5)
    o, _ = flashinfer.gated_delta_rule_mtp(**x, initial_state=pool, initial_state_indices=read, scale=0.5)
    assert torch.equal(pool, before)
    o2, _ = flashinfer.gated_delta_rule_mtp(
        **x, initial_state=pool, initial_state_indices=read, scale=0.5, disable_state_update=False, output_state_indices=write
    )
    assert torch.equal(o, o2) and not o[1].any() and step_cases.error(o[live].float(), wanted[live]) < 3e-3
    assert step_cases.error(pool[write[live].long()], after[live]) < 1e-6
    others = [0, 1, 3, 4, 6, 8]
    assert torch.equal(pool[others], before[others])
    o3, same = flashinfer.gated_delta_rule_decode_pretranspose(
        state=None, **x, initial_state=before, initial_state_indices=read, output_state_indices=write, scale=0.5
    )
    assert torch.equal(o3, o) and same is before and torch.equal(before, pool)


def test_signatures_are_flashinfers():
    start = ["q", "k", "v", "state", "A_log", "a", "dt_bias", "b", "scale", "output", "use_qk_l2norm"]
    pool = ["initial_state", "initial_state_indices", "output_state_indices", "intermediate_states_buffer", "disable_state_update"]
    assert list(inspect.signature(flashinfer.gated_delta_rule_decode).parameters) == start
    assert list(inspect.signature(flashinfer.gated_delta_rule_decode_pretranspose).parameters) == start + pool
    assert list(inspect.signature(flashinfer.gated_delta_rule_mtp).parameters) == [
        "q", "k", "v", "initial_state", "initial_state_indices", "A_log", "a", "dt_bias", "b", "scale", "output",
        "intermediate_states_buffer", "ssm_state_indices", "disable_state_update", "use_qk_l2norm", "output_state_indices",
    ]


def test_what_is_refused():
    x, pool, slots = make(2), torch.randn(9, VALUE_HEADS, V, K), torch.arange(4)
    mtp, decode = flashinfer.gated_delta_rule_mtp, flashinfer.gated_delta_rule_decode_pretranspose
    with pytest.raises(NotImplementedError, match="commit what is accepted"):
        mtp(**x, initial_state=pool, initial_state_indices=slots, intermediate_states_buffer=pool)
    with pytest.raises(ValueError, match="found neither"):
        decode(state=None, **x)
    with pytest.raises(ValueError, match=r"states have the shape \[2, 32, 64\]: expected \[2, 64, 32\]"):
        mtp(**x, initial_state=pool.transpose(-1, -2), initial_state_indices=slots)
    with pytest.raises(ValueError, match="expected indices of one type"):
        mtp(**x, initial_state=pool, initial_state_indices=slots, output_state_indices=slots.int(), disable_state_update=False)
    with pytest.raises(ValueError, match="states are torch.float16: expected float32 or bf16"):
        mtp(**x, initial_state=pool.half(), initial_state_indices=slots)


@pytest.mark.parametrize("raw", [False, True])
def test_packed_prompts(raw):
    """One state a sequence, and a pool of which one sequence reads nothing and one writes nothing."""
    x = make(90, batch=1)
    bounds = torch.tensor([0, 40, 40, 90])
    packed = {n: x[n][0] for n in ("q", "k", "v")}
    if raw:
        gates = {"g": x["a"][0], "A_log": x["A_log"], "dt_bias": x["dt_bias"], "use_gate_in_kernel": True, "beta": x["b"][0], "beta_is_logit": True}
    else:
        logs = -x["A_log"].exp() * torch.nn.functional.softplus(x["a"][0].float() + x["dt_bias"].float())
        gates = {"g": logs.exp(), "beta": x["b"][0].float().sigmoid()}
        again = flashinfer.chunk_gated_delta_rule(
            **packed, g=logs, gate_domain="log", beta=gates["beta"], cu_seqlens=bounds, use_qk_l2norm_in_kernel=True
        )
    call = {**packed, **gates, "cu_seqlens": bounds, "use_qk_l2norm_in_kernel": True}
    zeros = torch.zeros(3, VALUE_HEADS, V, K)
    o, states = flashinfer.chunk_gated_delta_rule(**call, output_final_state=True)
    if not raw:
        assert step_cases.error(again.float(), o.float().numpy()) < 1e-3
    starts = torch.randn(3, VALUE_HEADS, V, K)
    pool, written = torch.randn(6, VALUE_HEADS, V, K), torch.empty(90, VALUE_HEADS, V, dtype=torch.bfloat16)
    pool[[4, 2]] = starts[:2]
    before = pool.clone()
    indices = torch.tensor([4, 2, -1], dtype=torch.int32)
    pooled, same = flashinfer.chunk_gated_delta_rule(
        **call, initial_state=pool, output_state=pool, output_final_state=True, output=written, state_indices=indices,
        output_state_indices=torch.tensor([1, -1, 5], dtype=torch.int32),
    )
    assert same is pool and pooled is written and torch.equal(pool[[0, 2, 3, 4]], before[[0, 2, 3, 4]])
    for n, (a, b) in enumerate(((0, 40), (40, 40), (40, 90))):
        row = {name: y[:, a:b] if y.dim() > 1 else y for name, y in x.items()}
        if a == b:
            assert torch.equal(states[n], zeros[n])
            continue
        wanted, after = expected(row, zeros[n : n + 1])
        assert step_cases.error(o[a:b].float(), wanted[0]) < 5e-3 and step_cases.error(states[n], after[0]) < 1e-5
        begin = starts[n : n + 1] if n == 0 else zeros[n : n + 1]
        wanted, after = expected(row, begin)
        assert step_cases.error(pooled[a:b].float(), wanted[0]) < 5e-3 and step_cases.error(pool[1 if n == 0 else 5], after[0]) < 1e-5


def test_prompts_that_are_refused():
    x = make(8, batch=1)
    packed = {n: x[n][0] for n in ("q", "k", "v")} | {"cu_seqlens": torch.tensor([0, 8])}
    call = lambda **more: flashinfer.chunk_gated_delta_rule(**(packed | more))
    pool = torch.zeros(2, VALUE_HEADS, V, K)
    index = torch.zeros(1, dtype=torch.int32)
    with pytest.raises(NotImplementedError, match="state_checkpoints: states on the way go to slots of the pool"):
        call(checkpoint_every_n_tokens=64)
    with pytest.raises(NotImplementedError, match="state_indices: expected one pool"):
        call(initial_state=pool, output_state=pool.clone(), state_indices=index)
    for more, message in (
        ({"cu_seqlens": None}, "expected cu_seqlens"),
        ({"gate_domain": "exp"}, "gate_domain: expected linear or log, found 'exp'"),
        ({"use_gate_in_kernel": True}, "use_gate_in_kernel: expected g, A_log and dt_bias"),
        ({"beta_is_logit": True}, "beta_is_logit: expected beta"),
        ({"output_state_indices": index}, "output_state_indices: expected state_indices too"),
        ({"initial_state": pool, "state_indices": index, "output_state_indices": index.long()}, "expected indices of one type"),
        ({"k": packed["k"][:4]}, r"expected \[T, H, K\] twice"),
    ):
        with pytest.raises(ValueError, match=message):
            call(**more)
