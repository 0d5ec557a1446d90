# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gated linear attention: nothing is erased but by the decay."""

from typing import Any, Optional

import torch

from .._arguments import expect_shape, expect_tensors
from .._call import call
from .._front import check_kwargs, refuse, v_first_of


def chunk_gla(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    state_v_first: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    cu_seqlens_cpu: Optional[torch.Tensor] = None,
    *,
    cp_context: Any = None,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Gated linear attention: S <- Diag(exp(g)) S + k v^T, o = scale S^T q.

    The arguments, results and errors are those of chunk_gated_delta_rule without beta, and g: [B, T, HV, K],
    the log decay, none above 0.
    """
    expect_tensors("chunk_gla", g=g)
    arguments = scale, initial_state, output_final_state, cu_seqlens, cp_context
    return _gla("chunk_gla", "gla", (q, k, v, g), arguments, state_v_first=state_v_first)


def fused_recurrent_gla(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    gk: Optional[torch.Tensor] = None,
    gv: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    reverse: bool = False,
    state_v_first: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Gated linear attention by FLA's name for its token-by-token kernel: up to 16 tokens a sequence, dense and
    without gradients, by the program that decodes, all else by the chunked one. The arguments are those of
    chunk_gla with gk [B, T, HV, K] for g, None for no decay; gv and reverse are refused.
    """
    name = "fused_recurrent_gla"
    state_v_first = v_first_of(kwargs, state_v_first)
    check_kwargs(name, kwargs)
    refuse(name, gv=gv, reverse=reverse)
    arguments = scale, initial_state, output_final_state, cu_seqlens
    return _gla(name, "gla", (q, k, v, gk), arguments, state_v_first=state_v_first, recurrent=True)


def chunk_simple_gla(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: Optional[torch.Tensor] = None,
    g_gamma: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    state_v_first: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    cu_seqlens_cpu: Optional[torch.Tensor] = None,
    *,
    cp_context: Any = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Linear attention with a decay a head: S <- exp(g) S + k v^T, o = scale S^T q.

    The arguments, results and errors are those of chunk_gla, but g: [B, T, HV], or g_gamma: [HV], one log decay a
    head for all tokens; without either there is no decay.
    """
    name = "chunk_simple_gla"
    state_v_first = v_first_of(kwargs, state_v_first)
    check_kwargs(name, kwargs)
    arguments = scale, initial_state, output_final_state, cu_seqlens, cp_context
    return _gla(name, "simple_gla", (q, k, v, _head_gate(name, v, g, g_gamma)), arguments, state_v_first=state_v_first)


def fused_recurrent_simple_gla(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: Optional[torch.Tensor] = None,
    g_gamma: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    reverse: bool = False,
    state_v_first: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """chunk_simple_gla by FLA's name for its token-by-token kernel: up to 16 tokens a sequence, dense and
    without gradients, by the program that decodes, all else by the chunked one. The arguments are those of
    chunk_simple_gla, with g [B, T, HV]; reverse is refused.
    """
    name = "fused_recurrent_simple_gla"
    state_v_first = v_first_of(kwargs, state_v_first)
    check_kwargs(name, kwargs)
    refuse(name, reverse=reverse)
    operands = q, k, v, _head_gate(name, v, g, g_gamma)
    arguments = scale, initial_state, output_final_state, cu_seqlens
    return _gla(name, "simple_gla", operands, arguments, state_v_first=state_v_first, recurrent=True)


def _head_gate(name, v, g, g_gamma):
    if g_gamma is None:
        return g
    if g is not None:
        raise ValueError(f"{name}: g and g_gamma are both given, expected one of them")
    expect_tensors(name, v=v, g_gamma=g_gamma)
    expect_shape(name, "g_gamma", g_gamma, v.shape[2:3])
    return g_gamma.expand(v.shape[:3])


def _gla(name, rule, operands, arguments, **options):
    q, k, v, g = operands
    named = {"q": q, "k": k, "v": v}
    if g is None:
        return call(name, "linear_attention", named, *arguments, **options)
    return call(name, rule, named | {"g": g}, *arguments, **options)
