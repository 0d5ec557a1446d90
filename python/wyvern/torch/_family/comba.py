# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Comba: what is erased is looked up with p, in the state before its decay."""

from typing import Any, Optional

import torch

from .._call import call
from .._front import ones_of


def chunk_comba(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    p: Optional[torch.Tensor],
    g: torch.Tensor,
    beta: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    cu_seqlens_cpu: Optional[torch.Tensor] = None,
    *,
    cp_context: Any = None,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Comba: S <- exp(g) S' + k (beta (v - S'^T p))^T of the state S' before, o = scale S^T q.

    The arguments, results and errors are those of chunk_gated_delta_rule, and p: [B, T, H, K], the key that
    is looked up; None is k. beta None is ones. use_qk_l2norm_in_kernel takes the norm of p too.
    """
    return _comba(
        "chunk_comba",
        (q, k, v, p, g, beta),
        (scale, initial_state, output_final_state, cu_seqlens, cp_context),
        norm=use_qk_l2norm_in_kernel,
    )


def fused_recurrent_comba(
    q: torch.Tensor,
    k: torch.Tensor,
    p: Optional[torch.Tensor],
    v: torch.Tensor,
    g: torch.Tensor,
    beta: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Comba by FLA's name for its token-by-token kernel: up to 16 tokens a sequence, dense and without
    gradients, by the program that decodes, all else by the chunked one. The arguments are those
    of chunk_comba, with p [B, T, H, K] before v.
    """
    return _comba(
        "fused_recurrent_comba",
        (q, k, v, p, g, beta),
        (scale, initial_state, output_final_state, cu_seqlens),
        norm=use_qk_l2norm_in_kernel,
        recurrent=True,
    )


def _comba(name, operands, arguments, **options):
    q, k, v, p, g, beta = operands
    named = {"q": q, "k": k, "v": v, "p": k if p is None else p, "g": g}
    return call(name, "comba", named | {"beta": ones_of(name, v) if beta is None else beta}, *arguments, **options)
