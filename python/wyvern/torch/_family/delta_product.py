# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gated DeltaProduct: n steps of the delta rule a token, one decay before them, one read after them."""

from typing import Any, Optional

import torch

from .._call import call


def chunk_gated_delta_product(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: Optional[torch.Tensor],
    beta: torch.Tensor,
    num_householder: int,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    cu_seqlens_cpu: Optional[torch.Tensor] = None,
    cp_context: Any = None,
    *,
    max_rate: float = 2.0,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Gated DeltaProduct: S <- exp(g_t) S, then for the n = num_householder rows i of token
    t: S <- S + k_i (beta_i (v_i - S^T k_i))^T, then o_t = scale S^T q_t.

    The arguments, results and errors are those of chunk_gated_delta_rule, but for these:
    k: [B, T * n, H, K]; v: [B, T * n, HV, V]; beta: [B, T * n, HV]; g: [B, T, HV], or None for no decay.
    cu_seqlens: offsets of tokens, as T counts them. max_rate: what beta reaches at most; FLA's layer lets it
    reach 2, and its function does not say.
    """
    arguments = scale, initial_state, output_final_state, cu_seqlens, cp_context
    return delta_product(
        (q, k, v, g, beta), num_householder, arguments, norm=use_qk_l2norm_in_kernel, max_rate=max_rate
    )


def delta_product(operands, num_householder, arguments, **options):
    """chunk_gated_delta_product on its operands in order; arguments and options as `call` has them."""
    name = "chunk_gated_delta_product"
    if isinstance(num_householder, bool) or not isinstance(num_householder, int) or num_householder < 1:
        raise ValueError(f"{name}: num_householder is {num_householder!r}, expected a whole number of 1 or more")
    q, k, v, g, beta = operands
    named = {"q": q, "k": k, "v": v, "beta": beta} | ({} if g is None else {"g": g})
    rule = "delta_rule" if g is None else "gated_delta_rule"
    return call(name, rule, named, *arguments, repeat=num_householder, **options)
