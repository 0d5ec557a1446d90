# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers with a prologue: random raw operands, and what the layer makes of them in float64, with gradients by
autograd, for CPU and GPU tests."""

import re

import numpy as np
import torch
import wyvern
from gradient_oracle import Recurrence


def draw(rng, inputs, batch, tokens, sequences=None, alike=0.0):
    """Returns float32 operands: rows of q and k of many sizes, of which `alike` says how far keys of a head point
    the same way; gates from nearly 0 to strong ones; logits of rates to where the sigmoid is 0 or 1."""
    raw = {}
    for name, info in inputs.items():
        if name == "cu_seqlens" or info.is_residual:
            continue
        sizes = {"seq": batch, "time": tokens}
        kinds = [kind for kind, _ in info.dims]
        if "seq" in kinds and "time" not in kinds:
            sizes["seq"] = sequences or batch
        shape = [sizes.get(kind, size) * rows for (kind, rows), size in zip(info.dims, map(abs, info.shape))]
        x = rng.standard_normal(shape)
        if name in ("q", "k"):
            x = x + 4 * alike * rng.standard_normal((1, 1, *shape[2:]))
            x = x * np.exp(rng.standard_normal((*shape[:-1], 1)))
        if name == "scale":
            x = np.exp(x)
        if info.is_gate:
            x = -np.abs(x)
        raw[name] = (x * {"a": 2, "b": 2, "A_log": 0.7}.get(name, 1)).astype(np.float32)
    return raw


def make(raw, parts, max_rate=1.0, lower_bound=None):
    """Returns the layer's operands, of tensors of torch."""
    made = {}
    for name, x in raw.items():
        if name in ("q", "k") and "norm" in parts:
            made[name] = x * torch.rsqrt((x * x).sum(-1, keepdim=True) + 1e-6)
        elif name == "a":
            made["g"] = decay(x, raw["A_log"], raw["dt_bias"], lower_bound)
        elif name == "b":
            made["beta"] = max_rate * x.sigmoid()
        elif name not in ("A_log", "dt_bias", "scale"):
            made[name] = x
    return made


def decay(a, A_log, dt_bias, lower_bound=None):
    """Returns the log decays of raw ones, a number or a row of channels a head, by bounded gates with a bound."""
    speed = A_log.exp().reshape(-1, *[1] * (a.ndim - 3))
    if lower_bound is not None:
        return lower_bound * (speed * (a + dt_bias)).sigmoid()
    return -speed * torch.nn.functional.softplus(a + dt_bias, threshold=1e9)


def text_of(spec):
    """Returns the recurrence of a layer, as `reference` reads it. That of a layer whose rates reach 2 says so."""
    import wyvern._compiler as compiler

    return compiler.read_spec(spec, "layer", "yaml", "f64")[0][1]


def reference(text, raw, parts, seeds, cu_seqlens=None, device="cpu"):
    """Returns outputs and gradients in float64, by autograd through the prologue and the recurrence, token by
    token, on a device."""
    put = lambda x: torch.tensor(x, dtype=torch.float64, device=device)
    given = {name: put(x).requires_grad_(name != "scale") for name, x in raw.items()}
    max_rate = max(map(float, re.findall(r"max_rate ([\d.e+]+)", text)), default=1.0)
    bound = re.search(r"delta.lower_bound = (-[\d.e+-]+)", text)
    recurrence = Recurrence(text)
    factor = given.pop("scale", None)
    if factor is not None:
        recurrence.scale = 1.0
    out = recurrence(cu_seqlens, **make(given, parts, max_rate, bound and float(bound[1])))
    if factor is not None:
        out["o"] = out["o"] * factor[:, None]
    loss = sum((out[name[2:]] * put(seed)).sum() for name, seed in seeds.items())
    found = torch.autograd.grad(loss, list(given.values()))
    return {name: x.detach().cpu().numpy() for name, x in out.items()} | {
        f"d_{name}": d.cpu().numpy() for name, d in zip(given, found)
    }


def store(info, x):
    """Returns the array as the tensor's type has it."""
    kinds = {"f64": np.float64, "f32": np.float32, "f16": np.float16}
    return wyvern.to_bf16(x.astype(np.float32)) if info.dtype == "bf16" else x.astype(kinds[info.dtype])


def read(info, x):
    """Returns the numbers of a stored array, in float64."""
    return (wyvern.from_bf16(x) if info.dtype == "bf16" else np.asarray(x)).astype(np.float64)


def draw_held(rng, program, batch, tokens, sequences, alike=0.0):
    """Returns raw operands and gradients of outputs that are numbers of the program's types."""
    raw = draw(rng, program.inputs, batch, tokens, sequences, alike)
    outputs = {name: info for name, info in program.outputs.items() if name not in program.residuals}
    first = lambda name: (batch, tokens) if name == "o" else (sequences,)
    seeds = {f"d_{name}": rng.standard_normal((*first(name), *info.shape[len(first(name)) :])) for name, info in outputs.items()}
    types = {**program.inputs, **program.backward.inputs}
    hold = lambda name, x: read(types[name], store(types[name], x))
    return tuple({name: hold(name, x) for name, x in part.items()} for part in (raw, seeds))


def run(program, raw, seeds, cu_seqlens=None):
    """Returns outputs and gradients of a compiled program, in float64."""
    given = {name: store(program.inputs[name], x) for name, x in raw.items()}
    out = program(**given, cu_seqlens=cu_seqlens)
    backward = program.backward
    every = {**given, **{name: out[name] for name in program.residuals}, "cu_seqlens": cu_seqlens}
    every |= {name: store(backward.inputs[name], x) for name, x in seeds.items()}
    gradients = backward(**{name: x for name, x in every.items() if name in backward.inputs})
    found = {name: read(backward.outputs[name], x) for name, x in gradients.items()}
    return found | {name: read(info, out[name]) for name, info in program.outputs.items() if name not in program.residuals}
