# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers at small sizes, and random inputs for steps of them, for CPU and GPU tests."""

import re
from typing import Any

import numpy as np


def small(text: str, key_heads=1, value_heads=2, key=32, value=64, dtype="bf16") -> str:
    """Returns a spec at these sizes. A spec with as many key heads as value heads keeps to that."""
    heads = re.search(r"^heads: \{key: (\d+), value: (\d+)\}", text, re.M)
    if heads is None or heads[1] == heads[2]:
        key_heads = value_heads
    places = {
        "heads": f"{{key: {key_heads}, value: {value_heads}}}",
        "dims": f"{{key: {key}, value: {value}}}",
        "dtype": dtype,
    }
    for name, place in places.items():
        text, found = re.subn(rf"^{name}:.*$", f"{name}: {place}", text, flags=re.M)
        assert found == 1, name
    return text


def draw(rng: np.random.Generator, inputs: Any, batch: int, tokens: int) -> dict[str, np.ndarray]:
    """Returns float32 operands of a step: rates to 2, gates that decay strongly now and then, and
    keys of which some repeat the one before."""
    drawn = {}
    for name, info in inputs.items():
        kinds = dict(info.dims)
        if "time" not in kinds:
            continue
        sizes = {"seq": batch, "time": tokens}
        shape = [sizes.get(kind, size) * rows for (kind, rows), size in zip(info.dims, map(abs, info.shape))]
        x = rng.standard_normal(shape)
        if info.is_gate:
            x = -np.exp(1.5 * x - 2)
        elif info.dtype == "f32":
            x = 2 * rng.random(shape)
        elif shape[1] > 1:
            x[:, 1::2] = np.where(rng.random(x[:, 1::2].shape[:2])[..., None, None] < 0.3, x[:, 0:-1:2][:, : x[:, 1::2].shape[1]], x[:, 1::2])
        if len(shape) == 4 and not info.is_gate:
            x = x / np.linalg.norm(x, axis=-1, keepdims=True)
        drawn[name] = x.astype(np.float32)
    return drawn


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """Returns ||found - wanted|| / ||wanted||."""
    found, wanted = np.float64(found), np.float64(wanted)
    return float(np.linalg.norm(found - wanted) / max(np.linalg.norm(wanted), 1e-30))


def raw_operands(rng: np.random.Generator, inputs: Any, batch: int, tokens: int, max_rate: int = 1) -> tuple[dict, dict]:
    """Returns float32 operands of a step with the prologues norm and gates, and in float64 those that it makes of
    them: gates from nearly 0 to strong, and logits of rates to where the sigmoid is 0 or 1."""
    raw = {}
    for name, info in inputs.items():
        if name in ("state", "read_slots", "write_slots", "lengths") or info.in_place:
            continue
        sizes = {"seq": batch, "time": tokens}
        shape = [sizes.get(kind, size) * rows for (kind, rows), size in zip(info.dims, map(abs, info.shape))]
        raw[name] = (rng.standard_normal(shape) * {"a": 4, "b": 4}.get(name, 1)).astype(np.float32)
    return raw, make_operands({name: x.astype(np.float64) for name, x in raw.items()}, max_rate)


def make_operands(raw: dict[str, np.ndarray], max_rate: int = 1) -> dict[str, np.ndarray]:
    """Returns what the prologues norm and gates make of operands, in float64."""
    made = {}
    for name, x in raw.items():
        if name in ("q", "k"):
            made[name] = x / np.sqrt((x * x).sum(-1, keepdims=True) + 1e-6)
        elif name == "a":
            made["g"] = -np.exp(raw["A_log"]).reshape(-1, *[1] * (x.ndim - 3)) * np.logaddexp(0, x + raw["dt_bias"])
        elif name == "b":
            made["beta"] = max_rate / (1 + np.exp(-x))
        elif name == "v":
            made["v"] = x
    return made
