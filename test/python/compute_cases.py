# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What `compute` of a spec says, in torch: each assignment as Python reads it, in front of the plain recurrence.

Numbers a head have a last dimension of 1, so that they stand beside rows of channels."""

import re

import prologue_cases
import torch
import torch.nn.functional as F
from gradient_oracle import Recurrence

FUNCTIONS = {
    "exp": torch.exp,
    "normalize": lambda x: x * torch.rsqrt((x * x).sum(-1, keepdim=True) + 1e-6),
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "softplus": lambda x: F.softplus(x, threshold=1e9),
}
KEYS = r"^(compute:\n(  - .*\n)+|inputs:.*\n|parameters:.*\n)"


def assignments(spec):
    """Returns the names and expressions of `compute`, in order."""
    return re.findall(r"^  - (\w+): (.*)$", re.search(r"^compute:\n((  - .*\n)+)", spec, re.M)[1], re.M)


class Layer:
    """A spec's layer; called with tensors by name."""

    def __init__(self, spec):
        self.assignments = assignments(spec)
        self.recurrence = Recurrence(prologue_cases.text_of(re.sub(KEYS, "", spec, flags=re.M)))

    def made(self, given):
        """Returns the operands of the recurrence."""
        values = {name: x if x.dim() in (2, 4) else x[..., None] for name, x in given.items()}
        for name, expression in self.assignments:
            values[name] = eval(expression, {"__builtins__": {}}, {**FUNCTIONS, **values})
        rank = {name: len(shape) for name, (shape, _) in self.recurrence.types.items()}
        return {name: values[name].squeeze(-1) if rank[name] == 3 else values[name] for name in rank if name in values}

    def __call__(self, cu_seqlens=None, **given):
        return self.recurrence(cu_seqlens, **self.made(given))


def reference(spec, raw, seeds, cu_seqlens=None, device="cpu"):
    """Returns outputs and gradients in float64, by autograd."""
    put = lambda x: torch.tensor(x, dtype=torch.float64, device=device)
    given = {name: put(x).requires_grad_() for name, x in raw.items()}
    out = Layer(spec)(cu_seqlens, **given)
    loss = sum((out[name[2:]] * put(seed)).sum() for name, seed in seeds.items())
    found = torch.autograd.grad(loss, list(given.values()))
    return {name: x.detach().cpu().numpy() for name, x in out.items()} | {
        f"d_{name}": d.cpu().numpy() for name, d in zip(given, found)
    }
