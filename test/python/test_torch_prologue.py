# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ops of programs that compute norms and gates themselves, beside torch operations in front of plain ones."""

import math

import pytest

pytest.importorskip("wyvern._compiler", reason="built without the compiler")
torch = pytest.importorskip("torch")

import prologue_cases
import wyvern
import wyvern.torch
from wyvern.torch import _functions, _prologue, _transforms
from wyvern.torch._rules import family_of

B, T, H, K, V = 2, 70, 2, 16, 8
PARTS = ("norm", "gates")


def raw_operands(rule):
    """Returns float64 leaves of a rule's raw operands, by name."""
    generator = torch.Generator().manual_seed(5)
    shapes = {x.name: x.shape for x in family_of(rule, prologue=PARTS).signature.operands}
    sizes = dict(batch=B, tokens=T, key_heads=H, value_heads=H, key_dim=K, value_dim=V)
    draw = lambda shape: torch.randn([sizes[n] * rows for n, rows in shape], generator=generator, dtype=torch.float64)
    return {name: draw(shape).requires_grad_() for name, shape in shapes.items()}


def gradients(o, state, leaves):
    generator = torch.Generator().manual_seed(6)
    loss = sum((x * torch.randn(x.shape, generator=generator, dtype=x.dtype)).sum() for x in (o, state))
    return torch.autograd.grad(loss, list(leaves.values()))


@pytest.mark.parametrize("rule", ["delta_rule", "gated_delta_rule", "kda"])
def test_ops_with_a_prologue_are_those_without_behind_torch(rule):
    leaves = raw_operands(rule)
    family, plain = family_of(rule, prologue=PARTS), family_of(rule)
    o, state = _transforms.call(family.name, tuple(leaves.values()), None, None, True)
    made = prologue_cases.make(leaves, PARTS)
    wanted = _transforms.call(plain.name, tuple(made[name] for name in plain.signature.names), None, None, True)
    torch.testing.assert_close((o, state), wanted)
    torch.testing.assert_close(gradients(o, state, leaves), gradients(*wanted, leaves))


def test_schemas_have_the_raw_operands():
    names = family_of("gated_delta_rule", prologue=PARTS).signature.names
    assert names == ("q", "k", "v", "a", "b", "A_log", "dt_bias")
    assert family_of("delta_rule", prologue=PARTS).signature.names == ("q", "k", "v", "b")
    assert family_of("gated_delta_rule", prologue=("norm",)).signature.names == family_of("gated_delta_rule").signature.names


def test_op_of_a_spec_with_a_prologue():
    spec = {
        "name": "raw",
        "heads": {"key": H, "value": H},
        "dims": {"key": K, "value": V},
        "decay": "head",
        "steps": [{"write": "k", "value": "v", "rate": "beta"}],
        "prologue": list(PARTS),
    }
    op = wyvern.torch.op(spec)
    assert set(op.operands) == {"q", "k", "v", "a", "b", "A_log", "dt_bias"}
    assert op.shapes["A_log"] == f"[{H}]"
    leaves = raw_operands("gated_delta_rule")
    o, state = op(**leaves, output_final_state=True)
    family = family_of("gated_delta_rule", prologue=PARTS)
    torch.testing.assert_close((o, state), _transforms.call(family.name, tuple(leaves.values()), None, None, True))
    found = dict(zip(leaves, gradients(o, state, leaves)))
    assert all(x.abs().max() > 0 for x in found.values())


def test_a_spec_names_parts_that_there_are():
    spec = "{name: x, heads: {key: 1, value: 1}, dims: {key: 8, value: 8}, steps: [{write: k, value: v}], prologue: [norms]}"
    with pytest.raises(wyvern.CompileError, match="expected a part of the prologue to be one of conv, norm, gates, decay, rates, scale, found 'norms'"):
        wyvern.compile(spec, target="cpu")


@pytest.fixture
def taken(monkeypatch):
    """The ops of programs with gates that calls went to, on a CPU that counts as a GPU with a program for all."""
    found = []

    def attempt(family, tensors, initial_state, cu_seqlens, final):
        if not family.signature.operands[-1].name in ("b", "beta", "dt_bias", "scale") or family.name == "gated_delta_rule":
            return None
        found.append((family.name, tensors))
        return "o", "state"

    monkeypatch.setattr(_prologue, "is_gpu", lambda device: True)
    monkeypatch.setattr(_prologue, "program_for", lambda *_: None)
    monkeypatch.setattr(_prologue._direct, "attempt", attempt)
    return found


def raw_call(**changes):
    """Calls chunk_gated_delta_rule as the layer does, with changed arguments."""
    draw = lambda *shape: torch.randn(shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    given = {"q": draw(B, T, H, K), "k": draw(B, T, H, K), "v": draw(B, T, H, K), "g": draw(B, T, H), "beta": draw(B, T, H)}
    given |= {"A_log": torch.zeros(H), "dt_bias": torch.ones(H)}
    given |= {f"use_{x}_in_kernel": True for x in ("qk_l2norm", "gate", "beta_sigmoid")}
    given |= {name: change(given.get(name)) if callable(change) else change for name, change in changes.items()}
    return given, wyvern.torch.chunk_gated_delta_rule(**given)


def test_raw_gates_go_to_a_program_with_gates(taken):
    given, result = raw_call(allow_neg_eigval=True)
    ((name, tensors),) = taken
    assert result == ("o", "state") and name == "gated_delta_rule_to_2_norm_gates"
    assert all(x is given[y] for x, y in zip(tensors, ("q", "k", "v", "g", "beta", "A_log", "dt_bias"), strict=True))
    raw_call(use_qk_l2norm_in_kernel=False)
    assert taken[1][0] == "gated_delta_rule_gates"


def test_parts_that_are_raw_go_to_a_program_with_them(taken):
    """A scale that is not the program's own is an operand, the same tensor in each call."""
    raw_call(use_beta_sigmoid_in_kernel=False)
    raw_call(use_gate_in_kernel=False, A_log=None, dt_bias=None)
    raw_call(scale=1.0)
    raw_call(scale=1)
    (decay, given), (rates, _), (scaled, a), (_, b) = taken
    assert (decay, rates, scaled) == tuple(f"gated_delta_rule_norm_{x}" for x in ("decay", "rates", "gates_scale"))
    assert family_of("gated_delta_rule", prologue=("norm", "decay")).signature.names[3:] == ("a", "beta", "A_log", "dt_bias")
    assert a[-1] is b[-1] and a[-1].tolist() == [1.0] * H and given[-1].shape == (H,)


def test_kda_goes_to_a_program_with_gates(taken):
    draw = lambda *shape: torch.randn(shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    given = {x: draw(B, T, H, K) for x in "qkg"} | {"v": draw(B, T, H, K), "beta": draw(B, T, H)}
    raw = {"use_qk_l2norm_in_kernel": True, "use_gate_in_kernel": True, "A_log": torch.zeros(H, 1), "dt_bias": torch.ones(H * K)}
    wyvern.torch.chunk_kda(**given, **raw, use_beta_sigmoid_in_kernel=True)
    wyvern.torch.chunk_kda(**given, **raw, safe_gate=True, lower_bound=-5.0)
    (plain, tensors), (bounded, _) = taken
    assert (plain, bounded) == ("kda_norm_gates", "kda_norm_decay_from_5")
    assert tensors[-2].shape == (H,) and tensors[-1].shape == (H, K)
    sizes = (H, K, H, V)
    spec = family_of("kda", 1, 1, ("norm", "decay"), -5.0).spec(sizes, "bf16")
    assert spec["lower_bound"] == -5 and spec["prologue"] == ["norm", "decay"]


def test_op_with_a_scale_has_no_gradient_of_it():
    leaves = raw_operands("kda")
    factor = torch.tensor([2.0, 0.5], dtype=torch.float64)
    family = family_of("kda", prologue=(*PARTS, "scale"))
    o, state = _transforms.call(family.name, (*leaves.values(), factor), None, None, True)
    plain = family_of("kda", prologue=PARTS)
    wanted, final = _transforms.call(plain.name, tuple(leaves.values()), None, None, True)
    torch.testing.assert_close((o, state), (wanted * K**0.5 * factor[:, None], final))
    torch.testing.assert_close(gradients(o, state, leaves), gradients(wanted * K**0.5 * factor[:, None], final, leaves))


@pytest.mark.parametrize(
    "changes",
    [
        {"dt_bias": None},
        {"scale": math.inf},
        {"g": torch.Tensor.float},
        {"state_v_first": True},
        {"max_rate": 2.0},
        {"q": torch.Tensor.half, "k": torch.Tensor.half, "v": torch.Tensor.half},
    ],
)
def test_what_stays_in_front(taken, monkeypatch, changes):
    def gate(*_):
        raise AssertionError("in front")

    monkeypatch.setattr(_functions, "gate", gate)
    with pytest.raises(AssertionError, match="in front"):
        raw_call(**changes)
    assert not taken
