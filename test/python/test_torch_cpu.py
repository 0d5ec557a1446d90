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
