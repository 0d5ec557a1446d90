# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A transition that is diagonal plus low rank: DPLR, IPLR whose diagonal is ones, and RWKV-7."""

from typing import Any, Optional

import torch

from .._arguments import expect_tensors
from .._call import call
from .._front import check_kwargs, expect_equal_heads, refuse


def chunk_dplr_delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    gk: torch.Tensor,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    cu_seqlens_cpu: Optional[torch.Tensor] = None,
    safe_gate: bool = False,
    chunk_size: Optional[int] = None,
    disable_recompute: bool = False,
    cp_context: Any = None,
    lower_bound: Optional[float] = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """A diagonal plus low-rank transition: S <- Diag(exp(gk)) S' + b (S'^T a)^T + k v^T of the state S'
    before, o = scale S^T q.

    The arguments, results and errors are those of chunk_delta_rule, but for these: H heads of q, k and v;
    a, b: [B, T, H, K], of q's type; gk: [B, T, H, K], log decays, none above 0. safe_gate,
    lower_bound, chunk_size and disable_recompute have no effect: decays of any strength run the same program.
    """
    name = "chunk_dplr_delta_rule"
    check_kwargs(name, kwargs)
    arguments = scale, initial_state, output_final_state, cu_seqlens, cp_context
    return _dplr(name, "dplr", (q, k, v, a, b, gk), arguments)


def fused_recurrent_dplr_delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    gk: torch.Tensor,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    reverse: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """chunk_dplr_delta_rule by FLA's name for its token-by-token kernel: up to 16 tokens a sequence, dense and
    without gradients, by the program that decodes, all else by the chunked one. The arguments are those of
    chunk_dplr_delta_rule, with a, b, gk [B, T, H, K]; reverse is refused.
    """
    name = "fused_recurrent_dplr_delta_rule"
    refuse(name, reverse=reverse)
    arguments = scale, initial_state, output_final_state, cu_seqlens
    return _dplr(name, "dplr", (q, k, v, a, b, gk), arguments, recurrent=True)


def chunk_iplr_delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    cu_seqlens_cpu: Optional[torch.Tensor] = None,
    *,
    cp_context: Any = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """An identity plus low-rank transition: S <- S + b (S^T a)^T + k v^T, o = scale S^T q. By the program of
    chunk_dplr_delta_rule with decays of 1.

    The arguments, results and errors are those of chunk_dplr_delta_rule, with a, b [B, T, H, K] and without gk.
    """
    name = "chunk_iplr_delta_rule"
    check_kwargs(name, kwargs)
    return _dplr(name, "dplr", (q, k, v, a, b, _no_decay(name, q)), (scale, initial_state, output_final_state, cu_seqlens, cp_context))


def fused_recurrent_iplr_delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """chunk_iplr_delta_rule by FLA's name for its token-by-token kernel. The arguments are those of
    fused_recurrent_dplr_delta_rule, with a, b [B, T, H, K] and without gk.
    """
    name = "fused_recurrent_iplr_delta_rule"
    arguments = scale, initial_state, output_final_state, cu_seqlens
    return _dplr(name, "dplr", (q, k, v, a, b, _no_decay(name, q)), arguments, recurrent=True)


def chunk_rwkv7(
    r: torch.Tensor,
    w: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    scale: Optional[float] = 1.0,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    cu_seqlens_cpu: Optional[torch.Tensor] = None,
    safe_gate: bool = False,
    chunk_size: Optional[int] = None,
    disable_recompute: bool = False,
    cp_context: Any = None,
    lower_bound: Optional[float] = None,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """RWKV-7: S <- Diag(exp(w)) S' + b (S'^T a)^T + k v^T of the state S' before, o = scale S^T r.

    The arguments, results and errors are those of chunk_dplr_delta_rule with r for q and w [B, T, H, K] for gk;
    scale is 1 by default, and None is K ** -0.5.
    """
    arguments = scale, initial_state, output_final_state, cu_seqlens, cp_context
    return _dplr("chunk_rwkv7", "rwkv7", (r, k, v, a, b, w), arguments)


def fused_recurrent_rwkv7(
    r: torch.Tensor,
    w: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = True,
    cu_seqlens: Optional[torch.Tensor] = None,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """RWKV-7 by FLA's name for its token-by-token kernel. The arguments are those of
    fused_recurrent_dplr_delta_rule with r for q and w [B, T, H, K] for gk; the final state comes by default.
    """
    arguments = scale, initial_state, output_final_state, cu_seqlens
    return _dplr("fused_recurrent_rwkv7", "rwkv7", (r, k, v, a, b, w), arguments, recurrent=True)


def fused_mul_recurrent_rwkv7(
    r: torch.Tensor,
    w: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    kk: torch.Tensor,
    a: torch.Tensor,
    scale: Optional[float] = 1.0,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    reverse: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """RWKV-7 as its layer has it: fused_recurrent_rwkv7 with -kk for a and kk * a for b. The other arguments
    are those of chunk_rwkv7, with kk, a [B, T, H, K]; reverse is refused.
    """
    name = "fused_mul_recurrent_rwkv7"
    refuse(name, reverse=reverse)
    expect_tensors(name, kk=kk, a=a)
    arguments = scale, initial_state, output_final_state, cu_seqlens
    return _dplr(name, "rwkv7", (r, k, v, -kk, kk * a, w), arguments, recurrent=True)


def _no_decay(name, q):
    expect_tensors(name, q=q)
    return torch.zeros(q.shape, dtype=torch.float32, device=q.device)


def _dplr(name, rule, operands, arguments, **options):
    q, k, v, a, b, g = operands
    expect_equal_heads(name, q, v)
    return call(name, rule, {"q": q, "k": k, "v": v, "a": a, "b": b, "g": g}, *arguments, **options)
