# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The recurrent functions on a few tokens: by the program that decodes, where nothing asks for more."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("wyvern._compiler", reason="the compiler module is not built")

from wyvern.torch import _few, fused_recurrent_delta_rule, fused_recurrent_gated_delta_rule, reference

LIMITS = {torch.float64: 1e-12, torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}


@pytest.fixture
def steps(monkeypatch):
    """The calls that a step has run."""
    seen, run = [], _few.run
    monkeypatch.setattr(_few, "run", lambda *args: seen.append(args[0]) or run(*args))
    return seen


def make(tokens=3, dtype=torch.float32):
    torch.manual_seed(0)
    q, k = torch.randn(2, 2, tokens, 2, 8, dtype=torch.float64)
    v, g, beta = torch.randn(2, tokens, 4, 16).double(), -torch.rand(2, tokens, 4).double(), torch.rand(2, tokens, 4).double()
    q, k, v = (x.to(dtype) for x in (q, k, v))
    return {"q": q, "k": k, "v": v, "g": g, "beta": beta}, torch.randn(2, 4, 8, 16).double()


def error(x, wanted):
    return ((x.double() - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize("v_first", [False, True])
@pytest.mark.parametrize("dtype", LIMITS)
def test_a_few_tokens_are_steps(dtype, v_first, steps):
    x, h0 = make(dtype=dtype)
    given = h0.transpose(-1, -2).contiguous() if v_first else h0
    kept, more = given.clone(), {"output_final_state": True, "use_qk_l2norm_in_kernel": True, "scale": 0.3}
    o, state = fused_recurrent_gated_delta_rule(**x, initial_state=given, state_v_first=v_first, **more)
    wide = {name: y.double() for name, y in x.items()}
    expected, after = reference.delta_rule(**wide, initial_state=h0, **more)
    assert len(steps) == 1 and torch.equal(given, kept) and o.dtype == dtype
    assert state.dtype == torch.promote_types(dtype, torch.float32)
    assert error(o, expected) < LIMITS[dtype]
    assert error(state.transpose(-1, -2) if v_first else state, after) < min(LIMITS[dtype], 1e-6)


def test_without_states_and_gates(steps):
    x, _ = make(1)
    del x["g"]
    o, state = fused_recurrent_delta_rule(**x)
    assert state is None and len(steps) == 1
    assert error(o, reference.delta_rule(**{name: y.double() for name, y in x.items()})[0]) < 1e-6


def test_what_goes_to_whole_sequences(steps):
    x, h0 = make()
    del x["g"]
    fused_recurrent_delta_rule(**x | {"v": x["v"].clone().requires_grad_()})[0].sum().backward()
    with torch.no_grad():
        fused_recurrent_delta_rule(**x | {"v": x["v"].clone().requires_grad_()})
    assert len(steps) == 1, "gradients are off there"
    one = {name: y[:1] for name, y in x.items()}
    fused_recurrent_delta_rule(**one, cu_seqlens=torch.tensor([0, 1, 3]))
    many, _ = make(17)
    del many["g"]
    fused_recurrent_delta_rule(**many)
    torch.func.vmap(lambda y: fused_recurrent_delta_rule(**x | {"beta": y})[0])(torch.stack([x["beta"]] * 2))
    assert len(steps) == 1


def test_wrong_shapes_are_said_as_ever():
    x, _ = make()
    with pytest.raises(ValueError, match="fused_recurrent_gated_delta_rule: beta has shape"):
        fused_recurrent_gated_delta_rule(**x | {"beta": x["beta"][:, :2]})
