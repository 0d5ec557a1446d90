# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Selective RoPE at small sizes, its operands, and what it computes in float64, for tests of its steps and prompts on CPU
and GPU."""

import pathlib
import re

import numpy as np

SPEC = (pathlib.Path(__file__).resolve().parents[2] / "specs" / "layers" / "selective_rope.yaml").read_text()
PER_HEAD = ("A_log", "dt_bias")


def text(heads, dims, dtype="f32"):
    """Returns the spec with these (key, value) heads and dims."""
    places = {"heads": f"{{key: {heads[0]}, value: {heads[1]}}}", "dims": f"{{key: {dims[0]}, value: {dims[1]}}}", "dtype": dtype}
    changed = SPEC
    for name, place in places.items():
        changed, found = re.subn(rf"^{name}:.*$", f"{name}: {place}", changed, flags=re.M)
        assert found == 1, name
    return changed


def draw(rng, batch, tokens, heads, dims):
    """Returns float32 operands, of which angles go round every few tokens."""
    key, value = heads
    shapes = {"q": (key, dims[0]), "k": (key, dims[0]), "v": (value, dims[1]), "theta": (key, dims[0] // 2), "a": (value,), "b": (value,)}
    drawn = {name: rng.standard_normal([batch, tokens, *shape]) for name, shape in shapes.items()}
    drawn["theta"] *= 2
    drawn |= {name: rng.standard_normal(value) for name in PER_HEAD}
    return {name: x.astype(np.float32) for name, x in drawn.items()}


def cut(inputs, first, last, sequences=slice(None)):
    """Returns some tokens of operands."""
    return {name: x if name in PER_HEAD else x[sequences, first:last] for name, x in inputs.items()}


def in_float64(inputs, states, angles):
    """Returns o, the last states [N, heads, K, V] and the last angles, which are never reduced."""
    x = {name: value.astype(np.float64) for name, value in inputs.items()}
    phi = angles[:, None] + x["theta"].cumsum(1)
    group, channels = x["v"].shape[2] // x["q"].shape[2], x["q"].shape[3]

    def turned(rows):
        rows = rows / np.sqrt(np.square(rows).sum(-1, keepdims=True) + 1e-6)
        first, second = np.split(rows, 2, -1)
        both = [first * np.cos(phi) - second * np.sin(phi), first * np.sin(phi) + second * np.cos(phi)]
        return np.concatenate(both, -1).repeat(group, 2)

    q, k = turned(x["q"]), turned(x["k"])
    decay = np.exp(-np.exp(x["A_log"]) * np.logaddexp(0, x["a"] + x["dt_bias"]))
    rate, o = 1 / (1 + np.exp(-x["b"])), []
    for t in range(phi.shape[1]):
        states = states * decay[:, t, :, None, None]
        error = x["v"][:, t] - np.matmul(k[:, t, :, None], states)[:, :, 0]
        states = states + k[:, t, ..., None] * (rate[:, t, :, None] * error)[:, :, None]
        o.append(np.matmul(q[:, t, :, None], states)[:, :, 0] * channels**-0.5)
    return np.stack(o, 1) if o else np.zeros_like(x["v"]), states, phi[:, -1] if o else angles


def off(angles, wanted):
    """Returns how far angles are off, less whole turns."""
    return np.abs(np.remainder(np.float64(angles) - wanted + np.pi, 2 * np.pi) - np.pi).max()
