# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Kimi Delta Attention: the delta rule with a decay a key channel."""

from typing import Any, Optional

import torch

from .. import _prologue
from .._call import call
from .._front import channel_gate, check_kwargs, check_safe_gate, refuse, v_first_of


def chunk_kda(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    beta: torch.Tensor,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    use_gate_in_kernel: bool = False,
    use_beta_sigmoid_in_kernel: bool = False,
    allow_neg_eigval: bool = False,
    safe_gate: bool = False,
    lower_bound: Optional[float] = None,
    disable_recompute: bool = False,
    return_intermediate_states: bool = False,
    state_v_first: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    cu_seqlens_cpu: Optional[torch.Tensor] = None,
    cp_context: Any = None,
    use_graph: bool = False,
    max_num_seqs: Optional[int] = None,
    *,
    A_log: Optional[torch.Tensor] = None,
    dt_bias: Optional[torch.Tensor] = None,
    max_rate: float = 1.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Kimi Delta Attention: S <- Diag(exp(g)) S, then as chunk_delta_rule.

    The arguments, results and errors are those of chunk_gated_delta_rule, but for these:
    g: [B, T, HV, K], the log decay, none above 0. With use_gate_in_kernel the raw gate:
    g <- -exp(A_log) softplus(g + dt_bias), or with a lower_bound (below 0)
    g <- lower_bound sigmoid(exp(A_log) (g + dt_bias)); A_log [HV], which may then be None, dt_bias [HV * K].
    safe_gate with use_gate_in_kernel needs the lower_bound. It has no effect otherwise, and neither have
    disable_recompute, use_graph and max_num_seqs: decays of any strength run the same program,
    and calls can be captured. return_intermediate_states is refused.
    """
    name = "chunk_kda"
    state_v_first = v_first_of(kwargs, state_v_first)
    check_kwargs(name, kwargs)
    refuse(name, return_intermediate_states=return_intermediate_states)
    check_safe_gate(name, safe_gate and use_gate_in_kernel, lower_bound)
    if not state_v_first and cp_context is None and all(isinstance(x, torch.Tensor) for x in (k, v)):
        heads = v.shape[2:3]
        found = _prologue.attempt_gates(
            "kda",
            {"q": q, "k": k, "v": v},
            (g, use_gate_in_kernel, _prologue.per_head(A_log, *heads), _prologue.per_head(dt_bias, *heads, *k.shape[3:])),
            (beta, use_beta_sigmoid_in_kernel, allow_neg_eigval, max_rate),
            use_qk_l2norm_in_kernel,
            (scale, initial_state, cu_seqlens, output_final_state),
            lower_bound if use_gate_in_kernel else None,
        )
        if found is not None:
            return found
    return _kda(
        name,
        (q, k, v, g, beta),
        (use_gate_in_kernel, A_log, dt_bias, lower_bound),
        (scale, initial_state, output_final_state, cu_seqlens, cp_context),
        norm=use_qk_l2norm_in_kernel,
        sigmoid=use_beta_sigmoid_in_kernel,
        doubled=allow_neg_eigval,
        state_v_first=state_v_first,
        max_rate=max_rate,
    )


def fused_recurrent_kda(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    beta: torch.Tensor,
    A_log: Optional[torch.Tensor] = None,
    dt_bias: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    use_gate_in_kernel: bool = False,
    use_beta_sigmoid_in_kernel: bool = False,
    allow_neg_eigval: bool = False,
    lower_bound: Optional[float] = None,
    state_v_first: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Kimi Delta Attention by FLA's name for its token-by-token kernel: up to 16 tokens a sequence, dense
    and without gradients, by the program that decodes, all else by the chunked one. The arguments
    are those of chunk_kda, with g [B, T, HV, K].
    """
    name = "fused_recurrent_kda"
    state_v_first = v_first_of(kwargs, state_v_first)
    check_kwargs(name, kwargs)
    return _kda(
        name,
        (q, k, v, g, beta),
        (use_gate_in_kernel, A_log, dt_bias, lower_bound),
        (scale, initial_state, output_final_state, cu_seqlens),
        norm=use_qk_l2norm_in_kernel,
        sigmoid=use_beta_sigmoid_in_kernel,
        doubled=allow_neg_eigval,
        state_v_first=state_v_first,
        recurrent=True,
    )


def _kda(name, operands, raw_gate, arguments, **options):
    q, k, v, g, beta = operands
    operands = {"q": q, "k": k, "v": v, "beta": beta, "g": channel_gate(name, q, v, g, *raw_gate)}
    return call(name, "kda", operands, *arguments, **options)
