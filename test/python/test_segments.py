# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sequences in segments that run at once (`delta-segment`) compute what whole ones do.

Every layer of specs/, against the float64 reference; and rounded, against the rounded
program of whole sequences, for the keys, rates and gates that are hard on a transition.
"""

import functools
import subprocess

import numpy as np
import pytest
from test_cpu import GATED, LAYERS, ROUNDED, TOLERANCE, check, error, make_inputs, rounded_to, spec, unit

import wyvern

_compiler = pytest.importorskip("wyvern._compiler", reason="built without the compiler")


@functools.lru_cache(maxsize=None)
def segmented(layer, dtype, tokens, **sizes):
    """The spec and its program, of segments of some tokens (0: of whole sequences)."""
    text = spec(layer, "f32" if dtype == "f64" else dtype, **sizes)
    precision = dtype if dtype in TOLERANCE else "rounded"
    return text, wyvern.compile(text, target="cpu", precision=precision, segment_tokens=tokens)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_is_cut(build_dir, layer):
    """The other tests would pass if it was not."""
    [(_, module, *_)] = _compiler.read_spec(spec(layer, "f32"), "spec", "yaml")
    command = [build_dir / "bin" / "wyvern-opt", "-", "--wyvern-to-staged=segment-tokens=128"]
    staged = subprocess.run(command, input=module, capture_output=True, text=True, check=True).stdout
    assert staged.count("delta.identity") == 1


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("layer", LAYERS)
def test_agrees_with_the_reference(layer, dtype):
    """Two batch rows, three segments and a part of a chunk; K is no V."""
    text, prog = segmented(layer, dtype, 128)
    check(prog, text, make_inputs(prog, 2, 390), TOLERANCE[dtype])


@pytest.mark.parametrize("layer", LAYERS)
def test_packed_sequences(layer):
    """Empty sequences, sequences of less than a chunk and of several segments; the last rows are nobody's."""
    text, prog = segmented(layer, "f32", 128)
    cu = np.cumsum([0, 0, 130, 0, 1, 300, 64, 0, 13])
    inputs = make_inputs(prog, 1, 520, len(cu) - 1)
    found = check(prog, text, {**inputs, "cu_seqlens": cu}, TOLERANCE["f32"])
    assert not found["o"][:, cu[-1] :].any()


@pytest.mark.parametrize("law", ["strong", "mixed"])
@pytest.mark.parametrize("layer", GATED)
def test_strong_gates(layer, law):
    text, prog = segmented(layer, "f32", 64)
    check(prog, text, make_inputs(prog, 1, 200, law=law), TOLERANCE["f32"])


HARD = {
    "plain": {},
    "one key": {"keys": "near"},
    "rates to 2": {"rates": 2.0},
    "strong gates": {"law": "strong"},
    "mixed gates": {"law": "mixed"},
}


def hard_inputs(prog, tokens, keys=None, rates=None, law="mild"):
    inputs = make_inputs(prog, 1, tokens, law=law)
    rng = np.random.default_rng(5)
    if keys == "near":
        shape = inputs["k"].shape
        inputs["k"] = unit(unit(rng.standard_normal((1, 1, *shape[2:]))) + unit(rng.standard_normal(shape)))
    if rates and "beta" in inputs:
        inputs["beta"] = rates * rng.random(inputs["beta"].shape)
    return inputs


@pytest.mark.parametrize("hard", HARD)
@pytest.mark.parametrize("layer", ROUNDED)
def test_rounds_as_whole_sequences_do(layer, hard):
    sizes = dict(key_dim=32, value_dim=16, heads=(1, 2))
    text, whole = segmented(layer, "bf16", 0, **sizes)
    _, prog = segmented(layer, "bf16", 256, **sizes)
    arrays, values = rounded_to(prog, hard_inputs(prog, 1000, **HARD[hard]))
    expected = wyvern.reference(text, **values)
    read = lambda x: wyvern.from_bf16(x) if x.dtype == np.uint16 else x
    for name, one in whole(**arrays).items():
        other = prog(**arrays)[name]
        bound = error(read(one), expected[name])
        found = error(read(other), expected[name])
        print(f"\nRATIO {layer} {hard} {name} {bound:.2e} {found:.2e} {found / bound:.3f}")
        # What goes between segments has 16 significant bits.
        assert found <= 1.1 * bound + 1e-5, (name, found, bound)


def test_training():
    """The backward is cut too: gradients stay what they are without segments."""
    text = spec("gated_deltanet", "f32")
    whole, cut = (wyvern.compile(text, target="cpu", training=True, segment_tokens=n) for n in (0, 128))
    arrays, _ = rounded_to(whole, make_inputs(whole, 1, 390))
    gradients = []
    for program in (whole, cut):
        outs = program(**arrays)
        known = {name: x for name, x in {**arrays, **outs}.items() if name in program.backward.inputs}
        d_o, d_state = (np.random.default_rng(3).standard_normal(outs[n].shape).astype(np.float32) for n in ("o", "final_state"))
        gradients.append(program.backward(**known, d_o=d_o, d_final_state=d_state))
    for name, expected in gradients[0].items():
        assert error(gradients[1][name], expected) <= 2e-5, name


def test_options():
    with pytest.raises(ValueError, match="segment_tokens: expected at least 0, found -1"):
        wyvern.compile(spec("gla", "f32"), target="cpu", segment_tokens=-1)
