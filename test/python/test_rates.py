# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rates above 1: one key over and over, where a factor in one part makes states grow.

The rounded program on the CPU, in bf16 at head dims 128, against float64. A run of one
token gives a layer such keys; at rate 2 the exact state only changes its sign.
"""

import functools

import numpy as np
import pytest
import wyvern

_compiler = pytest.importorskip("wyvern._compiler", reason="built without the compiler")

HEADS, DIM, TOKENS = 4, 128, 1024


def spec(max_rate, decay="none", dtype="bf16", dim=DIM, heads=HEADS):
    step = {"write": "k", "value": "v", "rate": "beta"}
    if max_rate != 1:
        step["max_rate"] = max_rate
    return {
        "name": "rates",
        "heads": {"key": heads, "value": heads},
        "dims": {"key": dim, "value": dim},
        "dtype": dtype,
        "decay": decay,
        "steps": [step],
    }


@functools.cache
def program(max_rate, training=False):
    return wyvern.compile(spec(max_rate), target="cpu", precision="rounded", training=training)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def draw(rate, spread, seed=0):
    """Inputs in bf16: keys `spread` away from one a head."""
    random = np.random.default_rng(seed)
    shape = (1, TOKENS, HEADS, DIM)
    normal = lambda *size: random.standard_normal(size)
    shared = unit(normal(1, 1, HEADS, DIM))
    inputs = {
        "q": wyvern.to_bf16(unit(normal(*shape))),
        "k": wyvern.to_bf16(unit(shared + spread * unit(normal(*shape)))),
        "v": wyvern.to_bf16(normal(*shape)),
        "beta": np.full(shape[:3], rate, np.float32),
    }
    return inputs


def wide(arrays):
    return {name: wyvern.from_bf16(x) if x.dtype == np.uint16 else x for name, x in arrays.items()}


def error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def error_of_o(max_rate, rate, spread):
    inputs = draw(rate, spread)
    found = wide(program(max_rate)(**inputs))["o"]
    return error(found, wyvern.reference(spec(max_rate), **wide(inputs))["o"])


@pytest.mark.parametrize("rate, spread, most", [(2, 0, 0.2), (1.9, 0, 0.1), (2, 0.1, 0.06)])
def test_repeated_keys(rate, spread, most):
    """Against a factor in one part, which does not stay below."""
    assert error_of_o(2, rate, spread) <= most < error_of_o(1, rate, spread)


def test_rates_to_1_change_no_bit():
    """A bound of 1 is what a layer has without one."""
    inputs = draw(1, 0)
    found, expected = program(1)(**inputs), wyvern.compile(spec(1.0), target="cpu", precision="rounded")(**inputs)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_number_above_1_declares_itself():
    text = lambda rate: {**spec(1), "steps": [{"write": "k", "value": "v", "rate": rate}]}
    inputs = draw(2, 0)
    del inputs["beta"]
    found = wide(wyvern.compile(text(2), target="cpu", precision="rounded")(**inputs))["o"]
    assert error(found, wyvern.reference(text(2), **wide(inputs))["o"]) <= 0.2


@pytest.mark.parametrize("save", ["factor", "states", "none"])
def test_gradients_of_repeated_keys(save):
    """Against the rounded program's own float32 one: the chain of gradients does not grow either."""
    inputs = draw(2, 0.1)
    random = np.random.default_rng(5)
    seed = random.standard_normal((1, TOKENS, HEADS, DIM))
    gradients = {}
    for precision in ("rounded", "f64"):
        text = spec(2, dtype="bf16" if precision == "rounded" else "f64")
        given = inputs if precision == "rounded" else {n: x.astype(np.float64) for n, x in wide(inputs).items()}
        pair = wyvern.compile(text, target="cpu", precision=precision, training=True, save=save)
        out = pair(**given)
        saved = {name: out[name] for name in pair.residuals}
        d_o = wyvern.to_bf16(seed) if precision == "rounded" else wyvern.from_bf16(wyvern.to_bf16(seed)).astype(np.float64)
        known = {**given, **saved, "d_o": d_o}
        gradients[precision] = wide(pair.backward(**{n: x for n, x in known.items() if n in pair.backward.inputs}))
    for name in ("d_q", "d_k", "d_v"):
        assert error(gradients["rounded"][name], gradients["f64"][name]) <= 0.1, name
