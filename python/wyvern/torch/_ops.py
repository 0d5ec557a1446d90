# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch.ops.wyvern.delta_rule and gated_delta_rule.

Defined by schema, not by the custom_op decorator, which costs microseconds a call.
The arity is fixed: without `output_final_state` the second result is empty.
"""

import torch
import torch.nn.functional as F

from ._programs import program_for

_TAIL = (
    "Tensor? initial_state, Tensor? cu_seqlens, float scale, bool output_final_state, "
    "bool state_v_first) -> (Tensor, Tensor)"
)
_library = torch.library.Library("wyvern", "DEF")
for _name, _operands in (("delta_rule", "beta"), ("gated_delta_rule", "g, Tensor beta")):
    _library.define(
        f"{_name}(Tensor q, Tensor k, Tensor v, Tensor {_operands}, {_TAIL}",
        tags=(torch.Tag.pt2_compliant_tag,),
    )


def _final_state_shape(q, v, cu_seqlens, state_v_first):
    sequences = q.shape[0] if cu_seqlens is None else cu_seqlens.shape[0] - 1
    dims = (v.shape[3], q.shape[3]) if state_v_first else (q.shape[3], v.shape[3])
    return (sequences, v.shape[2], *dims)


def _fake(q, v, cu_seqlens, output_final_state, state_v_first):
    o = torch.empty(v.shape, dtype=v.dtype, device=v.device)
    shape = _final_state_shape(q, v, cu_seqlens, state_v_first) if output_final_state else (0,)
    dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
    return o, torch.empty(shape, dtype=dtype, device=q.device)


def _rescale(o, scale, key_dim):
    """The programs carry the default scale; another costs one more rounding of o."""
    ratio = scale * key_dim**0.5
    return o if abs(ratio - 1) < 1e-6 else o.mul_(ratio)


_KERNEL_DIMS = (64, 128)


def _kernel_dim(dim):
    """The head dim of the kernel that serves `dim`."""
    return next((n for n in _KERNEL_DIMS if dim <= n), dim)


def _pad(tensor, *dims):
    """Zeros up to `dims` behind the last dimensions."""
    missing = [n - have for n, have in zip(dims, tensor.shape[-len(dims) :])]
    return F.pad(tensor, [side for n in reversed(missing) for side in (0, n)])


def _on_gpu(decay, operands, initial_state, cu_seqlens, scale, final, v_first):
    q, v = operands["q"], operands["v"]
    if q.shape[3] not in _KERNEL_DIMS or v.shape[3] not in _KERNEL_DIMS:
        return _padded(decay, operands, initial_state, cu_seqlens, scale, final, v_first)
    program = program_for(decay, q, v)
    if v_first and initial_state is not None:
        initial_state = initial_state.transpose(-1, -2)
    shape = _final_state_shape(q, v, cu_seqlens, v_first) if final else (0,)
    state = torch.empty(shape, dtype=torch.float32, device=q.device)
    wanted = (state.transpose(-1, -2) if v_first else state) if final else None
    out = program(
        **operands, initial_state=initial_state, cu_seqlens=cu_seqlens, out={"final_state": wanted}
    )
    return _rescale(out["o"], scale, q.shape[3]), state


def _padded(decay, operands, initial_state, cu_seqlens, scale, final, v_first):
    """Head dims between those of the kernels: channels of zeros change nothing, at the
    price of a copy of each tensor."""
    q, v = operands["q"], operands["v"]
    dims = q.shape[3], v.shape[3]
    key_dim, value_dim = (_kernel_dim(n) for n in dims)
    operands |= {"q": _pad(q, key_dim), "k": _pad(operands["k"], key_dim), "v": _pad(v, value_dim)}
    program = program_for(decay, operands["q"], operands["v"])
    if initial_state is not None:
        initial_state = initial_state.transpose(-1, -2) if v_first else initial_state
        initial_state = _pad(initial_state, key_dim, value_dim)
    wanted = None
    state = torch.empty(0, dtype=torch.float32, device=q.device)
    if final:
        shape = _final_state_shape(operands["q"], operands["v"], cu_seqlens, False)
        wanted = torch.empty(shape, dtype=torch.float32, device=q.device)
    out = program(
        **operands, initial_state=initial_state, cu_seqlens=cu_seqlens, out={"final_state": wanted}
    )
    if final:
        state = wanted[..., : dims[0], : dims[1]]
        state = (state.transpose(-1, -2) if v_first else state).contiguous()
    return _rescale(out["o"], scale, key_dim)[..., : dims[1]].contiguous(), state


def _on_cpu(decay, operands, initial_state, cu_seqlens, scale, final, v_first):
    q, v = operands["q"], operands["v"]
    program = program_for(decay, q, v)
    compute = torch.float64 if q.dtype == torch.float64 else torch.float32
    inputs = {name: tensor.to(compute).numpy() for name, tensor in operands.items()}
    if initial_state is not None:
        if v_first:
            initial_state = initial_state.transpose(-1, -2)
        inputs["initial_state"] = initial_state.to(compute).numpy()
    if cu_seqlens is not None:
        inputs["cu_seqlens"] = cu_seqlens.to(torch.int64).numpy()
    out = program(**inputs)
    o = _rescale(torch.from_numpy(out["o"]), scale, q.shape[3]).to(v.dtype)
    if not final:
        return o, torch.empty(0, dtype=compute)
    state = torch.from_numpy(out["final_state"])
    return o, state.transpose(-1, -2).contiguous() if v_first else state


def _register(run, key):
    def delta_rule(q, k, v, beta, *tail):
        return run("none", {"q": q, "k": k, "v": v, "beta": beta}, *tail)

    def gated_delta_rule(q, k, v, g, beta, *tail):
        return run("head", {"q": q, "k": k, "v": v, "g": g, "beta": beta}, *tail)

    _library.impl("delta_rule", delta_rule, key)
    _library.impl("gated_delta_rule", gated_delta_rule, key)


_register(_on_gpu, "CUDA")
_register(_on_cpu, "CPU")


@torch.library.register_fake("wyvern::delta_rule", lib=_library)
def _(q, k, v, beta, initial_state, cu_seqlens, scale, output_final_state, state_v_first):
    return _fake(q, v, cu_seqlens, output_final_state, state_v_first)


@torch.library.register_fake("wyvern::gated_delta_rule", lib=_library)
def _(q, k, v, g, beta, initial_state, cu_seqlens, scale, output_final_state, state_v_first):
    return _fake(q, v, cu_seqlens, output_final_state, state_v_first)


delta_rule = torch.ops.wyvern.delta_rule.default
gated_delta_rule = torch.ops.wyvern.gated_delta_rule.default
