# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The public functions: FLA's arguments, checked, brought to what the ops take.

What FLA fuses into its kernels (L2 norm, gate and rate activations) is done here with
torch operations in front of the op, and so are casts, padding and a scale that is not
the programs': autograd then has their gradients. The result is FLA's, in float32,
rounded to the dtype of q and k where FLA's is.
"""

import math
from typing import Any, Callable, Optional

import torch
import torch.nn.functional as F

from . import _direct, _few, _ops, _transforms
from ._arguments import check_sequences, check_shapes, convert, expect_shape, expect_tensors
from ._delta_rule import family_of
from ._gate import log_decay
from ._l2norm import l2norm
from ._programs import kernel_dims
from ._ranks.context import read_context
from ._scale import rescaled


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
    _check_kwargs("chunk_delta_rule", kwargs)
    return _delta_rule(
        "chunk_delta_rule",
        (q, k, v, None, beta),
        scale,
        initial_state,
        output_final_state,
        use_qk_l2norm_in_kernel,
        cu_seqlens,
        cp_context=cp_context,
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
    if beta is None:
        expect_tensors("fused_recurrent_delta_rule", v=v)
        beta = torch.ones(v.shape[:3], dtype=torch.float32, device=v.device)
    return _delta_rule(
        "fused_recurrent_delta_rule",
        (q, k, v, None, beta),
        scale,
        initial_state,
        output_final_state,
        use_qk_l2norm_in_kernel,
        cu_seqlens,
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
    state_v_first = kwargs.pop("transpose_state_layout", None) or state_v_first
    _check_kwargs(name, kwargs)
    return _delta_rule(
        name,
        (q, k, v, _gate(name, q, v, g, use_gate_in_kernel, A_log, dt_bias), beta),
        scale,
        initial_state,
        output_final_state,
        use_qk_l2norm_in_kernel,
        cu_seqlens,
        use_beta_sigmoid_in_kernel,
        allow_neg_eigval,
        state_v_first,
        cp_context,
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
    state_v_first = kwargs.pop("transpose_state_layout", None) or state_v_first
    _check_kwargs(name, kwargs)
    for channel, value in (("gk", gk), ("gv", gv)):
        if value is not None:
            raise NotImplementedError(f"{name}: {channel} (a decay a channel) is not supported")
    if beta is None:
        if use_beta_sigmoid_in_kernel:
            raise ValueError(f"{name}: use_beta_sigmoid_in_kernel needs beta")
        expect_tensors(name, v=v)
        beta = torch.ones(v.shape[:3], dtype=torch.float32, device=v.device)
    if g is None and use_gate_in_kernel:
        raise ValueError(f"{name}: use_gate_in_kernel needs g")
    return _delta_rule(
        name,
        (q, k, v, None if g is None else _gate(name, q, v, g, use_gate_in_kernel, A_log, dt_bias), beta),
        scale,
        initial_state,
        output_final_state,
        use_qk_l2norm_in_kernel,
        cu_seqlens,
        use_beta_sigmoid_in_kernel,
        allow_neg_eigval,
        state_v_first,
        recurrent=True,
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


def _gate(name, q, v, g, use_gate_in_kernel, A_log, dt_bias):
    if g is None:
        raise TypeError(f"{name}: g is None, expected [B, T, HV]")
    expect_tensors(name, q=q, v=v, g=g)
    if not use_gate_in_kernel:
        for what, parameter in (("A_log", A_log), ("dt_bias", dt_bias)):
            if parameter is not None:
                raise ValueError(f"{name}: {what} needs use_gate_in_kernel=True; else g is the log decay")
        return g
    if A_log is None:
        raise ValueError(f"{name}: use_gate_in_kernel needs A_log")
    for what, parameter in (("A_log", A_log), ("dt_bias", dt_bias)):
        if parameter is not None:
            expect_tensors(name, **{what: parameter})
            expect_shape(name, what, parameter, v.shape[2:3])
    return log_decay(g.to(_ops.compute_dtype(q)), A_log, dt_bias)


def _check_operands(name, family, q, k, v, *rates):
    """The sizes that the operands tell."""
    arguments = family.signature.operands
    sizes = check_shapes(name, arguments[:3], (q, k, v))
    for what, tensor in (("q", q), ("v", v)):
        if tensor.shape[3] == 0:
            raise ValueError(
                f"{name}: {what} has shape {list(tensor.shape)}, expected a head dim of 1 or more"
            )
    heads, value_heads = sizes["key_heads"], sizes["value_heads"]
    if heads == 0 or value_heads == 0 or value_heads % heads != 0:
        raise ValueError(
            f"{name}: v has {value_heads} heads, expected a multiple of q's and k's {heads}"
        )
    return check_shapes(name, arguments[3:], rates, sizes)


def _scale(name, scale, key_dim):
    if isinstance(scale, torch.Tensor):
        raise TypeError(
            f"{name}: scale is a tensor, expected a float: it would have to be read from the "
            "device, and would get no gradient; multiply q or o by it"
        )
    scale = key_dim**-0.5 if scale is None else float(scale)
    if not math.isfinite(scale):
        raise ValueError(f"{name}: scale is {scale}, expected a finite number")
    return scale


def _pad(tensor, *dims):
    """Zeros up to `dims` behind the last dimensions."""
    missing = [n - have for n, have in zip(dims, tensor.shape[-len(dims) :])]
    return F.pad(tensor, [side for n in reversed(missing) for side in (0, n)])


def _takes_any(x):
    """Whether there is a program for any heads and head dims."""
    return x.device.type in ("cpu", "meta")


def _kernel_dims(q, v):
    """The head dims of the program."""
    dims = q.shape[3], v.shape[3]
    return dims if _takes_any(q) else kernel_dims(*dims)


def _padded(family, operands, state, cu_seqlens, scale, final, context):
    """The op on head dims between those of the kernels: channels of zeros change nothing,
    at the price of a copy of each tensor."""
    q, k, v, *rates = operands
    dims, wide = (q.shape[3], v.shape[3]), _kernel_dims(q, v)
    if wide == dims:
        return _call(family, operands, state, cu_seqlens, scale, final, context)
    operands = _pad(q, wide[0]), _pad(k, wide[0]), _pad(v, wide[1]), *rates
    state = None if state is None else _pad(state, *wide)
    o, state = _call(family, operands, state, cu_seqlens, scale, final, context)
    o = o[..., : v.shape[3]].contiguous()
    return o, state[..., : dims[0], : dims[1]] if final else state


def _call(family, operands, state, cu_seqlens, scale, final, context):
    """The op, and a scale that is not its own."""
    q, *others = operands

    def call(q):
        if context is None:
            return _transforms.call(family.name, (q, *others), state, cu_seqlens, final)
        return context.call(family, (q, *others), state, cu_seqlens, final)

    # The programs carry the default scale.
    return rescaled(call, q, scale * q.shape[3] ** 0.5, others[1].shape[2])


def _is_plain(scale, q, *flags):
    """Whether the op is all that is asked for."""
    return not any(flags) and (scale is None or (type(scale) is float and scale == q.shape[-1] ** -0.5))


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
    cp_context=None,
    *,
    recurrent=False,
    max_rate=1.0,
):
    q, k, v, g, beta = operands
    expect_tensors(name, q=q, k=k, v=v, beta=beta)
    context, cu_seqlens = read_context(name, cp_context, cu_seqlens)
    if initial_state is not None:
        expect_tensors(name, initial_state=initial_state)
    _transforms.refuse_forward_mode(name, (*operands, initial_state))
    if not max_rate <= 2:
        raise ValueError(f"{name}: max_rate is {max_rate}, expected at most 2: above it states grow")
    family = family_of(g is not None, 2.0 if allow_neg_eigval else max_rate)
    rates = (beta,) if g is None else (g, beta)
    dims = (q.shape[-1], v.shape[-1])
    few = recurrent and _few.takes(q, dims, (q, k, v, *rates, initial_state), cu_seqlens)
    if context is None and not few and _is_plain(scale, q, use_qk_l2norm, use_beta_sigmoid, allow_neg_eigval, state_v_first):
        found = _direct.attempt(family, (q, k, v, *rates), initial_state, cu_seqlens, output_final_state)
        if found is not None:
            return found
    sizes = _check_operands(name, family, q, k, v, *rates)
    sizes |= {"sequences": check_sequences(name, q.shape[0], cu_seqlens)}
    scale = _scale(name, scale, q.shape[-1])
    if allow_neg_eigval and not use_beta_sigmoid:
        raise ValueError(f"{name}: allow_neg_eigval needs use_beta_sigmoid_in_kernel")
    if initial_state is not None:
        shape = family.signature.initial_state.extents(sizes)
        expect_shape(name, "initial_state", initial_state, [*shape[:2], *shape[:1:-1]] if state_v_first else shape)
    if few:
        given = convert(name, family.signature.operands, (q, k, v, *rates))
        if use_beta_sigmoid:
            given = *given[:-1], (2 if allow_neg_eigval else 1) * given[-1].sigmoid()
        decoder = _few.of_delta_rule(given, scale, bool(use_qk_l2norm), bool(state_v_first))
        if decoder is not None:
            named = dict(zip(family.signature.names, given))
            return _few.run(decoder, named, initial_state, bool(output_final_state))
    if use_qk_l2norm:
        q, k = l2norm(q), l2norm(k)
    operands = convert(name, family.signature.operands, (q, k, v, *rates))
    wide = _ops.compute_dtype(operands[0])
    if use_beta_sigmoid:
        beta = operands[-1].sigmoid()
        operands = *operands[:-1], 2 * beta if allow_neg_eigval else beta
    state = None if initial_state is None else initial_state.to(wide)
    turn: Callable[[Any], Any] = (lambda x: x if x is None else x.transpose(-1, -2)) if state_v_first else lambda x: x
    o, state = _padded(family, operands, turn(state), cu_seqlens, scale, bool(output_final_state), context)
    return o, turn(state).contiguous() if output_final_state else None
