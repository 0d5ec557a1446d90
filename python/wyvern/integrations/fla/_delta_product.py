# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gated DeltaProduct with FLA's signature, by ops of specs: n steps of the delta rule a
token, one decay before them, one read after them."""

import functools
from typing import Any, Optional

import torch

from wyvern.torch import Op, op
from wyvern.torch._l2norm import l2norm


@functools.cache
def _op(is_gated: bool, steps: int, heads: int, key_dim: int, value_dim: int) -> Op:
    return op(
        {
            "name": "gated_delta_product" if is_gated else "delta_product",
            "heads": {"key": heads, "value": heads},
            "dims": {"key": key_dim, "value": value_dim},
            "decay": "head" if is_gated else "none",
            # FLA's layer has negative eigenvalues, and its function does not say.
            "steps": [{"write": "k", "value": "v", "rate": "beta", "max_rate": 2, "repeat": steps}],
        }
    )


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
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Gated DeltaProduct: S <- exp(g_t) S, then for the n = num_householder rows i of token
    t: S <- S + k_i (beta_i (v_i - S^T k_i))^T, then o_t = scale S^T q_t.

    q: [B, T, H, K]; k: [B, T * n, H, K]; v: [B, T * n, H, V]; beta: [B, T * n, H];
    g: [B, T, H], the log decay, or None for none. initial_state: [N, H, K, V] or None.
    scale: a number, by default K ** -0.5. cu_seqlens: offsets of tokens, as T counts them.
    cp_context: FLA's, or a wyvern.torch.ContextParallel.

    Returns (o [B, T, H, V], final_state [N, H, K, V] in fp32 or None). Raises ValueError
    and TypeError for shapes and types, and wyvern.CompileError where there is no kernel.
    """
    if isinstance(scale, torch.Tensor):
        raise TypeError("scale is a tensor, expected a number")
    if use_qk_l2norm_in_kernel:
        q, k = l2norm(q), l2norm(k)
    layer = _op(g is not None, num_householder, q.shape[2], q.shape[3], v.shape[3])
    rates = () if g is None else (g,)
    o, final_state = layer(
        *(q, *rates, k, v, beta),
        initial_state=initial_state,
        cu_seqlens=cu_seqlens,
        output_final_state=output_final_state,
        cp_context=cp_context,
    )
    # The program's scale is the default.
    ratio = 1.0 if scale is None else float(scale) * q.shape[3] ** 0.5
    return o if abs(ratio - 1) < 1e-6 else o * ratio, final_state
