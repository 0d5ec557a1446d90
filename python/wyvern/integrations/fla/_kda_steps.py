# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FLA's fused_recurrent_kda_fwd, the one of its functions that decodes on a pool of states, on
Wyvern's step."""

from typing import Any, Optional

import torch

import wyvern
from wyvern.torch._decoder import own_slots
from wyvern.torch._few import GPU_ROWS, MOST
from wyvern.torch._gate import bounded, log_decay

from .._each_token import split, step_each, tokens_each
from .._engine_steps import NAMES, decoder_of
from .._served import why_not


def _tokens(q: torch.Tensor, cu_seqlens: Any, indices: Optional[torch.Tensor]) -> Optional[int]:
    """Tokens of each sequence, as shapes tell them; None where they do not."""
    if indices is None:
        return int(q.shape[1]) if cu_seqlens is None else None
    sequences = q.shape[0] if cu_seqlens is None else len(cu_seqlens) - 1
    return tokens_each(q.shape[0] * q.shape[1], sequences, indices)


def why_not_kda_step(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    beta: torch.Tensor,
    A_log: Optional[torch.Tensor] = None,
    dt_bias: Optional[torch.Tensor] = None,
    initial_state: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    output_final_state: bool = False,
    inplace_final_state: bool = True,
    state_v_first: bool = False,
    cu_seqlens: Any = None,
    ssm_state_indices: Optional[torch.Tensor] = None,
    num_accepted_tokens: Optional[torch.Tensor] = None,
    use_qk_l2norm_in_kernel: bool = False,
    use_gate_in_kernel: bool = False,
    use_beta_sigmoid_in_kernel: bool = False,
    allow_neg_eigval: bool = False,
    lower_bound: Optional[float] = None,
    out: Optional[torch.Tensor] = None,
    **kwargs: Any,
) -> Optional[str]:
    """Returns why FLA's own kernel has to run, or None."""
    tokens = _tokens(q, cu_seqlens, ssm_state_indices)
    state = initial_state
    checks = (
        (bool(kwargs), f"the arguments {', '.join(kwargs)} are not known to wyvern"),
        (lower_bound is not None, "a gate with a lower bound has no step"),
        (use_gate_in_kernel and A_log is None, "a gate without A_log has no step"),
        (beta.dim() == 4, "beta has a rate a value channel, which is another recurrence"),
        (tokens is None, "packed sequences without a slot for each token"),
        (tokens is not None and tokens > MOST, f"more than {MOST} tokens a sequence"),
        (q.dtype not in NAMES, f"there is no step for {q.dtype}"),
        (state is None and ssm_state_indices is not None, "slots without a pool"),
        (state is not None and state.dtype not in (torch.float32, torch.bfloat16), "states are neither float32 nor bf16"),
        (ssm_state_indices is not None and not inplace_final_state, "a pool that is not written in place"),
        (
            q.device.type == "cuda" and (q.shape[3] % GPU_ROWS != 0 or v.shape[3] % GPU_ROWS != 0),
            f"head dims that are no multiples of {GPU_ROWS}",
        ),
    )
    return why_not(q, k, v) or next((reason for holds, reason in checks if holds), None)


def kda_step(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    beta: torch.Tensor,
    A_log: Optional[torch.Tensor] = None,
    dt_bias: Optional[torch.Tensor] = None,
    initial_state: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    output_final_state: bool = False,
    inplace_final_state: bool = True,
    state_v_first: bool = False,
    cu_seqlens: Any = None,
    ssm_state_indices: Optional[torch.Tensor] = None,
    num_accepted_tokens: Optional[torch.Tensor] = None,
    use_qk_l2norm_in_kernel: bool = False,
    use_gate_in_kernel: bool = False,
    use_beta_sigmoid_in_kernel: bool = False,
    allow_neg_eigval: bool = False,
    lower_bound: Optional[float] = None,
    out: Optional[torch.Tensor] = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Tokens of dense sequences, or, with ssm_state_indices, of drafts on a pool that keeps the state
    behind each. Returns (o, the states or None), as FLA does."""
    heads, value_heads = q.shape[2], v.shape[2]
    dims = q.shape[3], v.shape[3]
    g = g.float()
    if use_gate_in_kernel:
        assert A_log is not None
        bias = None if dt_bias is None else dt_bias.float().view(value_heads, dims[0])
        g = log_decay(g, A_log.float().view(-1, 1), bias)
    beta = beta.float()
    if use_beta_sigmoid_in_kernel:
        beta = (2 if allow_neg_eigval else 1) * beta.sigmoid()
    tokens = _tokens(q, cu_seqlens, ssm_state_indices)
    assert tokens is not None
    pool = initial_state
    if pool is None or not inplace_final_state:
        shape = (q.shape[0], value_heads, *(dims[::-1] if state_v_first else dims))
        fresh = torch.zeros(shape, dtype=torch.float32, device=q.device)
        pool = fresh if pool is None else fresh.copy_(pool)
    slots = own_slots(q.shape[0], q.device) if ssm_state_indices is None else ssm_state_indices
    kind = wyvern.Pool("vk" if state_v_first else "kv", NAMES[pool.dtype], "i64" if slots.dtype == torch.int64 else "i32")
    scale = float(dims[0] ** -0.5 if scale is None else scale)
    prologue = ("norm",) if use_qk_l2norm_in_kernel else ()
    decoder = decoder_of("channel", (heads, value_heads), dims, q.dtype, kind, prologue, scale)
    states = pool

    def call(rows: tuple[torch.Tensor, ...], read: torch.Tensor, write: torch.Tensor) -> torch.Tensor:
        named = dict(zip(("q", "k", "v", "g", "beta"), rows))
        return decoder.step(state=states, read_slots=read, write_slots=write, **named)

    rows: tuple[torch.Tensor, ...] = (q, k, v, bounded(g), beta)
    with torch.no_grad():
        if ssm_state_indices is None:
            o = call(rows, slots, slots)
        else:
            rows = tuple(split(x, tokens, kept) for x, kept in zip(rows, (2, 2, 2, 2, 1)))
            sequences = rows[0].shape[0]
            o = step_each(call, rows, slots[:sequences].reshape(-1, tokens), num_accepted_tokens).reshape(v.shape)
    o = o if out is None else out.copy_(o)
    return o, pool if inplace_final_state or output_final_state else None
