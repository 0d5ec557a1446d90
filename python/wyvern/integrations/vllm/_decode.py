# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""vLLM's functions of decoding, with its arguments, on Wyvern's step.

Its pool is [blocks, HV, V, K]; block 0 is nobody's, and a sequence there is padding.
"""

from typing import Optional

import torch

from .._each_token import split, step_each, tokens_each
from .._engine_steps import Rule, Tensors, step, why_not

_FIRST_BLOCK = 1


def _unpack(mixed_qkv: torch.Tensor, a: torch.Tensor, b: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """q, k, v, a, b of one token a sequence, as views of the rows that hold q, k and v."""
    heads, value_dim, key_dim = state.shape[1:]
    keys = (mixed_qkv.shape[1] - heads * value_dim) // 2
    q, k, v = mixed_qkv.split([keys, keys, heads * value_dim], 1)
    q, k = (x.unflatten(1, (1, -1, key_dim)) for x in (q, k))
    return q, k, v.unflatten(1, (1, heads, value_dim)), a[:, None], b[:, None]


def why_not_packed_decode(
    mixed_qkv: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    A_log: torch.Tensor,
    dt_bias: torch.Tensor,
    scale: float,
    initial_state: torch.Tensor,
    out: torch.Tensor,
    ssm_state_indices: torch.Tensor,
    use_qk_l2norm_in_kernel: bool = False,
) -> Optional[str]:
    """Returns why vLLM's own function has to run, or None."""
    if mixed_qkv.dim() != 2 or initial_state.dim() != 4 or ssm_state_indices.dim() != 1:
        return "expected rows [B, 2 H K + HV V], states of four dimensions and one index a sequence"
    return why_not(Tensors(*_unpack(mixed_qkv, a, b, initial_state), A_log, dt_bias), initial_state)  # type: ignore[call-arg]


def packed_decode(
    mixed_qkv: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    A_log: torch.Tensor,
    dt_bias: torch.Tensor,
    scale: float,
    initial_state: torch.Tensor,
    out: torch.Tensor,
    ssm_state_indices: torch.Tensor,
    use_qk_l2norm_in_kernel: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """fused_recurrent_gated_delta_rule_packed_decode: a token a sequence, out [B, 1, HV, V]."""
    given = Tensors(*_unpack(mixed_qkv, a, b, initial_state), A_log, dt_bias)  # type: ignore[call-arg]
    rule = Rule("vk", _FIRST_BLOCK, float(scale), bool(use_qk_l2norm_in_kernel))
    if out.dtype == mixed_qkv.dtype:
        return step(given, initial_state, ssm_state_indices, None, rule, out=out), initial_state
    return out.copy_(step(given, initial_state, ssm_state_indices, None, rule)), initial_state


def _tokens(q: torch.Tensor, cu_seqlens: Optional[torch.Tensor], indices: Optional[torch.Tensor]) -> Optional[int]:
    if cu_seqlens is None or indices is None or q.shape[0] != 1:
        return None
    return tokens_each(q.shape[1], cu_seqlens.shape[0] - 1, indices)


def _split(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, a: torch.Tensor, b: torch.Tensor, tokens: int
) -> tuple[torch.Tensor, ...]:
    return (*(split(x, tokens, 2) for x in (q, k, v)), split(a, tokens, 1), split(b, tokens, 1))


def why_not_update(
    A_log: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    dt_bias: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    beta: float = 1.0,
    threshold: float = 20.0,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    inplace_final_state: bool = True,
    cu_seqlens: Optional[torch.Tensor] = None,
    ssm_state_indices: Optional[torch.Tensor] = None,
    num_accepted_tokens: Optional[torch.Tensor] = None,
    use_qk_l2norm_in_kernel: bool = False,
    is_kda: bool = False,
) -> Optional[str]:
    """Returns why vLLM's own function has to run, or None."""
    if is_kda:
        return "a decay a channel has no step here"
    if beta != 1.0 or initial_state is None or not inplace_final_state:
        return "expected a pool that is written in place, and a softplus of slope 1"
    tokens = _tokens(q, cu_seqlens, ssm_state_indices)
    if tokens is None:
        return "the sequences have different numbers of tokens"
    return why_not(Tensors(*_split(q, k, v, a, b, tokens), A_log, dt_bias), initial_state)  # type: ignore[call-arg]


def update(
    A_log: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    dt_bias: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    beta: float = 1.0,
    threshold: float = 20.0,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    inplace_final_state: bool = True,
    cu_seqlens: Optional[torch.Tensor] = None,
    ssm_state_indices: Optional[torch.Tensor] = None,
    num_accepted_tokens: Optional[torch.Tensor] = None,
    use_qk_l2norm_in_kernel: bool = False,
    is_kda: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """fused_sigmoid_gating_delta_rule_update: a token a sequence, or drafts of which vLLM wants the
    state behind each token in a block of its own; these are as many steps. Returns o [1, N T, HV, V]."""
    assert initial_state is not None and ssm_state_indices is not None and cu_seqlens is not None
    tokens = _tokens(q, cu_seqlens, ssm_state_indices)
    assert tokens is not None
    rule = Rule("vk", _FIRST_BLOCK, float(q.shape[3] ** -0.5 if scale is None else scale), bool(use_qk_l2norm_in_kernel))
    blocks = ssm_state_indices[: cu_seqlens.shape[0] - 1].reshape(-1, tokens)
    pool: torch.Tensor = initial_state

    def call(rows: tuple[torch.Tensor, ...], read: torch.Tensor, write: torch.Tensor) -> torch.Tensor:
        return step(Tensors(*rows, A_log, dt_bias), pool, read, write, rule)  # type: ignore[call-arg]

    o = step_each(call, _split(q, k, v, a, b, tokens), blocks, num_accepted_tokens)
    return o.reshape(1, -1, *o.shape[2:]), pool
