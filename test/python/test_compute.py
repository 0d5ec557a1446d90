# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`compute` of a spec: what a layer makes of its arguments for each token, forward and backward, on the CPU.

Judged by autograd through the same expressions and the recurrence in float64, token by token (compute_cases.py)."""

import functools
from pathlib import Path

import numpy as np
import pytest
import wyvern
from step_cases import error, small

pytest.importorskip("wyvern._compiler", reason="built without the compiler")
pytest.importorskip("torch")

import compute_cases
import prologue_cases
import torch
import wyvern.torch

ROOT = Path(__file__).resolve().parents[2]
TIME = 83  # one chunk of 64 rows and a part
PACKED = np.array([0, 1, 1, 66, 80])  # lengths 1, 0, 65, 14; three rows that nobody owns


def file(name):
    return (ROOT / "specs" / "layers" / f"{name}.yaml").read_text()


def layer(compute, steps="{write: k, value: v, rate: beta}", decay="head", more=""):
    lines = "".join(f"  - {line}\n" for line in compute)
    return f"""name: layer
heads: {{key: 2, value: 2}}
dims: {{key: 16, value: 8}}
dtype: bf16
decay: {decay}
compute:
{lines}{more}steps:
  - {steps}
"""


LAYERS = {
    "kda": file("kda"),
    "rwkv7": file("rwkv7"),
    "names": layer(
        ["g: -exp(speed) * softplus(x + shift)", "beta: 2 * sigmoid(y)", "k: normalize(silu(k))", "q: normalize(silu(q))"],
        more="parameters: {speed: head, shift: head}\n",
    ),
    "products": layer(
        ["m: sigmoid(m)", "k: normalize(k)", "b: sigmoid(b) * k"],
        "{write: m * k, erase: b, written: w * v}",
        "channel",
    ),
    "scaled keys": layer(
        ["k: eta * normalize(k) - (k - p) * 0.125", "p: eta * p", "v: v + u * exp(-0.5 * v)"],
        "{write: k, erase: p, value: v, reads: before_decay}",
        more="inputs: {eta: head}\nparameters: {u: value}\n",
    ),
    "repeated": layer(["k: normalize(k)", "beta: sigmoid(b)", "v: silu(v)"], "{write: k, value: v, rate: beta, repeat: 3}"),
    "parameters of repeated rows": layer(
        ["q: normalize(q * w)", "k: normalize(k * s)", "v: v * silu(u)", "beta: sigmoid(b + c)"],
        "{write: k, value: v, rate: beta, repeat: 3}",
        more="parameters: {w: key, s: key, u: value, c: head}\n",
    ),
    "groups": layer(["k: normalize(k)", "q: normalize(q)", "beta: sigmoid(b)"], decay="none").replace("value: 2}\nd", "value: 4}\nd"),
    "angles": layer(
        ["phi: running_sum(theta)", "q: rotate(normalize(q), phi)", "k: rotate(normalize(k), phi)", "beta: sigmoid(b)"], more="resume: true\n"
    ),
    "angles of a call": layer(
        ["phi: running_sum(theta)", "q: rotate(q, phi + f)", "k: rotate(k, -(1.5 - phi))"],
        "{write: k, erase: none, value: v}",
        "channel",
        more="parameters: {f: angle}\n",
    ),
    "parameters read again": layer(
        ["q: q * normalize(w + w * w) - w * softplus(w)", "k: normalize(k * sigmoid(s))", "v: v * silu(u) + u", "beta: sigmoid(b * s + s)"],
        more="parameters: {w: key, s: head, u: value}\n",
    ),
    "gates of one": layer(["g: -softplus(a)", "q: q * (1 + w)"], more="parameters: {w: key}\n"),
}


@functools.lru_cache(maxsize=None)
def program_of(spec, precision):
    return wyvern.compile(spec, target="cpu", precision=precision, training=True)


def errors(spec, precision, seed, packed=False):
    """Returns the error of each output and gradient, by name."""
    program = program_of(spec, precision)
    rng = np.random.default_rng(seed)
    batch, tokens, sequences = (1, int(PACKED[-1]) + 3, len(PACKED) - 1) if packed else (2, TIME, 2)
    raw, seeds = prologue_cases.draw_held(rng, program, batch, tokens, sequences)
    cu_seqlens = PACKED if packed else None
    found = prologue_cases.run(program, raw, seeds, cu_seqlens)
    text = prologue_cases.text_of(compute_cases.recurrence_of(spec))
    wanted = compute_cases.reference(spec, text, raw, seeds, cu_seqlens)
    assert set(found) == set(wanted)
    return {name: compute_cases.error(name, found[name], x) for name, x in wanted.items()}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_compute_is_exact_in_float64(name, packed):
    text = LAYERS[name]
    key_heads = 1 if name == "groups" else 2
    spec = small(text, key_heads=key_heads, key=16, value=8, dtype="f64") if name != "groups" else text.replace("bf16", "f64")
    found = errors(spec, "f64", seed=1, packed=packed)
    assert max(found.values()) < 1e-9, found


def test_angles_go_on_in_another_call():
    """Two calls are one: states and angles of the first are those that the second starts from."""
    spec = LAYERS["angles"].replace("bf16", "f64")
    program = program_of(spec, "f64")
    rng = np.random.default_rng(3)
    raw, _ = prologue_cases.draw_held(rng, program, 2, TIME, 2)
    raw["theta"] *= 3
    whole = program(**raw)
    cut = lambda part: {n: x[:, part] if n in ("q", "k", "v", "g", "b", "theta") else x for n, x in raw.items()}
    first = program(**cut(slice(0, 41)))
    ends = {"initial_state": first["final_state"], "initial_phi": first["final_phi"]}
    second = program(**cut(slice(41, None)) | ends)
    assert np.abs(first["final_phi"]).max() <= np.pi * (1 + 1e-12)
    assert error(np.concatenate([first["o"], second["o"]], 1), whole["o"]) < 1e-12
    for name in ("final_state", "final_phi"):
        assert error(second[name], whole[name]) < 1e-12


def test_rounded_angles_lose_what_rounding_takes():
    spec = LAYERS["angles"].replace("dims: {key: 16, value: 8}", "dims: {key: 128, value: 64}")
    found = errors(spec, "rounded", seed=4, packed=True)
    assert 1e-4 < found["o"] < 8e-3 and max(found.values()) < 1.5e-2, found


@pytest.mark.parametrize("key", [96, 192])
def test_rows_of_any_length_turn(key):
    """Rows that a GPU fills up to whole blocks keep their halves, and its kernels the bits; more than 64 angles turn in parts."""
    spec = LAYERS["angles"].replace("dims: {key: 16, value: 8}", f"dims: {{key: {key}, value: 64}}").replace("heads: {key: 2, value: 2}", "heads: {key: 1, value: 1}")
    assert max(errors(spec.replace("bf16", "f64"), "f64", seed=5).values()) < 1e-9
    rounded, kernels = (wyvern.compile(spec, target="cpu", precision="rounded", schedule=x) for x in (None, "separate"))
    raw, _ = prologue_cases.draw_held(np.random.default_rng(9), program_of(spec, "rounded"), 1, 70, 1)
    raw = {n: prologue_cases.store(rounded.inputs[n], x) for n, x in raw.items()}
    found, wanted = kernels(**raw), rounded(**raw)
    assert all(np.array_equal(found[n], x) for n, x in wanted.items())


def test_is_an_op_of_torch():
    """With the gradients of parameters, through autograd."""
    spec = small(LAYERS["kda"], key=16, value=8, dtype="bf16")
    op = wyvern.torch.op(spec)
    assert op.operands == ("q", "A_log", "f", "dt_bias", "k", "v", "b")
    rng = np.random.default_rng(5)
    raw, seeds = prologue_cases.draw_held(rng, program_of(small(spec, key=16, value=8, dtype="f64"), "f64"), 2, 37, 2)
    text = prologue_cases.text_of(compute_cases.recurrence_of(spec))
    wanted = compute_cases.reference(spec, text, raw, seeds)
    given = {name: torch.tensor(x, requires_grad=True) for name, x in raw.items()}
    o, state = op(**given, output_final_state=True)
    loss = (o * torch.tensor(seeds["d_o"])).sum() + (state * torch.tensor(seeds["d_final_state"])).sum()
    found = dict(zip(given, torch.autograd.grad(loss, list(given.values()))))
    assert error(o.detach().numpy(), wanted["o"]) < 1e-11
    assert max(error(x.numpy(), wanted[f"d_{name}"]) for name, x in found.items()) < 1e-9


def test_a_character_of_several_bytes_is_told_whole():
    with pytest.raises(wyvern.CompileError, match=r"found '×'\n"):
        wyvern.compile(layer(["q: normalize(q) × 2"]), target="cpu")


@pytest.mark.parametrize("name", ["kda", "rwkv7", "names", "products", "scaled keys"])
def test_the_step_of_decoding_computes_it_too(name):
    spec = small(LAYERS[name], key=16, value=8, dtype="f64")
    step = wyvern.compile(spec, target="cpu", serving=wyvern.Pool("kv"))
    rng = np.random.default_rng(6)
    raw, _ = prologue_cases.draw_held(rng, program_of(spec, "f64"), 3, 5, 3)
    wanted = program_of(spec, "f64")(**raw)
    pool = raw.pop("initial_state").copy()
    slots = np.arange(3, dtype=np.int32)
    o = step.step(state=pool, read_slots=slots, write_slots=slots, **raw)
    assert error(o, wanted["o"]) < 1e-12
    assert error(pool, wanted["final_state"]) < 1e-12


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_the_float64_reference_computes_it(name, packed):
    """Without rounding any constant to the spec's type, which is bf16."""
    spec = small(LAYERS[name], key=16, value=8) if "32" in LAYERS[name].split("dims")[0] else LAYERS[name]
    batch, tokens, sequences = (1, int(PACKED[-1]) + 3, len(PACKED) - 1) if packed else (2, 37, 2)
    rng = np.random.default_rng(7)
    raw, _ = prologue_cases.draw_held(rng, program_of(spec, "f64"), batch, tokens, sequences)
    cu_seqlens = PACKED if packed else None
    found = wyvern.reference(spec, cu_seqlens=cu_seqlens, **raw)
    wanted = {n: x for n, x in program_of(spec, "f64")(cu_seqlens=cu_seqlens, **raw).items() if n in found}
    assert "o" in wanted and set(found) == set(wanted)
    for n, x in wanted.items():
        assert compute_cases.error(n, found[n], x) < 1e-11, n


def test_the_float64_reference_starts_angles_at_zero():
    spec = LAYERS["angles"]
    raw, _ = prologue_cases.draw_held(np.random.default_rng(8), program_of(spec, "f64"), 2, 9, 2)
    zeros = {n: np.zeros_like(raw[n]) for n in ("initial_state", "initial_phi")}
    rest = {n: x for n, x in raw.items() if n not in zeros}
    assert np.array_equal(wyvern.reference(spec, **rest)["o"], wyvern.reference(spec, **rest, **zeros)["o"])
