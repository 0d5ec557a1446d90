# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The layers on the compiled programs compute what they do on the token recurrence,
gradients included."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

from wyvern.torch import DeltaNet, GatedDeltaNet

LAYERS = {
    "delta": lambda: DeltaNet(hidden_size=64, num_heads=2),
    "delta, options": lambda: DeltaNet(
        hidden_size=64, num_heads=2, expand_v=0.5, use_gate=True, allow_neg_eigval=True, qk_norm="sum", qk_activation="elu"
    ),
    "gated": lambda: GatedDeltaNet(hidden_size=64, head_dim=32, num_heads=1, num_v_heads=2, expand_v=1),
    "gated, options": lambda: GatedDeltaNet(
        hidden_size=64, head_dim=32, num_heads=2, expand_v=1, use_gate=False, allow_neg_eigval=True, conv_bias=True
    ),
}



BARS = {"delta": 1e-9, "gated": 1e-9}


def bar(name):
    return BARS[name.split(",")[0]]


def error(x, reference):
    return ((x.double() - reference.double()).norm() / reference.double().norm()).item()


def both(name, dtype=torch.float64):
    """The layer on the token recurrence, and the same on the compiled programs."""
    torch.manual_seed(0)
    exact = LAYERS[name]().to(dtype)
    exact.backend = "torch"
    layer = LAYERS[name]().to(dtype)
    layer.load_state_dict(exact.state_dict())
    return exact, layer


@pytest.mark.parametrize("cu_seqlens", [None, [0, 30, 30, 150]])
@pytest.mark.parametrize("name", LAYERS)
def test_forward(name, cu_seqlens):
    exact, layer = both(name)
    x = torch.randn(1, 150, 64, dtype=torch.float64)
    packed = {} if cu_seqlens is None else {"cu_seqlens": torch.tensor(cu_seqlens)}
    with torch.no_grad():
        assert error(layer(x, **packed)[0], exact(x, **packed)[0]) < bar(name)


@pytest.mark.parametrize("name", ["delta", "gated"])
def test_forward_in_bf16(name):
    exact, layer = both(name, torch.float32)
    x = torch.randn(2, 100, 64)
    with torch.no_grad():
        expected = exact(x)[0]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert error(layer(x)[0], expected) < 1.2 * error(exact(x)[0], expected) + 1e-3


def gradients(layer, x, cu_seqlens):
    x = x.clone().requires_grad_()
    o = layer(x, cu_seqlens=cu_seqlens)[0]
    torch.manual_seed(2)
    o.backward(torch.randn_like(o))
    return {"x": x.grad} | {name: parameter.grad for name, parameter in layer.named_parameters()}


@pytest.mark.parametrize("cu_seqlens", [None, [0, 30, 30, 150]])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name, cu_seqlens):
    """Of the input and of every parameter."""
    exact, layer = both(name)
    torch.manual_seed(1)
    x = torch.randn(1, 150, 64, dtype=torch.float64)
    packed = None if cu_seqlens is None else torch.tensor(cu_seqlens)
    expected = gradients(exact, x, packed)
    got = gradients(layer, x, packed)
    assert {what: error(got[what], expected[what]) < bar(name) for what in expected} == dict.fromkeys(expected, True)


def test_compiles_without_a_graph_break():
    exact, layer = both("gated", torch.float32)
    x = torch.randn(1, 70, 64)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    compiled(x)[0].sum().backward()
    exact(x)[0].sum().backward()
    for got, expected in zip(layer.parameters(), exact.parameters()):
        assert error(got.grad, expected.grad) < 1e-4
