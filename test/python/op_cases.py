# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small layers for the tests of ops, in every framework: specs, inputs, and what the
token recurrence of gradient_oracle.py says of them, in float64 and through autograd."""

import delta_oracle
import torch
from gradient_oracle import Recurrence
from wyvern._core.specs import read_layer, read_source

SIZES = {"heads": {"key": 2, "value": 4}, "dims": {"key": 8, "value": 6}}
DELTA = {"write": "k", "value": "v", "rate": "beta"}
LAYERS = {
    "gated": {"decay": "head", "steps": [DELTA]},
    "repeated": {"steps": [DELTA | {"repeat": 2}]},  # two rows a token
    "products": {"decay": "channel", "steps": [{"write": "k", "erase": "b * k", "written": "w * v"}]},
    "sum": {"decay": "head", "scale": 0.5, "steps": [{"write": "k", "erase": "none", "value": "v"}]},  # saves nothing
    "before": {
        "decay": "channel",
        "steps": [
            {"write": "p", "erase": "r", "rate": -1, "reads": "before_decay"},
            {"write": "k", "erase": "none", "value": "v"},
        ],
    },
}
# A layer with parameters, which have no batch.
PARAMETERS = {
    "name": "parameters",
    "dtype": "bf16",
    **SIZES,
    "decay": "head",
    "compute": [{"g": "-exp(A) * softplus(a)"}, {"k": "normalize(k * w)"}],
    "parameters": {"A": "head", "w": "key"},
    "steps": [DELTA],
}
# A layer that computes all of its operands, of arguments of every kind.
COMPUTES = {
    "name": "computes",
    "heads": {"key": 2, "value": 4},
    "dims": {"key": 8, "value": 8},
    "decay": "head",
    "compute": [
        {"g": "-softplus(a) * speed"},
        {"k": "normalize(k * (1 + w))"},
        {"v": "(v + u) * exp(-0.5 * u)"},
        {"beta": "sigmoid(b)"},
        {"q": "normalize(q)"},
    ],
    "inputs": {"u": "head"},
    "parameters": {"speed": "head"},
    "steps": [DELTA],
}
# Operands that write or are erased, of length 1 so that the state stays bounded.
KEYS = ("q", "k", "p", "r")


def spec(name, **changes):
    return {"name": name, "dtype": "bf16"} | SIZES | LAYERS[name] | changes


def oracle(name):
    return Recurrence(read_layer(read_source(spec(name)), None, "f64").module)


def make(name, shapes, batch=2, tokens=71, sequences=None):
    """Random float64 operands of the shapes that an op says, and a state, by name."""
    torch.manual_seed(5)
    sizes = {"B": batch, "T": tokens}
    tensors = {}
    for operand, shape in shapes.items():
        x = torch.randn(eval(shape, sizes), dtype=torch.float64)
        if operand in KEYS:
            x = torch.nn.functional.normalize(x, dim=-1) * (0.5 if operand in "pr" else 1)
        elif operand == "g":
            x = -x.abs()
        elif operand in ("b", "beta"):
            x = x.sigmoid()
        tensors[operand] = x
    tensors["initial_state"] = torch.randn(sequences or batch, 4, 8, 6, dtype=torch.float64)
    return tensors


def expected(name, data, cu_seqlens=None):
    """o and the final state of torch tensors by name."""
    out = oracle(name)(cu_seqlens, **{x: tensor.double() for x, tensor in data.items()})
    return out["o"], out["final_state"]


def weights(outputs):
    """What a loss multiplies outputs with: random float64 tensors of their shapes."""
    torch.manual_seed(6)
    return [torch.randn(tuple(x.shape), dtype=torch.float64) for x in outputs]


def close(found, wanted, bar=1e-10):
    for x, y in zip(found, wanted, strict=True):
        assert x.shape == y.shape and delta_oracle.error(x, y.double()) < bar
