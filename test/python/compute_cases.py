# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What `compute` of a spec says, in torch: each assignment as Python reads it, in front of the plain recurrence.

Numbers a head have a last dimension of 1, so that they stand beside rows of channels."""

import re

import numpy as np
import step_cases
import torch
import torch.nn.functional as F
from gradient_oracle import Recurrence

FUNCTIONS = {
    "exp": torch.exp,
    "normalize": lambda x: x * torch.rsqrt((x * x).sum(-1, keepdim=True) + 1e-6),
    "sigmoid": torch.sigmoid,
    "rotate": lambda x, angle: rotate(x, angle),
    "silu": F.silu,
    "softplus": lambda x: F.softplus(x, threshold=1e9),
}
KEYS = r"^(compute:\n(  - .*\n)+|inputs:.*\n|parameters:.*\n|resume:.*\n)"


def rotate(x, angle):
    """Channels d and d + K / 2 turn by angle d."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)


def running_sum(x, initial, cu_seqlens):
    """Returns the sums over the tokens of each sequence so far, and the last of each."""
    if cu_seqlens is None:
        sums = x.cumsum(1) + (0 if initial is None else initial[:, None])
        return sums, sums[:, -1]
    offsets = [int(n) for n in cu_seqlens]
    first = lambda n: x.new_zeros(1, *x.shape[2:]) if initial is None else initial[n : n + 1]
    parts = [first(n) + torch.cat([0 * x[0, :1], x[0, begin:end].cumsum(0)]) for n, (begin, end) in enumerate(zip(offsets, offsets[1:]))]
    unowned = torch.zeros_like(x[0, offsets[-1] :])
    return torch.cat([*(part[1:] for part in parts), unowned])[None], torch.stack([part[-1] for part in parts])


def assignments(spec):
    """Returns the names and expressions of `compute`, in order."""
    return re.findall(r"^  - (\w+): (.*)$", re.search(r"^compute:\n((  - .*\n)+)", spec, re.M)[1], re.M)


def recurrence_of(spec):
    """Returns the spec of what stands behind `compute`."""
    return re.sub(KEYS, "", spec, flags=re.M)


class Layer:
    """A spec's layer, whose recurrence `text` says; called with tensors by name."""

    def __init__(self, spec, text):
        self.assignments = assignments(spec)
        self.recurrence = Recurrence(text)

    def made(self, given, cu_seqlens, totals):
        """Returns the operands of the recurrence; `totals` gets the last of each running sum."""
        values = {name: x if x.dim() in (2, 4) else x[..., None] for name, x in given.items()}
        for name, expression in self.assignments:
            if summed := re.fullmatch(r"running_sum\((\w+)\)", expression):
                values[name], totals[f"final_{name}"] = running_sum(values[summed[1]], given.get(f"initial_{name}"), cu_seqlens)
                continue
            values[name] = eval(expression, {"__builtins__": {}}, {**FUNCTIONS, **values})
        rank = {name: len(shape) for name, (shape, _) in self.recurrence.types.items()}
        return {name: values[name].squeeze(-1) if rank[name] == 3 else values[name] for name in rank if name in values}

    def __call__(self, cu_seqlens=None, **given):
        if "initial_state" not in given:
            sequences = given["q"].shape[0] if cu_seqlens is None else len(cu_seqlens) - 1
            shape = self.recurrence.types["initial_state"][0][1:]
            given["initial_state"] = given["q"].new_zeros(sequences, *shape)
        totals = {}
        return self.recurrence(cu_seqlens, **self.made(given, cu_seqlens, totals)) | totals


def error(name, found, wanted):
    """Returns how far an output is off; angles that a call ends with are less whole turns."""
    if name == "final_phi":
        found = found - 2 * np.pi * np.round((found - wanted) / (2 * np.pi))
    return step_cases.error(found, wanted)


def reference(spec, text, raw, seeds, cu_seqlens=None, device="cpu"):
    """Returns outputs and gradients in float64, by autograd. `text` is prologue_cases.text_of(recurrence_of(spec))."""
    put = lambda x: torch.tensor(x, dtype=torch.float64, device=device)
    given = {name: put(x).requires_grad_() for name, x in raw.items()}
    out = Layer(spec, text)(cu_seqlens, **given)
    out = {name: out[name] for name in (n[2:] for n in seeds)}
    loss = sum((out[name[2:]] * put(seed)).sum() for name, seed in seeds.items())
    found = torch.autograd.grad(loss, list(given.values()))
    return {name: x.detach().cpu().numpy() for name, x in out.items()} | {
        f"d_{name}": d.cpu().numpy() for name, d in zip(given, found)
    }
