# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.torch.reference: the recurrence in torch operations, against the float64
oracle of these tests, which was written apart from it."""

import pytest

torch = pytest.importorskip("torch")

import delta_oracle
from wyvern.torch.reference import delta_rule

F = torch.nn.functional


@pytest.fixture
def inputs():
    torch.manual_seed(0)
    return {
        "q": torch.randn(1, 13, 2, 8, dtype=torch.float64),
        "k": F.normalize(torch.randn(1, 13, 2, 8, dtype=torch.float64), dim=-1),
        "v": torch.randn(1, 13, 4, 6, dtype=torch.float64),
        "beta": torch.rand(1, 13, 4, dtype=torch.float64),
    }


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("offsets", [None, [0, 3, 3, 11], [0]])
def test_is_the_recurrence(inputs, gated, offsets):
    cu_seqlens = None if offsets is None else torch.tensor(offsets, dtype=torch.int32)
    sequences = 1 if offsets is None else len(offsets) - 1
    if gated:
        inputs["g"] = F.logsigmoid(torch.randn(1, 13, 4, dtype=torch.float64))
    inputs["initial_state"] = torch.randn(sequences, 4, 8, 6, dtype=torch.float64)
    expected, expected_state = delta_oracle.run(cu_seqlens, **inputs, scale=0.3)
    o, state = delta_rule(**inputs, scale=0.3, output_final_state=True, cu_seqlens=cu_seqlens)
    torch.testing.assert_close(o, expected)
    torch.testing.assert_close(state, expected_state)


def test_activations(inputs):
    """As when they are applied before the call."""
    raw, A_log, dt_bias = torch.randn(1, 13, 4).double(), torch.rand(4), torch.randn(4)
    logits = torch.randn(1, 13, 4, dtype=torch.float64)
    inputs |= {"k": 5 * inputs["k"], "beta": logits, "g": raw}
    o, state = delta_rule(
        **inputs,
        use_qk_l2norm_in_kernel=True,
        use_gate_in_kernel=True,
        A_log=A_log,
        dt_bias=dt_bias,
        use_beta_sigmoid_in_kernel=True,
        allow_neg_eigval=True,
    )
    assert state is None
    inputs |= {name: F.normalize(inputs[name], dim=-1) for name in ("q", "k")}
    inputs |= {"beta": 2 * logits.sigmoid(), "g": -A_log.double().exp() * F.softplus(raw + dt_bias.double())}
    assert delta_oracle.error(o, delta_oracle.dense(**inputs)[0]) < 1e-6  # the norm's epsilon


def test_no_tokens(inputs):
    inputs = {name: x[:, :0] for name, x in inputs.items()}
    o, state = delta_rule(**inputs, output_final_state=True)
    assert o.shape == (1, 0, 4, 6) and state.shape == (1, 4, 8, 6) and not state.any()


def test_computes_in_float32_whatever_autocast_says(inputs):
    inputs = {name: x.bfloat16() for name, x in inputs.items()}
    exact = delta_oracle.dense(**inputs)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        o, state = delta_rule(**inputs, output_final_state=True)
    assert o.dtype == torch.bfloat16 and state.dtype == torch.float32
    assert delta_oracle.error(o, exact) < 2.0**-8


def test_gradients(inputs):
    """Of all floating-point inputs, gate and state included."""
    inputs = {name: x[:, :5].clone().requires_grad_() for name, x in inputs.items()}
    g = torch.randn(1, 5, 4, dtype=torch.float64, requires_grad=True)
    A_log, dt_bias = (torch.randn(4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    state = torch.randn(2, 4, 8, 6, dtype=torch.float64, requires_grad=True)

    def run(q, k, v, beta, g, A_log, dt_bias, state):
        return delta_rule(
            q,
            k,
            v,
            beta,
            g,
            initial_state=state,
            output_final_state=True,
            use_gate_in_kernel=True,
            A_log=A_log,
            dt_bias=dt_bias,
            cu_seqlens=torch.tensor([0, 2, 5]),
        )

    assert torch.autograd.gradcheck(run, (*inputs.values(), g, A_log, dt_bias, state), fast_mode=True)
