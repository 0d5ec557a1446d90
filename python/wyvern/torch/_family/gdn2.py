# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gated DeltaNet-2: an erase gate a key channel, a write gate a value channel."""

from typing import Any, Optional

import torch

from .._call import call
from .._front import check_kwargs, check_safe_gate, gate, refuse, v_first_of


def chunk_gdn2(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    b: torch.Tensor,
    w: torch.Tensor,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    use_gate_in_kernel: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    cu_seqlens_cpu: Optional[torch.Tensor] = None,
    safe_gate: bool = False,
    lower_bound: Optional[float] = None,
    disable_recompute: bool = False,
    return_intermediate_states: bool = False,
    state_v_first: bool = False,
    cp_context: Any = None,
    *,
    A_log: Optional[torch.Tensor] = None,
    dt_bias: Optional[torch.Tensor] = None,
    max_rate: float = 2.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Gated DeltaNet-2: S <- Diag(exp(g)) S, then S <- S + k (w * v - S^T (b * k))^T, o = scale S^T q.

    The arguments, results and errors are those of chunk_kda without beta, and these: b: [B, T, H, K], gates of
    what is erased, w: [B, T, HV, V], of what is written, both of q's type.
    max_rate: what b reaches at most; FLA's layer lets it reach 2, and its function does not say.
    """
    name = "chunk_gdn2"
    state_v_first = v_first_of(kwargs, state_v_first)
    check_kwargs(name, kwargs)
    refuse(name, return_intermediate_states=return_intermediate_states)
    check_safe_gate(name, safe_gate and use_gate_in_kernel, lower_bound)
    return _gdn2(
        name,
        (q, k, v, g, b, w),
        (use_gate_in_kernel, A_log, dt_bias, lower_bound),
        (scale, initial_state, output_final_state, cu_seqlens, cp_context),
        norm=use_qk_l2norm_in_kernel,
        state_v_first=state_v_first,
        max_rate=max_rate,
    )


def fused_recurrent_gdn2(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    b: torch.Tensor,
    w: torch.Tensor,
    A_log: Optional[torch.Tensor] = None,
    dt_bias: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    use_gate_in_kernel: bool = False,
    lower_bound: Optional[float] = None,
    state_v_first: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Gated DeltaNet-2 by FLA's name for its token-by-token kernel: up to 16 tokens a sequence, dense
    and without gradients, by the program that decodes, all else by the chunked one. The arguments
    are those of chunk_gdn2, with b [B, T, H, K] and w [B, T, HV, V].
    """
    name = "fused_recurrent_gdn2"
    state_v_first = v_first_of(kwargs, state_v_first)
    check_kwargs(name, kwargs)
    return _gdn2(
        name,
        (q, k, v, g, b, w),
        (use_gate_in_kernel, A_log, dt_bias, lower_bound),
        (scale, initial_state, output_final_state, cu_seqlens),
        norm=use_qk_l2norm_in_kernel,
        state_v_first=state_v_first,
        recurrent=True,
        max_rate=2.0,
    )


def _gdn2(name, operands, raw_gate, arguments, **options):
    q, k, v, g, b, w = operands
    operands = {"q": q, "k": k, "v": v, "b": b, "w": w, "g": gate(name, q, v, g, *raw_gate, channels=True)}
    return call(name, "gdn2", operands, *arguments, **options)
