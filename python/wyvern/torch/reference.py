# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The delta rule token by token in plain torch operations.

What the compiled programs compute, as one reads it in the papers (Yang et al. 2024,
"Parallelizing Linear Transformers with the Delta Rule over Sequence Length", eq. 2-4;
"Gated Delta Networks", eq. 10), and differentiable by torch's own autograd. It is the
oracle of tests and examples and `backend="torch"` of the layers: slow, since every
token is a handful of small kernels, and large, since autograd keeps every state.
"""

import contextlib
from typing import Optional

import torch

from ._gate import bounded, log_decay


def delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    beta: torch.Tensor,
    g: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    use_gate_in_kernel: bool = False,
    A_log: Optional[torch.Tensor] = None,
    dt_bias: Optional[torch.Tensor] = None,
    use_beta_sigmoid_in_kernel: bool = False,
    allow_neg_eigval: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """S <- exp(g) S;  S <- S + k (beta (v - S^T k))^T;  o = scale S^T q.

    The arguments of chunk_gated_delta_rule, by name; g None is DeltaNet. Computes in
    float32, or in float64 if v is, whatever autocast says, and rounds nothing before o.
    Reads cu_seqlens on the host.

    Returns (o [B, T, HV, V] in v's dtype, final_state [N, HV, K, V] or None).
    """
    wide = torch.promote_types(v.dtype, torch.float32)
    out_dtype, values_per_key = v.dtype, v.shape[2] // k.shape[2]
    with _without_autocast(v.device.type):
        q, k, v, beta = (x.to(wide) for x in (q, k, v, beta))
        if use_qk_l2norm_in_kernel:
            q, k = (x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6) for x in (q, k))
        if use_beta_sigmoid_in_kernel:
            beta = (2 if allow_neg_eigval else 1) * beta.sigmoid()
        if g is not None:
            g = g.to(wide)
            if use_gate_in_kernel:
                g = log_decay(g, A_log, dt_bias)
            g = bounded(g)
        q = q * (q.shape[-1] ** -0.5 if scale is None else scale)
        q, k = (x.repeat_interleave(values_per_key, 2) for x in (q, k))
        if initial_state is not None:
            initial_state = initial_state.to(wide)
        scan = _dense if cu_seqlens is None else _packed(cu_seqlens.tolist())
        o, state = scan(q, k, v, beta, g, initial_state)
    return o.to(out_dtype), state if output_final_state else None


def _without_autocast(device):
    if device == "meta":  # which torch has none for
        return contextlib.nullcontext()
    return torch.autocast(device, enabled=False)


def _dense(q, k, v, beta, g, state):
    """q, k [B, T, H, K]; v [B, T, H, V]; beta, g [B, T, H]; state [B, H, K, V]."""
    if state is None:
        state = v.new_zeros(v.shape[0], v.shape[2], q.shape[3], v.shape[3])
    # unbind, not x[:, t]: the gradient of T slices would be T tensors as large as x.
    tokens = zip(*(x.unbind(1) for x in (q, k, v, beta)), g.exp().unbind(1) if g is not None else [None] * q.shape[1])
    outputs = []
    for q_t, k_t, v_t, beta_t, decay in tokens:
        if decay is not None:
            state = decay[..., None, None] * state
        error = v_t - (k_t[..., None, :] @ state)[..., 0, :]
        state = state + k_t[..., None] * (beta_t[..., None] * error)[..., None, :]
        outputs.append((q_t[..., None, :] @ state)[..., 0, :])
    return torch.stack(outputs, 1) if outputs else torch.zeros_like(v), state


def _packed(offsets):
    """The same for sequences packed into one batch; rows past the last one are zero."""

    def scan(q, k, v, beta, g, initial_state):
        outputs, states = [], []
        for n, (begin, end) in enumerate(zip(offsets, offsets[1:])):
            cut = [None if x is None else x[:, begin:end] for x in (q, k, v, beta, g)]
            cut.append(None if initial_state is None else initial_state[n : n + 1])
            o, state = _dense(*cut)
            outputs.append(o)
            states.append(state)
        outputs.append(torch.zeros_like(v[:, offsets[-1] :]))
        empty = v.new_zeros(0, v.shape[2], q.shape[3], v.shape[3])
        return torch.cat(outputs, 1), torch.cat(states) if states else empty

    return scan
