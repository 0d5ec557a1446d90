# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The public functions: FLA's arguments, checked, brought to what the ops take.

What FLA fuses into its kernels (L2 norm, gate and rate activations) is done here with
torch operations in front of the op; the result is the same, in float32, rounded to
the dtype of q and k where FLA's is.
"""

import torch
import torch.nn.functional as F

from wyvern.program import refuse_grad

from . import _ops


def chunk_delta_rule(
    q,
    k,
    v,
    beta,
    scale=None,
    initial_state=None,
    output_final_state=False,
    use_qk_l2norm_in_kernel=False,
    cu_seqlens=None,
    cu_seqlens_cpu=None,
    **kwargs,
):
    """DeltaNet: S <- S + k (beta (v - S^T k))^T, o = scale S^T q.

    q, k: [B, T, H, K]; v: [B, T, HV, V] with HV a multiple of H, in bf16 or fp16.
    beta: [B, T, HV], any floating dtype. initial_state: [N, HV, K, V] or None.
    scale: default K ** -0.5. cu_seqlens: int32 or int64 offsets of N packed sequences
    on the tensors' device (then B = 1); rows of o past the last offset are zero.
    cu_seqlens_cpu and the keyword chunk_size (16, 32, 64) are accepted and have no
    effect: nothing is read on the host, and the chunk is the compiled program's.

    Returns (o [B, T, HV, V] in v's dtype, final_state [N, HV, K, V] in fp32 or None).
    """
    _check_kwargs("chunk_delta_rule", kwargs)
    return _delta_rule(
        "chunk_delta_rule",
        (q, k, v, None, beta),
        scale,
        initial_state,
        output_final_state,
        use_qk_l2norm_in_kernel,
        cu_seqlens,
    )


def fused_recurrent_delta_rule(
    q,
    k,
    v,
    beta=None,
    scale=None,
    initial_state=None,
    output_final_state=False,
    use_qk_l2norm_in_kernel=False,
    cu_seqlens=None,
):
    """DeltaNet by FLA's name for its token-by-token kernel, served by the chunked one.

    As chunk_delta_rule; beta None means ones. A rate for each value channel (beta
    [B, T, HV, V]) is another recurrence and is refused.
    """
    if beta is None:
        beta = torch.ones(v.shape[:3], dtype=torch.float32, device=v.device)
    return _delta_rule(
        "fused_recurrent_delta_rule",
        (q, k, v, None, beta),
        scale,
        initial_state,
        output_final_state,
        use_qk_l2norm_in_kernel,
        cu_seqlens,
    )


def chunk_gated_delta_rule(
    q,
    k,
    v,
    g,
    beta,
    scale=None,
    initial_state=None,
    output_final_state=False,
    use_qk_l2norm_in_kernel=False,
    use_beta_sigmoid_in_kernel=False,
    allow_neg_eigval=False,
    state_v_first=False,
    cu_seqlens=None,
    cu_seqlens_cpu=None,
    chunk_indices=None,
    cp_context=None,
    *,
    use_gate_in_kernel=False,
    A_log=None,
    dt_bias=None,
    **kwargs,
):
    """Gated DeltaNet: S <- exp(g) S, then as chunk_delta_rule.

    g: [B, T, HV], the logarithm of the decay, not positive (a positive g grows the
    state; it is not checked, since that would read the device). With
    use_gate_in_kernel, g is the raw gate: g <- -exp(A_log) softplus(g + dt_bias).
    use_beta_sigmoid_in_kernel: beta holds logits; allow_neg_eigval doubles the rate.
    state_v_first: states are [N, HV, V, K]. chunk_indices, like cu_seqlens_cpu, is
    accepted and has no effect. cp_context (context parallelism) is refused.
    """
    name = "chunk_gated_delta_rule"
    if cp_context is not None:
        raise NotImplementedError(f"{name}: cp_context (context parallelism) is not supported")
    state_v_first = kwargs.pop("transpose_state_layout", None) or state_v_first
    _check_kwargs(name, kwargs)
    return _delta_rule(
        name,
        (q, k, v, _gate(name, g, use_gate_in_kernel, A_log, dt_bias), beta),
        scale,
        initial_state,
        output_final_state,
        use_qk_l2norm_in_kernel,
        cu_seqlens,
        use_beta_sigmoid_in_kernel,
        allow_neg_eigval,
        state_v_first,
    )


def fused_recurrent_gated_delta_rule(
    q,
    k,
    v,
    g=None,
    gk=None,
    gv=None,
    beta=None,
    scale=None,
    initial_state=None,
    output_final_state=False,
    use_qk_l2norm_in_kernel=False,
    use_gate_in_kernel=False,
    A_log=None,
    dt_bias=None,
    use_beta_sigmoid_in_kernel=False,
    allow_neg_eigval=False,
    state_v_first=False,
    cu_seqlens=None,
    **kwargs,
):
    """Gated DeltaNet by FLA's name for its token-by-token kernel, served by the
    chunked one. As chunk_gated_delta_rule; g None means no decay, beta None ones.
    Decays a key or value channel (gk, gv) are other recurrences and are refused.
    """
    name = "fused_recurrent_gated_delta_rule"
    state_v_first = kwargs.pop("transpose_state_layout", None) or state_v_first
    _check_kwargs(name, kwargs)
    for channel, value in (("gk", gk), ("gv", gv)):
        if value is not None:
            raise NotImplementedError(f"{name}: {channel} (a decay a channel) is not supported")
    if beta is None:
        if use_beta_sigmoid_in_kernel:
            raise ValueError(f"{name}: use_beta_sigmoid_in_kernel needs beta")
        beta = torch.ones(v.shape[:3], dtype=torch.float32, device=v.device)
    if g is None and use_gate_in_kernel:
        raise ValueError(f"{name}: use_gate_in_kernel needs g")
    return _delta_rule(
        name,
        (q, k, v, None if g is None else _gate(name, g, use_gate_in_kernel, A_log, dt_bias), beta),
        scale,
        initial_state,
        output_final_state,
        use_qk_l2norm_in_kernel,
        cu_seqlens,
        use_beta_sigmoid_in_kernel,
        allow_neg_eigval,
        state_v_first,
    )


# === What the functions share ===


def _check_kwargs(name, kwargs):
    kwargs = dict(kwargs)
    if "head_first" in kwargs:
        raise ValueError(f"{name}: head_first is gone; pass [B, T, H, D] tensors")
    chunk_size = kwargs.pop("chunk_size", 64)
    if chunk_size not in (16, 32, 64):
        raise ValueError(f"{name}: chunk_size is {chunk_size}, expected 16, 32 or 64")
    if kwargs:
        raise TypeError(f"{name}: unexpected arguments: {', '.join(sorted(kwargs))}")


def _gate(name, g, use_gate_in_kernel, A_log, dt_bias):
    if g is None:
        raise TypeError(f"{name}: g is None, expected [B, T, HV]")
    if not use_gate_in_kernel:
        return g
    if A_log is None:
        raise ValueError(f"{name}: use_gate_in_kernel needs A_log")
    refuse_grad(name, (g, A_log, dt_bias))
    g = g.float()
    if dt_bias is not None:
        g = g + dt_bias.float()
    return -A_log.float().exp() * F.softplus(g)


def _l2norm(x):
    """FLA's l2norm: x / sqrt(sum(x^2) + 1e-6) in float32, rounded to x's dtype."""
    wide = x.double() if x.dtype == torch.float64 else x.float()
    return (wide * torch.rsqrt(wide.square().sum(-1, keepdim=True) + 1e-6)).to(x.dtype)


def _expect(name, what, tensor, shape):
    if tensor.shape != shape:
        raise ValueError(
            f"{name}: {what} has shape {list(tensor.shape)}, expected {list(shape)}"
        )


def _check_operands(name, q, k, v, g, beta):
    for what, tensor in (("q", q), ("k", k), ("v", v)):
        if len(tensor.shape) != 4:
            raise ValueError(f"{name}: {what} has shape {list(tensor.shape)}, expected [B, T, heads, dim]")
        if tensor.dtype != q.dtype:
            raise TypeError(f"{name}: q is {q.dtype}, {what} is {tensor.dtype}; expected one dtype")
    wide = q.device.type == "cpu" and q.dtype in (torch.float32, torch.float64)
    if not wide and q.dtype not in (torch.bfloat16, torch.float16):
        raise TypeError(f"{name}: q, k, v are {q.dtype} on {q.device.type}, expected bfloat16 or float16")
    batch, tokens, heads, _ = q.shape
    value_heads = v.shape[2]
    _expect(name, "k", k, q.shape)
    _expect(name, "v", v, (batch, tokens, value_heads, v.shape[3]))
    if heads == 0 or value_heads == 0 or value_heads % heads != 0:
        raise ValueError(
            f"{name}: v has {value_heads} heads, expected a multiple of q's and k's {heads}"
        )
    _expect(name, "beta", beta, (batch, tokens, value_heads))
    if g is not None:
        _expect(name, "g", g, (batch, tokens, value_heads))


def _check_sequences(name, q, v, initial_state, cu_seqlens, state_v_first):
    sequences = q.shape[0]
    if cu_seqlens is not None:
        if cu_seqlens.dtype not in (torch.int32, torch.int64) or cu_seqlens.dim() != 1:
            raise TypeError(
                f"{name}: cu_seqlens is {cu_seqlens.dtype} of shape {list(cu_seqlens.shape)}, "
                "expected int32 or int64 of shape [N + 1]"
            )
        if q.shape[0] != 1:
            raise ValueError(
                f"{name}: the batch size is {q.shape[0]}, expected 1 with cu_seqlens: pack "
                "the sequences into one"
            )
        sequences = cu_seqlens.shape[0] - 1
    if initial_state is not None:
        dims = (v.shape[3], q.shape[3]) if state_v_first else (q.shape[3], v.shape[3])
        _expect(name, "initial_state", initial_state, (sequences, v.shape[2], *dims))


def _delta_rule(
    name,
    operands,
    scale,
    initial_state,
    output_final_state,
    use_qk_l2norm,
    cu_seqlens,
    use_beta_sigmoid=False,
    allow_neg_eigval=False,
    state_v_first=False,
):
    q, k, v, g, beta = operands
    refuse_grad(name, (*operands, initial_state))
    _check_operands(name, q, k, v, g, beta)
    _check_sequences(name, q, v, initial_state, cu_seqlens, state_v_first)
    if allow_neg_eigval and not use_beta_sigmoid:
        raise ValueError(f"{name}: allow_neg_eigval needs use_beta_sigmoid_in_kernel")
    if use_qk_l2norm:
        q, k = _l2norm(q), _l2norm(k)
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    beta = beta.to(wide)
    if use_beta_sigmoid:
        beta = beta.sigmoid()
        if allow_neg_eigval:
            beta = 2 * beta
    if initial_state is not None:
        initial_state = initial_state.to(wide)
    scale = float(q.shape[-1] ** -0.5 if scale is None else scale)
    tail = (initial_state, cu_seqlens, scale, bool(output_final_state), bool(state_v_first))
    if g is None:
        o, state = _ops.delta_rule(q, k, v, beta, *tail)
    else:
        o, state = _ops.gated_delta_rule(q, k, v, g.to(wide), beta, *tail)
    return o, state if output_final_state else None
