# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What functions with FLA's arguments have in front of a call: gates, defaults, and what is refused."""

import math

import torch

from ._arguments import expect_shape, expect_tensors
from ._gate import bounded_gate, log_decay
from ._ops import compute_dtype


def check_kwargs(name, kwargs):
    """Refuses keyword arguments that are none of FLA's. chunk_size has no effect."""
    kwargs = dict(kwargs)
    if "head_first" in kwargs:
        raise ValueError(f"{name}: head_first is gone; pass [B, T, H, D] tensors")
    chunk_size = kwargs.pop("chunk_size", 64)
    if chunk_size not in (16, 32, 64):
        raise ValueError(f"{name}: chunk_size is {chunk_size}, expected 16, 32 or 64")
    if kwargs:
        raise TypeError(f"{name}: unexpected arguments: {', '.join(sorted(kwargs))}")


def v_first_of(kwargs, state_v_first):
    """Returns state_v_first, which may come by its earlier name."""
    return kwargs.pop("transpose_state_layout", None) or state_v_first


def expect_equal_heads(name, q, v):
    """Refuses more value heads than key heads."""
    expect_tensors(name, q=q, v=v)
    if q.dim() == v.dim() == 4 and q.shape[2] != v.shape[2]:
        raise ValueError(f"{name}: v has {v.shape[2]} heads, expected {q.shape[2]}, as q and k have")


def refuse(name, **arguments):
    """Raises NotImplementedError for an argument that is given and not served."""
    for what, value in arguments.items():
        if value is not None and value is not False:
            raise NotImplementedError(f"{name}: {what} is not supported: {_REFUSED[what]}")


_REFUSED = {
    "gk": "a decay a key channel is another recurrence; take a function that has it, as chunk_gla or chunk_kda",
    "gv": "a decay a value channel is a recurrence that there are no programs for",
    "cp_context": "the running sum of squares is one rank's; run without it",
    "reverse": "turn the tensors around (x.flip(1)) and o again",
    "return_intermediate_states": "programs keep no states of chunks; call once for each part and take its final state",
}


def ones_of(name, v):
    """Returns the rates of a function that was given none."""
    expect_tensors(name, v=v)
    return torch.ones(v.shape[:3], dtype=torch.float32, device=v.device)


def check_safe_gate(name, is_safe, lower_bound):
    """Refuses a safe gate that has no bound."""
    if is_safe and lower_bound is None:
        raise ValueError(f"{name}: safe_gate with use_gate_in_kernel needs a lower_bound, by which the gate is computed")


def gate(name, q, v, g, use_gate_in_kernel, A_log, dt_bias, lower_bound=None, channels=False):
    """Returns the log decays of a function, which are g itself, or with use_gate_in_kernel what follows from
    raw g [B, T, HV], with a decay a key channel [B, T, HV, K]: -exp(A_log) softplus(g + dt_bias), and with
    a lower_bound lower_bound sigmoid(exp(A_log) (g + dt_bias)). A_log has HV numbers, dt_bias as many as a token's g."""
    if g is None:
        raise TypeError(f"{name}: g is None, expected [B, T, HV{', K' if channels else ''}]")
    expect_tensors(name, q=q, v=v, g=g)
    parameters = {"A_log": A_log, "dt_bias": dt_bias}
    given = {what: x for what, x in parameters.items() if x is not None}
    if not use_gate_in_kernel:
        for what in given:
            raise ValueError(f"{name}: {what} needs use_gate_in_kernel=True; else g is the log decay")
        return g
    if A_log is None and lower_bound is None:
        raise ValueError(f"{name}: use_gate_in_kernel needs A_log")
    if lower_bound is not None and not lower_bound < 0:
        raise ValueError(f"{name}: lower_bound is {lower_bound}, expected less than 0: g is a log decay")
    expect_tensors(name, **given)
    heads, dim = v.shape[2], q.shape[-1]
    rows = {"A_log": (heads, 1), "dt_bias": (heads, dim)} if channels else dict.fromkeys(given, (heads,))
    for what, x in given.items():
        if list(x.shape) != list(rows[what]):
            expect_shape(name, what, x, [math.prod(rows[what])])
    A_log, dt_bias = (None if x is None else x.reshape(rows[what]) for what, x in parameters.items())
    g = g.to(compute_dtype(q))
    return log_decay(g, A_log, dt_bias) if lower_bound is None else bounded_gate(g, A_log, dt_bias, lower_bound)
