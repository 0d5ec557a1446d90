# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""DeltaNet and Gated DeltaNet, by FLA's names."""

from typing import Any, Optional

import torch

from . import _prologue
from ._call import call
from ._front import check_kwargs, gate, ones_of, refuse, v_first_of


def chunk_delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    beta: torch.Tensor,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    cu_seqlens_cpu: Optional[torch.Tensor] = None,
    *,
    max_rate: float = 1.0,
    cp_context: Any = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """DeltaNet: S <- S + k (beta (v - S^T k))^T, o = scale S^T q.

    q, k: [B, T, H, K]; v: [B, T, HV, V] with HV a multiple of H, in bf16 or fp16.
    beta: [B, T, HV], any floating dtype. initial_state: [N, HV, K, V] or None.
    scale: default K ** -0.5. output_final_state: return the state after the last token.
    use_qk_l2norm_in_kernel: q and k come without their L2 norm over K, which is taken
    here. cu_seqlens: int32 or int64 offsets of N packed sequences
    on the tensors' device (then B = 1); rows of o past the last offset are zero.
    cu_seqlens_cpu and the keyword chunk_size (16, 32, 64) are accepted and have no
    effect: nothing is read on the host, and the chunk is the compiled program's.
    max_rate: what beta reaches at most; above 1 (up to 2) a program is taken that bears
    keys that repeat at such rates (docs/numerics.md). cp_context: a ContextParallel, by which ranks hold parts of the sequences.

    Returns (o [B, T, HV, V] in v's dtype, final_state [N, HV, K, V] in fp32 or None).

    Raises TypeError for names and dtypes, ValueError for shapes and devices,
    NotImplementedError for forward-mode and second derivatives and where there is no
    program for the device.
    """
    check_kwargs("chunk_delta_rule", kwargs)
    return call(
        "chunk_delta_rule",
        "delta_rule",
        {"q": q, "k": k, "v": v, "beta": beta},
        scale,
        initial_state,
        output_final_state,
        cu_seqlens,
        cp_context,
        norm=use_qk_l2norm_in_kernel,
        max_rate=max_rate,
    )


def fused_recurrent_delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    beta: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """DeltaNet by FLA's name for its token-by-token kernel: up to 16 tokens a sequence, dense and
    without gradients, by the program that decodes, all else by the chunked one.

    The arguments are those of chunk_delta_rule; beta [B, T, HV], or None for ones. A rate for
    each value channel (beta [B, T, HV, V]) is another recurrence and is refused.
    """
    name = "fused_recurrent_delta_rule"
    return call(
        name,
        "delta_rule",
        {"q": q, "k": k, "v": v, "beta": ones_of(name, v) if beta is None else beta},
        scale,
        initial_state,
        output_final_state,
        cu_seqlens,
        norm=use_qk_l2norm_in_kernel,
        recurrent=True,
    )


def chunk_gated_delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    beta: torch.Tensor,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    use_beta_sigmoid_in_kernel: bool = False,
    allow_neg_eigval: bool = False,
    state_v_first: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    cu_seqlens_cpu: Optional[torch.Tensor] = None,
    chunk_indices: Optional[torch.Tensor] = None,
    cp_context: Any = None,
    *,
    use_gate_in_kernel: bool = False,
    A_log: Optional[torch.Tensor] = None,
    dt_bias: Optional[torch.Tensor] = None,
    max_rate: float = 1.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Gated DeltaNet: S <- exp(g) S, then as chunk_delta_rule.

    The arguments, results and errors are those of chunk_delta_rule, and these:
    g: [B, T, HV], the logarithm of the decay, not positive (a positive g grows the
    state; it is not checked, since that would read the device). With
    use_gate_in_kernel, g is the raw gate: g <- -exp(A_log) softplus(g + dt_bias).
    use_beta_sigmoid_in_kernel: beta holds logits; allow_neg_eigval doubles the rate, and
    is a max_rate of 2.
    state_v_first: states are [N, HV, V, K]. chunk_indices, like cu_seqlens_cpu, is
    accepted and has no effect. cp_context: a ContextParallel, by which ranks hold parts
    of the sequences, or one of fla.ops.cp.build_cp_context, whose offsets are taken.
    """
    name = "chunk_gated_delta_rule"
    state_v_first = v_first_of(kwargs, state_v_first)
    check_kwargs(name, kwargs)
    if not state_v_first and cp_context is None:
        found = _prologue.attempt_gates(
            "gated_delta_rule",
            {"q": q, "k": k, "v": v},
            (g, use_gate_in_kernel, A_log, dt_bias),
            (beta, use_beta_sigmoid_in_kernel, allow_neg_eigval, max_rate),
            use_qk_l2norm_in_kernel,
            (scale, initial_state, cu_seqlens, output_final_state),
        )
        if found is not None:
            return found
    return call(
        name,
        "gated_delta_rule",
        {"q": q, "k": k, "v": v, "g": gate(name, q, v, g, use_gate_in_kernel, A_log, dt_bias), "beta": beta},
        scale,
        initial_state,
        output_final_state,
        cu_seqlens,
        cp_context,
        norm=use_qk_l2norm_in_kernel,
        sigmoid=use_beta_sigmoid_in_kernel,
        doubled=allow_neg_eigval,
        state_v_first=state_v_first,
        max_rate=max_rate,
    )


def fused_recurrent_gated_delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    g: Optional[torch.Tensor] = None,
    gk: Optional[torch.Tensor] = None,
    gv: Optional[torch.Tensor] = None,
    beta: Optional[torch.Tensor] = None,
    scale: Optional[float] = None,
    initial_state: Optional[torch.Tensor] = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    use_gate_in_kernel: bool = False,
    A_log: Optional[torch.Tensor] = None,
    dt_bias: Optional[torch.Tensor] = None,
    use_beta_sigmoid_in_kernel: bool = False,
    allow_neg_eigval: bool = False,
    state_v_first: bool = False,
    cu_seqlens: Optional[torch.Tensor] = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Gated DeltaNet by FLA's name for its token-by-token kernel: up to 16 tokens a sequence, dense
    and without gradients, by the program that decodes, all else by the chunked one. The arguments
    are those of chunk_gated_delta_rule, g and beta [B, T, HV]; g None means no decay, beta None
    ones. Decays a key or value channel (gk, gv) are other recurrences and are refused.
    """
    name = "fused_recurrent_gated_delta_rule"
    state_v_first = v_first_of(kwargs, state_v_first)
    check_kwargs(name, kwargs)
    refuse(name, gk=gk, gv=gv)
    if beta is None and use_beta_sigmoid_in_kernel:
        raise ValueError(f"{name}: use_beta_sigmoid_in_kernel needs beta")
    if g is None and use_gate_in_kernel:
        raise ValueError(f"{name}: use_gate_in_kernel needs g")
    operands = {"q": q, "k": k, "v": v, "beta": ones_of(name, v) if beta is None else beta}
    if g is not None:
        operands["g"] = gate(name, q, v, g, use_gate_in_kernel, A_log, dt_bias)
    return call(
        name,
        "delta_rule" if g is None else "gated_delta_rule",
        operands,
        scale,
        initial_state,
        output_final_state,
        cu_seqlens,
        norm=use_qk_l2norm_in_kernel,
        sigmoid=use_beta_sigmoid_in_kernel,
        doubled=allow_neg_eigval,
        state_v_first=state_v_first,
        recurrent=True,
    )
