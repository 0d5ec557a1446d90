# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""CPU programs of every layer in specs/ against the float64 reference.

The reference is itself checked against the papers (test_recurrences.py). Sizes are
small and odd on purpose: K and V are no powers of two, chunks are partial, and two
value heads share a key head.
"""

import functools
import pathlib
import re

import numpy as np
import pytest

import wyvern

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYERS = [
    "delta_net-340M",
    "gated_deltanet",
    "deltaproduct",
    "gated_deltaproduct",
    "kda",
    "gdn2",
    "comba",
    "pgdn",
    "pkda",
    "rwkv7",
    "linear_attention",
    "gla",
    "ssd",
]
GATED = [name for name in LAYERS if name not in ("delta_net-340M", "deltaproduct", "linear_attention")]
ROUNDED = ["delta_net-340M", "gated_deltanet", "deltaproduct", "gated_deltaproduct", "kda", "linear_attention", "ssd"]
TOLERANCE = {"f32": 1e-5, "f64": 1e-11}


def spec(layer, dtype, key_dim=20, value_dim=12, heads=(2, 4), repeat=None):
    """The text of specs/<layer>.yaml with other sizes."""
    text = (ROOT / "specs" / f"{layer}.yaml").read_text()
    key_heads = 1 if layer == "ssd" else heads[0]
    text = re.sub(r"heads: .*", f"heads: {{key: {key_heads}, value: {heads[1]}}}", text)
    text = re.sub(r"dims: .*", f"dims: {{key: {key_dim}, value: {value_dim}}}", text)
    text = re.sub(r"dtype: .*", f"dtype: {dtype}", text)
    return text if repeat is None else text.replace("repeat: 2", f"repeat: {repeat}")


@functools.lru_cache(maxsize=None)
def compiled(text, precision):
    return wyvern.compile(text, target="cpu", precision=precision)


def program(layer, precision="f32", **sizes):
    """(spec, program): f32 and f64 compute in what they are given."""
    text = spec(layer, "f32" if precision == "f64" else precision, **sizes)
    return text, compiled(text, precision)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def gates(rng, shape, law):
    """`mild`, `strong` (to -60 a token), or `mixed`: -8 for 30 tokens, then -0.01."""
    if law == "mixed":
        token = np.arange(shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
        return np.broadcast_to(np.where(token < 30, -8.0, -0.01), shape).copy()
    return -60 * rng.random(shape) if law == "strong" else -0.3 * rng.random(shape)


def make_inputs(prog, batch, tokens, sequences=None, law="mild", seed=0):
    """Random float64 inputs by name, each of the law of its role."""
    rng = np.random.default_rng(seed)
    inputs = {}
    for name, _, shape, dims, is_gate, *_ in prog.inputs.values():
        sizes = {"seq": batch, "time": tokens}
        full = [size if size >= 0 else sizes[kind] * n for size, (kind, n) in zip(shape, dims) if name != "cu_seqlens"]
        if name == "initial_state":
            inputs[name] = rng.standard_normal([sequences or batch, *shape[1:]])
        elif is_gate:
            inputs[name] = gates(rng, full, law)
        elif name in ("beta", "b", "w", "m"):
            inputs[name] = rng.random(full)
        elif name != "cu_seqlens":
            inputs[name] = rng.standard_normal(full)
    for name in ("q", "k", "r"):
        if name in inputs:
            inputs[name] = unit(inputs[name])
    if "p" in inputs:
        # What Comba and RWKV-7 erase with is near what they write, else states grow.
        near = inputs["r"] if "r" in inputs else inputs["k"]
        inputs["p"] = near * (-1 if "r" in inputs else 1) * rng.uniform(0.3, 0.9, near.shape)
    return inputs


def rounded_to(prog, inputs):
    """The inputs as the program takes them, and as the reference reads those."""
    arrays = {}
    for name, value in inputs.items():
        dtype = prog.inputs[name][1]
        to = {"bf16": wyvern.to_bf16, "f16": np.float16, "f32": np.float32, "f64": np.float64, "i64": np.int64}
        arrays[name] = to[dtype](value)
    values = {name: wyvern.from_bf16(x) if x.dtype == np.uint16 else x for name, x in arrays.items()}
    return arrays, values


def error(found, expected):
    assert found.shape == expected.shape
    return np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-300)


def check(prog, text, inputs, tolerance):
    arrays, values = rounded_to(prog, inputs)
    found, expected = prog(**arrays), wyvern.reference(text, **values)
    for name in ("o", "final_state"):
        assert error(found[name], expected[name]) <= tolerance, name
    return found


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("layer", LAYERS)
def test_agrees_with_the_reference(layer, precision):
    """Two batch rows, three chunks and the last one partial."""
    text, prog = program(layer, precision)
    check(prog, text, make_inputs(prog, 2, 150), TOLERANCE[precision])


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("layer", LAYERS)
def test_packed_sequences(layer, precision):
    """Variable and zero lengths; the last rows belong to no sequence and are zero."""
    text, prog = program(layer, precision)
    cu = np.cumsum([0, 64, 0, 1, 70, 0, 13])
    inputs = make_inputs(prog, 1, 155, len(cu) - 1)
    found = check(prog, text, {**inputs, "cu_seqlens": cu}, TOLERANCE[precision])
    assert not found["o"][:, cu[-1] :].any()


@pytest.mark.parametrize("law", ["strong", "mixed"])
@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("layer", GATED)
def test_strong_gates(layer, precision, law):
    text, prog = program(layer, precision)
    check(prog, text, make_inputs(prog, 1, 100, law=law), TOLERANCE[precision])


@pytest.mark.parametrize("layer", LAYERS)
def test_unstaged_program(layer):
    """Not yet cut into a map and a chain, with solves by substitution."""
    from wyvern import _compiler

    text = spec(layer, "f32")
    [(name, module, *_)] = _compiler.read_spec(text, "spec", "yaml")
    prog = wyvern.CpuProgram(_compiler.compile_cpu(module, name, "wy"), "f32")
    cu = np.cumsum([0, 64, 0, 1, 70, 13])
    inputs = make_inputs(prog, 1, 150, len(cu) - 1)
    check(prog, text, {**inputs, "cu_seqlens": cu}, TOLERANCE["f32"])


@pytest.mark.parametrize("repeat", [1, 3, 5])
def test_rows_that_do_not_fill_a_chunk(repeat):
    """64 / 3 tokens a chunk do not divide, and blocks of halving are uneven."""
    text, prog = program("gated_deltaproduct", repeat=repeat)
    check(prog, text, make_inputs(prog, 1, 50), TOLERANCE["f32"])


@pytest.mark.parametrize("sizes", [dict(key_dim=1, value_dim=1, heads=(1, 1)), dict(key_dim=33, value_dim=7, heads=(3, 3))])
def test_odd_sizes(sizes):
    text, prog = program("kda", **sizes)
    check(prog, text, make_inputs(prog, 1, 67), TOLERANCE["f32"])


@pytest.mark.parametrize("layer", ["gated_deltanet", "kda"])
def test_no_tokens(layer):
    text, prog = program(layer)
    inputs = make_inputs(prog, 2, 0)
    found = check(prog, text, inputs, 0)
    assert found["o"].shape == (2, 0, 4, 12)
    assert np.array_equal(found["final_state"], inputs["initial_state"].astype(np.float32))


def test_initial_state_defaults_to_zero():
    _, prog = program("delta_net-340M")
    arrays, _ = rounded_to(prog, make_inputs(prog, 2, 20))
    arrays["initial_state"][:] = 0
    expected = prog(**arrays)
    del arrays["initial_state"]
    assert all(np.array_equal(prog(**arrays)[name], expected[name]) for name in expected)
    packed = prog(**{name: x[:1] for name, x in arrays.items()}, cu_seqlens=np.array([0, 5, 20]))
    assert packed["final_state"].shape == (2, 4, 20, 12)


def same(a, b):
    return np.array_equal(np.ascontiguousarray(a).view(np.uint8), np.ascontiguousarray(b).view(np.uint8))


@pytest.mark.parametrize("layer", ["gated_deltanet", "kda", "rwkv7", "deltaproduct"])
def test_nan_stays_in_its_sequence(layer):
    """NaN in one sequence, and past the last, leaves the others bitwise unchanged."""
    _, prog = program(layer)
    cu = np.array([0, 70, 103, 150])
    arrays, _ = rounded_to(prog, make_inputs(prog, 1, 160, 3))
    clean = prog(**arrays, cu_seqlens=cu)
    for name, x in arrays.items():
        rows = x.shape[1] // 160
        if name != "initial_state":
            x[:, 70 * rows : 103 * rows] = np.nan
            x[:, 150 * rows :] = np.nan
    arrays["initial_state"][1] = np.nan
    found = prog(**arrays, cu_seqlens=cu)
    assert np.isnan(found["o"][:, 70:103]).all()
    for begin, end in ((0, 70), (103, 150)):
        assert same(found["o"][:, begin:end], clean["o"][:, begin:end])
    assert not found["o"][:, 150:].any()
    for n in (0, 2):
        assert same(found["final_state"][n], clean["final_state"][n])


@pytest.mark.parametrize("layer", ["gated_deltanet", "kda"])
def test_a_sequence_alone_batched_or_packed(layer):
    _, prog = program(layer)
    arrays, _ = rounded_to(prog, make_inputs(prog, 3, 70))
    batched = prog(**arrays)
    packed_arrays = {n: x if n == "initial_state" else x.reshape(1, -1, *x.shape[2:]) for n, x in arrays.items()}
    packed = prog(**packed_arrays, cu_seqlens=np.arange(0, 211, 70, dtype=np.int32))
    alone = prog(**{name: x[1:2] for name, x in arrays.items()})
    assert same(batched["o"][1], alone["o"][0]) and same(packed["o"][0, 70:140], alone["o"][0])
    for other in (batched, packed):
        assert same(other["final_state"][1], alone["final_state"][0])


def test_repeats_are_bitwise_equal():
    _, prog = program("gated_deltanet")
    arrays, _ = rounded_to(prog, make_inputs(prog, 2, 150))
    first = prog(**arrays)
    for _ in range(5):
        again = prog(**arrays)
        assert all(same(first[name], again[name]) for name in first)


def test_strided_views():
    """Any strides do, and inputs are not written to."""
    text, prog = program("gdn2")
    arrays, _ = rounded_to(prog, make_inputs(prog, 2, 70))
    expected = prog(**arrays)
    views = {}
    for name, x in arrays.items():
        wide = np.full([2 * n for n in x.shape], np.nan, x.dtype)
        views[name] = wide[tuple(slice(None, None, 2) for _ in x.shape)]
        views[name][...] = x
    views["k"] = np.moveaxis(np.ascontiguousarray(np.moveaxis(arrays["k"], 3, 0)), 0, 3)[:, ::1]
    views["v"] = np.ascontiguousarray(arrays["v"][:, ::-1])[:, ::-1]
    found = prog(**views)
    assert all(same(found[name], expected[name]) for name in expected)
    assert all(np.array_equal(views[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize("layer", ROUNDED)
@pytest.mark.parametrize("dtype,low,high", [("bf16", 1e-3, 5e-3), ("f16", 1e-4, 1e-3)])
def test_rounded_program(layer, dtype, low, high):
    """Rounded operands: an error of their size, neither none nor more."""
    text = spec(layer, dtype, key_dim=32, value_dim=32)
    prog = compiled(text, "rounded")
    arrays, values = rounded_to(prog, make_inputs(prog, 1, 200))
    found, expected = prog(**arrays), wyvern.reference(text, **values)
    o = wyvern.from_bf16(found["o"]) if dtype == "bf16" else found["o"].astype(float)
    assert low < error(o, expected["o"]) < high
    assert error(found["final_state"], expected["final_state"]) < high


def test_head_dim_128():
    """DeltaNet of specs/ as it is, but for its heads: the size of a real model."""
    text = spec("delta_net-340M", "bf16", 128, 128, heads=(2, 2))
    prog = compiled(text, "rounded")
    arrays, values = rounded_to(prog, make_inputs(prog, 1, 300))
    found, expected = prog(**arrays), wyvern.reference(text, **values)
    assert error(wyvern.from_bf16(found["o"]), expected["o"]) < 4.2e-3
    assert error(found["final_state"], expected["final_state"]) < 3.9e-3


@pytest.mark.parametrize("path", sorted((ROOT / "specs/models").glob("*.yaml")), ids=lambda path: path.stem)
def test_models(path):
    """The layers of public models with all of their heads."""
    text = path.read_text()
    prog = compiled(text, "rounded")
    arrays, values = rounded_to(prog, make_inputs(prog, 1, 70))
    found, expected = prog(**arrays), wyvern.reference(text, **values)
    assert error(wyvern.from_bf16(found["o"]), expected["o"]) < 4.2e-3
    assert error(found["final_state"], expected["final_state"]) < 3.9e-3


@pytest.mark.parametrize("beta", [0.9, 1.8])
def test_correlated_keys(beta):
    """Keys at cosine 0.8 and rates near 1 or 2: triangular systems far from easy."""
    text, prog = program("delta_net-340M")
    inputs = make_inputs(prog, 1, 130)
    base = unit(np.random.default_rng(1).standard_normal((1, 1, 2, 20)))
    inputs["k"] = unit(0.8 * base + 0.6 * unit(inputs["k"]))
    inputs["beta"] = beta + 0.1 * inputs["beta"]
    check(prog, text, inputs, 1e-4)


@pytest.mark.parametrize("dtype, rate, bound", [("bf16", 1.0, 0.06), ("bf16", 1.9, 0.5), ("f16", 1.9, 0.03), ("f16", 2.0, 0.9)])
def test_one_key_over_and_over(dtype, rate, bound):
    """A run of one token, to the length where the rounded program once was off by a thousand."""
    tokens, rng = 1024, np.random.default_rng(1)
    text = spec("delta_net-340M", dtype, 64, 64, (1, 1))
    prog = compiled(text, "rounded")
    q, v = rng.standard_normal((2, 1, tokens, 1, 64))
    k = np.broadcast_to(unit(rng.standard_normal(64)), q.shape)
    arrays, values = rounded_to(prog, {"q": q / 8, "k": k, "v": v, "beta": np.full((1, tokens, 1), rate)})
    found, expected = prog(**arrays), wyvern.reference(text, **values)
    o = wyvern.from_bf16(found["o"]) if dtype == "bf16" else found["o"]
    assert error(o, expected["o"]) < bound and error(found["final_state"], expected["final_state"]) < bound
