# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Norms and gates in the chunk programs of whole sequences, forward and backward, on the CPU.

Judged by autograd through float64's prologue and recurrence, token by token (prologue_cases.py)."""

import functools
from pathlib import Path

import numpy as np
import pytest
import wyvern
from step_cases import error, small

pytest.importorskip("wyvern._compiler", reason="built without the compiler")
pytest.importorskip("torch")

import prologue_cases
import torch

ROOT = Path(__file__).resolve().parents[2]
TIME = 83  # one chunk of 64 rows and a part
PACKED = np.array([0, 1, 1, 66, 80])  # lengths 1, 0, 65, 14; three rows that nobody owns
PARTS = ("norm", "gates")
LAYERS = ["gated_deltanet", "delta_net-340M", "kda", "gla", "deltaproduct", "gated_deltaproduct"]


def spec_of(layer, bound=None, **sizes):
    text = small((ROOT / "specs" / f"{layer}.yaml").read_text(), **sizes)
    return text if bound is None else f"{text}lower_bound: {bound}\n"


@functools.lru_cache(maxsize=None)
def program_of(spec, precision, parts):
    return wyvern.compile(spec, target="cpu", precision=precision, training=True, prologue=parts)


def draw(program, seed, packed=False, alike=0.0):
    """Returns operands and gradients of outputs that are numbers of the program's types."""
    rng = np.random.default_rng(seed)
    batch, tokens, sequences = (1, int(PACKED[-1]) + 3, len(PACKED) - 1) if packed else (2, TIME, 2)
    return prologue_cases.draw_held(rng, program, batch, tokens, sequences, alike)


def errors(program, spec, parts, seed, packed=False, alike=0.0):
    """Returns the error of each output and gradient, by name."""
    raw, seeds = draw(program, seed, packed, alike)
    cu_seqlens = PACKED if packed else None
    found = prologue_cases.run(program, raw, seeds, cu_seqlens)
    wanted = prologue_cases.reference(prologue_cases.text_of(spec), raw, parts, seeds, cu_seqlens)
    assert set(found) == set(wanted)
    return {name: error(found[name], wanted[name]) for name in wanted}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
def test_prologue_is_exact_in_float64(layer, packed):
    spec = spec_of(layer, key=16, value=8, dtype="f64")
    program = program_of(spec, "f64", PARTS)
    found = errors(program, spec, PARTS, seed=1, packed=packed)
    assert max(found.values()) < 1e-9, found


@pytest.mark.parametrize(
    "layer, bound, parts",
    [
        ("gated_deltanet", -5, PARTS),
        ("gated_deltanet", -200, ("decay",)),
        ("gated_deltanet", None, ("norm", "rates", "scale")),
        ("kda", -5, (*PARTS, "scale")),
        ("kda", None, ("decay",)),
    ],
)
def test_parts_and_bounds_are_exact_in_float64(layer, bound, parts):
    """A scale of the call has no gradient, and is in the place of the spec's."""
    spec = spec_of(layer, bound, key=16, value=8, dtype="f64")
    program = program_of(spec, "f64", parts)
    assert ("scale" in program.inputs) == ("scale" in parts) and "d_scale" not in program.backward.outputs
    found = errors(program, spec, parts, seed=1, packed=True)
    assert max(found.values()) < 1e-9, found


def run_in_front(plain, types, raw, parts, seeds, cu_seqlens):
    """Returns what prologue_cases.run does, of the program without a prologue: that is made in front of it in float32, rounded to
    the types of the program, and differentiated by autograd."""
    given = {name: torch.tensor(x, dtype=torch.float32, requires_grad=True) for name, x in raw.items()}
    made = prologue_cases.make(given, parts)
    found = prologue_cases.run(plain, {name: x.detach().double().numpy() for name, x in made.items()}, seeds, cu_seqlens)
    into = [torch.tensor(found.pop(f"d_{name}"), dtype=torch.float32) for name in made]
    for (name, info), d in zip(types.items(), torch.autograd.grad(list(made.values()), list(given.values()), into)):
        found[f"d_{name}"] = prologue_cases.read(info, prologue_cases.store(info, d.double().numpy()))
    return found


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
@pytest.mark.parametrize("layer", ["gated_deltanet", "delta_net-340M", "kda"])
def test_prologue_in_the_program_rounds_no_more_than_in_front_of_it(layer, dtype):
    """Over four draws, as gradients of gates are sums that cancel to a different part in each."""
    spec = spec_of(layer, key=64, value=32, dtype=dtype)
    program, plain = program_of(spec, "rounded", PARTS), program_of(spec, "rounded", ())
    squares = []
    for seed, packed, alike in ((1, False, 0.0), (2, False, 1.0), (3, True, 0.3), (4, True, 0.0)):
        raw, seeds = draw(program, seed, packed, alike)
        cu_seqlens = PACKED if packed else None
        types = {name: program.inputs[name] for name in raw}
        wanted = prologue_cases.reference(prologue_cases.text_of(spec), raw, PARTS, seeds, cu_seqlens)
        inside = prologue_cases.run(program, raw, seeds, cu_seqlens)
        front = run_in_front(plain, types, raw, PARTS, seeds, cu_seqlens)
        assert set(inside) == set(front) == set(wanted)
        squares.append({name: [error(part[name], x) ** 2 for part in (inside, front)] for name, x in wanted.items()})
    for name in squares[0]:
        inside, front = np.sqrt(np.mean([found[name] for found in squares], axis=0))
        assert inside <= 1.1 * front, (name, inside, front)


@pytest.mark.parametrize("most", [1e4, np.inf])
@pytest.mark.parametrize("layer", ["gated_deltanet", "kda"])
def test_a_gate_without_bound_resets(layer, most):
    """And a large one gives gradients that are numbers, as do rates of 0 and 1."""
    spec = spec_of(layer, key=16, value=8, dtype="f64")
    program = program_of(spec, "f64", PARTS)
    raw, seeds = draw(program, 9)
    raw["a"][:, 40], raw["a"][:, 50], raw["b"][:, 45], raw["b"][:, 46] = most, -most, -most, most
    found = prologue_cases.run(program, raw, seeds)
    assert np.isfinite(found["o"]).all() and np.isfinite(found["final_state"]).all()
    assert most == np.inf or all(np.isfinite(x).all() for x in found.values())
    tail = {name: x[:, 40:] if name in ("q", "k", "v", "a", "b") else x for name, x in raw.items()}
    behind = program(**tail | {"initial_state": np.zeros_like(raw["initial_state"])})
    assert error(found["o"][:, 40:], behind["o"]) < 1e-12


@pytest.mark.parametrize("layer", ["gated_deltanet", "kda"])
def test_a_replay_rounds_as_the_forward(layer):
    """Gradients have the same bits whether states are made again from the first or from checkpoints of the forward."""
    spec = spec_of(layer, key=16, value=8)
    compiled = [
        wyvern.compile(spec, target="cpu", precision="rounded", training=True, save=save, prologue=PARTS)
        for save in ("factor", "checkpoints")
    ]
    rng = np.random.default_rng(7)
    raw, seeds = prologue_cases.draw_held(rng, compiled[0], 1, 600, 1)
    factor, checkpoints = (prologue_cases.run(program, raw, seeds) for program in compiled)
    assert all(np.array_equal(checkpoints[name], x) for name, x in factor.items())
