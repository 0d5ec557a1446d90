# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Preconditioned Gated DeltaNet and Kimi Delta Attention: what is written has its key scaled a channel, by
what a running sum of squares of the keys says."""

import math
from typing import Any, NamedTuple, Optional

import torch

from .._arguments import check_sequences, expect_shape, expect_tensors
from .._call import call
from .._front import check_kwargs, check_safe_gate, expect_equal_heads, gate, ones_of, refuse, v_first_of
from .._l2norm import l2norm
from .._ops import compute_dtype
from .scan import decayed_sums

_Result = tuple[torch.Tensor, Optional[torch.Tensor], Optional[torch.Tensor]]


class _Atk(NamedTuple):
    """What the running sum is of."""

    g: torch.Tensor
    beta: torch.Tensor
    initial: Optional[torch.Tensor]
    x: float
    eps: float
    center: Any  # log_atk_scale


def chunk_precond_gated_delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g_atk: torch.Tensor,
    g: torch.Tensor,
    beta_atk: torch.Tensor,
    beta: torch.Tensor,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    initial_A_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = True,
    cu_seqlens: Optional[torch.Tensor] = None,
    cu_seqlens_cpu: Optional[torch.Tensor] = None,
    cp_context: Any = None,
    transpose_state_layout: bool = False,
    x: float = 1.5,
    eps: float = 1e-6,
    log_atk_scale: Optional[torch.Tensor] = None,
) -> _Result:
    """Preconditioned Gated DeltaNet: S <- exp(g) S, then S <- S + (m * k) (beta (v - S^T k))^T, o = scale S^T q, where
    A <- exp(g_atk) A + beta_atk k * k, r = log(A + eps) - log_atk_scale and m = x ** (-r / (1 + |r|)).

    The arguments, results and errors are those of chunk_gated_delta_rule, and these: g_atk, beta_atk: [B, T, H];
    log_atk_scale: [H], None for -0.2 of every head; initial_A_state: [N, H, K]. transpose_state_layout is
    state_v_first. The third result is A after the last token, [N, H, K] in fp32, or None. m is computed by
    torch operations. cp_context is refused, as in FLA.
    """
    return _precond(
        "chunk_precond_gated_delta_rule",
        "pgdn",
        (q, k, v, g, beta),
        _Atk(g_atk, beta_atk, initial_A_state, x, eps, log_atk_scale),
        (scale, initial_state, output_final_state, cu_seqlens, cp_context),
        use_qk_l2norm_in_kernel,
        state_v_first=transpose_state_layout,
    )


def fused_recurrent_precond_gated_delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: Optional[torch.Tensor] = None,
    gk: Optional[torch.Tensor] = None,
    gv: Optional[torch.Tensor] = None,
    beta: Optional[torch.Tensor] = None,
    g_atk: Optional[torch.Tensor] = None,
    beta_atk: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    initial_A_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = True,
    cu_seqlens: Optional[torch.Tensor] = None,
    transpose_state_layout: bool = False,
    x: float = 1.5,
    eps: float = 1e-6,
    log_atk_scale: Optional[torch.Tensor] = None,
) -> _Result:
    """chunk_precond_gated_delta_rule by FLA's name for its token-by-token kernel: up to 16 tokens a sequence, dense and
    without gradients, by the program that decodes, all else by the chunked one. The arguments are those of
    chunk_precond_gated_delta_rule; g [B, T, HV] None means no decay, beta None ones; gk and gv are refused.
    """
    name = "fused_recurrent_precond_gated_delta_rule"
    refuse(name, gk=gk, gv=gv)
    ones = ones_of(name, v)
    return _precond(
        name,
        "pgdn",
        (q, k, v, torch.zeros_like(ones) if g is None else g, ones if beta is None else beta),
        _Atk(g_atk, beta_atk, initial_A_state, x, eps, log_atk_scale),
        (scale, initial_state, output_final_state, cu_seqlens),
        use_qk_l2norm_in_kernel,
        state_v_first=transpose_state_layout,
        recurrent=True,
    )


def chunk_precond_kda(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    g_atk: torch.Tensor,
    beta_atk: torch.Tensor,
    beta: torch.Tensor,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    initial_A_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_gate_in_kernel: bool = False,
    safe_gate: bool = False,
    lower_bound: Optional[float] = None,
    cu_seqlens: Optional[torch.Tensor] = None,
    cu_seqlens_cpu: Optional[torch.Tensor] = None,
    chunk_indices: Optional[torch.Tensor] = None,
    cp_context: Any = None,
    transpose_state_layout: bool = False,
    x: float = 1.5,
    eps: float = 1e-6,
    log_atk_scale: Optional[torch.Tensor] = None,
    solve_tril_precision: Optional[str] = None,
    disable_recompute: bool = False,
    return_intermediate_states: bool = False,
    *,
    A_log: Optional[torch.Tensor] = None,
    dt_bias: Optional[torch.Tensor] = None,
    **kwargs: Any,
) -> _Result:
    """Preconditioned Kimi Delta Attention: chunk_precond_gated_delta_rule with a decay a key channel. The L2 norm
    of q and k is always taken, as in FLA.

    The arguments, results and errors are those of chunk_precond_gated_delta_rule for g_atk, beta_atk [B, T, H] and what
    belongs to them, and those of chunk_kda for g [B, T, H, K] and its gate; H heads of q, k and v.
    solve_tril_precision has no effect.
    """
    name = "chunk_precond_kda"
    check_kwargs(name, kwargs)
    refuse(name, return_intermediate_states=return_intermediate_states)
    check_safe_gate(name, safe_gate and use_gate_in_kernel, lower_bound)
    expect_equal_heads(name, q, v)
    g = gate(name, q, v, g, use_gate_in_kernel, A_log, dt_bias, lower_bound, channels=True)
    return _precond(
        name,
        "pkda",
        (q, k, v, g, beta),
        _Atk(g_atk, beta_atk, initial_A_state, x, eps, log_atk_scale),
        (scale, initial_state, output_final_state, cu_seqlens, cp_context),
        True,
        state_v_first=transpose_state_layout,
    )


def fused_recurrent_precond_kda(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    g_atk: torch.Tensor,
    beta_atk: torch.Tensor,
    beta: torch.Tensor,
    A_log: Optional[torch.Tensor] = None,
    dt_bias: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    initial_A_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = True,
    use_gate_in_kernel: bool = False,
    lower_bound: Optional[float] = None,
    cu_seqlens: Optional[torch.Tensor] = None,
    transpose_state_layout: bool = False,
    x: float = 1.5,
    eps: float = 1e-6,
    log_atk_scale: Optional[torch.Tensor] = None,
    **kwargs: Any,
) -> _Result:
    """chunk_precond_kda by FLA's name for its token-by-token kernel: up to 16 tokens a sequence, dense and without
    gradients, by the program that decodes, all else by the chunked one. The arguments are those of
    chunk_precond_kda, with g [B, T, H, K].
    """
    name = "fused_recurrent_precond_kda"
    check_kwargs(name, kwargs)
    expect_equal_heads(name, q, v)
    g = gate(name, q, v, g, use_gate_in_kernel, A_log, dt_bias, lower_bound, channels=True)
    return _precond(
        name,
        "pkda",
        (q, k, v, g, beta),
        _Atk(g_atk, beta_atk, initial_A_state, x, eps, log_atk_scale),
        (scale, initial_state, output_final_state, cu_seqlens),
        use_qk_l2norm_in_kernel,
        state_v_first=transpose_state_layout,
        recurrent=True,
    )


def _precond(name, rule, operands, atk, arguments, norm, **options):
    q, k, v, g, beta = operands
    scale, initial_state, final, cu_seqlens, *context = arguments
    refuse(name, cp_context=context[0] if context else None)
    expect_tensors(name, q=q, k=k)
    if norm:
        q, k = l2norm(q), l2norm(k)
    m, A = _multipliers(name, k, atk, cu_seqlens)
    named = {"q": q, "k": k, "m": m, "v": v, "g": g, "beta": beta}
    o, state = call(name, rule, named, scale, initial_state, final, cu_seqlens, **options)
    return o, state, A if final else None


def _multipliers(name, k, atk, cu_seqlens):
    """What scales the channels of keys [B, T, H, K], in their type, and A after the last token."""
    expect_tensors(name, g_atk=atk.g, beta_atk=atk.beta)
    expect_shape(name, "g_atk", atk.g, k.shape[:3])
    expect_shape(name, "beta_atk", atk.beta, k.shape[:3])
    sequences = check_sequences(name, k.shape[0], cu_seqlens)
    wide = compute_dtype(k)
    initial = atk.initial
    if initial is not None:
        expect_tensors(name, initial_A_state=initial)
        expect_shape(name, "initial_A_state", initial, [sequences, *k.shape[2:]])
        initial = initial.to(wide)
    if not atk.x > 0 or not atk.eps > 0:
        raise ValueError(f"{name}: x is {atk.x} and eps {atk.eps}, expected numbers above 0: of both the logarithm is taken")
    squares = atk.beta.to(wide)[..., None] * k.to(wide).square()
    sums, last = decayed_sums(squares, atk.g.to(wide), initial, cu_seqlens)
    center = -0.2 if atk.center is None else atk.center
    if isinstance(center, torch.Tensor):
        expect_shape(name, "log_atk_scale", center, k.shape[2:3])
        center = center.to(wide)[:, None]
    r = (sums + atk.eps).log() - center
    return (-math.log(atk.x) * r / (1 + r.abs())).exp().to(k.dtype), last
