# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.torch on CPU tensors: the compiled CPU program, end to end."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

import delta_oracle
from wyvern.torch import chunk_delta_rule, chunk_gated_delta_rule


def inputs(dtype, tokens=77, heads=2, value_heads=4, key_dim=48, value_dim=32):
    torch.manual_seed(1)
    unit = torch.nn.functional.normalize
    return {
        "q": unit(torch.randn(1, tokens, heads, key_dim), dim=-1).to(dtype),
        "k": unit(torch.randn(1, tokens, heads, key_dim), dim=-1).to(dtype),
        "v": torch.randn(1, tokens, value_heads, value_dim).to(dtype),
        "g": -torch.rand(1, tokens, value_heads),
        "beta": torch.rand(1, tokens, value_heads),
    }


@pytest.mark.parametrize(
    "dtype, bar", [(torch.float64, 1e-11), (torch.float32, 1e-5), (torch.bfloat16, 4e-3), (torch.float16, 5e-4)]
)
def test_gated(dtype, bar):
    x = inputs(dtype)
    h0 = torch.randn(3, 4, 32, 48)
    cu = torch.tensor([0, 10, 10, 70], dtype=torch.int32)
    o, state = chunk_gated_delta_rule(
        **x, scale=0.4, initial_state=h0, output_final_state=True, state_v_first=True, cu_seqlens=cu
    )
    expected, final = delta_oracle.packed(cu, **x, initial_state=h0.transpose(-1, -2), scale=0.4)
    assert o.dtype == dtype and delta_oracle.error(o, expected) < bar
    assert delta_oracle.error(state.transpose(-1, -2), final) < min(bar, 1e-5)
    assert torch.equal(state[1], h0[1].to(state.dtype)) and not o[:, 70:].any()


def test_ungated():
    x = inputs(torch.float32)
    g = x.pop("g")
    o, state = chunk_delta_rule(**x)
    assert state is None and delta_oracle.error(o, delta_oracle.dense(**x)[0]) < 1e-5
    with torch.no_grad():
        again, _ = torch.compile(chunk_delta_rule, fullgraph=True, backend="aot_eager")(**x)
    assert torch.equal(o, again)
    gated, _ = chunk_gated_delta_rule(**x, g=torch.zeros_like(g))
    assert delta_oracle.error(gated, o.double()) < 1e-6


# === Training ===


def gradients(outputs, leaves):
    """Of a weighted sum of the outputs."""
    torch.manual_seed(2)
    value = sum((x.double() * torch.randn(x.shape, dtype=torch.float64)).sum() for x in outputs)
    return torch.autograd.grad(value, leaves)


@pytest.mark.parametrize("dtype, bar", [(torch.float64, 1e-11), (torch.float32, 2e-5), (torch.bfloat16, 6e-3)])
@pytest.mark.parametrize("gated", [False, True])
def test_training(dtype, bar, gated):
    """Gradients against autograd of the recurrence, and o with the bits of inference."""
    x = inputs(dtype) | {"initial_state": torch.randn(3, 4, 48, 32)}
    if not gated:
        del x["g"]
    cu = torch.tensor([0, 10, 10, 70], dtype=torch.int32)
    function = chunk_gated_delta_rule if gated else chunk_delta_rule
    call = lambda x: function(**x, scale=0.4, output_final_state=True, cu_seqlens=cu)
    plain = call(x)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in x.items()}
    found = call(leaves)
    assert all(torch.equal(a, b) for a, b in zip(plain, found))
    given = gradients(found, list(leaves.values()))
    wide = {name: tensor.double().requires_grad_() for name, tensor in x.items()}
    expected = gradients(delta_oracle.packed(cu, **wide, scale=0.4), list(wide.values()))
    for name, a, b in zip(x, given, expected):
        assert a.dtype == x[name].dtype
        limit = bar if name in ("q", "k", "v") else max(bar, 2e-6)
        assert delta_oracle.error(a, b) < limit, name


@pytest.mark.parametrize("gate, rate", [(-8.0, 0.5), (-20.0, 0.5), (-0.1, 0.0)])
def test_strong_gates_and_no_rate(gate, rate):
    """Where masks after exponentials, or divisions by the rate, would give NaN. The
    gradient of a gate of -20 is 1e-8, and a difference of numbers near 1."""
    x = inputs(torch.float32, tokens=70)
    x["g"] = torch.full_like(x["g"], gate)
    x["beta"] = torch.full_like(x["beta"], rate)
    leaves = {name: tensor.requires_grad_() for name, tensor in x.items()}
    given = gradients(chunk_gated_delta_rule(**leaves)[:1], list(leaves.values()))
    wide = {name: tensor.detach().double().requires_grad_() for name, tensor in x.items()}
    expected = gradients(delta_oracle.dense(**wide)[:1], list(wide.values()))
    for name, a, b in zip(x, given, expected):
        assert (a - b).norm() < 2e-5 * max(b.norm(), 1), name


def test_gradcheck():
    x = inputs(torch.float64, tokens=5, heads=1, value_heads=2, key_dim=3, value_dim=2)
    leaves = [tensor.double().requires_grad_() for tensor in x.values()]

    def call(q, k, v, g, beta):
        return chunk_gated_delta_rule(
            q, k, v, g, beta, output_final_state=True, use_qk_l2norm_in_kernel=True, use_gate_in_kernel=True,
            A_log=torch.zeros(2), use_beta_sigmoid_in_kernel=True, allow_neg_eigval=True,
        )

    assert torch.autograd.gradcheck(call, leaves)


def test_mismatched_saved_state():
    x = inputs(torch.float32)
    operands = [x[name] for name in ("q", "k", "v", "g", "beta")]
    ops = torch.ops.wyvern
    o, _, factor = ops.gated_delta_rule_forward(*operands, None, None, False)
    call = lambda factor: ops.gated_delta_rule_backward(*operands, None, None, factor, o, None)
    call(factor)
    with pytest.raises(ValueError, match=r"expected shape \[1, 77, 4, 64\], found \[1, 76, 4, 64\]"):
        call(factor[:, 1:])
    with pytest.raises(TypeError, match="expected elements of f32, found f16"):
        call(factor.half())


@pytest.mark.parametrize(
    "q_size, v_size, scale", [(20000, 100, 1e-4), (1e-3, 1e-2, 64.0), (1e-5, 3e4, 2e3), (1, 1, -0.37), (1, 1, 0.0)]
)
def test_scale_in_fp16(q_size, v_size, scale):
    """Where o is an ordinary number it is right, however far K ** -0.5 alone would take it."""
    rng = torch.Generator().manual_seed(3)
    unit = lambda *shape: torch.nn.functional.normalize(torch.randn(*shape, generator=rng), dim=-1)
    q, k, v = q_size * unit(1, 70, 1, 64), unit(1, 70, 1, 64), v_size * unit(1, 70, 2, 64)
    q[0, 3] = 0
    beta, d_o = torch.rand(1, 70, 2, generator=rng), unit(1, 70, 2, 64).half()
    narrow = [x.half().requires_grad_() for x in (q, k, v)]
    wide = [x.detach().double().requires_grad_() for x in narrow]
    o = chunk_delta_rule(*narrow, beta, scale=scale)[0]
    expected = chunk_delta_rule(*wide, beta.double(), scale=scale)[0]
    close = lambda found, right, most: (found.double() - right).abs().max() <= most * right.abs().max()
    assert o.dtype == torch.float16 and close(o, expected, 1e-3)
    (d_v,) = torch.autograd.grad(o, narrow[2], d_o)
    (d_v_expected,) = torch.autograd.grad(expected, wide[2], d_o.double())
    assert close(d_v, d_v_expected, 4e-3)
