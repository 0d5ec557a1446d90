# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch.ops.wyvern.{delta_rule, gated_delta_rule}, and of each `_forward` and
`_backward`, what training runs.

Defined by schema, not by the custom_op decorator, which costs microseconds a call.
The arity is fixed: without `output_final_state` the second result is empty, and so is
`d_initial_state` without an `initial_state`. Scale, head dims and dtypes are those of
the programs; _functions.py brings any call to them, _autograd.py has the derivatives.
"""

import torch

from ._programs import CHUNK, program_for

_library = torch.library.Library("wyvern", "DEF")

# What all three take behind the operands.
_STATE = "Tensor? initial_state, Tensor? cu_seqlens"


def _define(name, operands):
    """The three ops of a layer whose tensors are `operands`."""
    tensors = ", ".join(f"Tensor {x}" for x in operands)
    call = f"({tensors}, {_STATE}, bool output_final_state, bool state_v_first)"
    gradients = ", ".join(f"Tensor d_{x}" for x in (*operands, "initial_state"))
    for definition in (
        f"{name}{call} -> (Tensor o, Tensor final_state)",
        f"{name}_forward{call} -> (Tensor o, Tensor final_state, Tensor factor)",
        f"{name}_backward({tensors}, {_STATE}, Tensor factor, Tensor? d_o, "
        f"Tensor? d_final_state, bool state_v_first) -> ({gradients})",
    ):
        _library.define(definition, tags=(torch.Tag.pt2_compliant_tag,))


# === Shapes ===


def compute_dtype(q):
    """What rates, gates and states are in."""
    return torch.float64 if q.dtype == torch.float64 else torch.float32


def _state_shape(q, v, cu_seqlens, v_first):
    sequences = q.shape[0] if cu_seqlens is None else cu_seqlens.shape[0] - 1
    dims = (v.shape[3], q.shape[3]) if v_first else (q.shape[3], v.shape[3])
    return (sequences, v.shape[2], *dims)


def _new_state(q, v, cu_seqlens, v_first, wanted):
    shape = _state_shape(q, v, cu_seqlens, v_first) if wanted else (0,)
    return torch.empty(shape, dtype=compute_dtype(q), device=q.device)


def _key_first(state, v_first):
    return state.transpose(-1, -2) if v_first and state is not None else state


def _fake_call(operands, initial_state, cu_seqlens, final, v_first):
    q, v = operands["q"], operands["v"]
    o = torch.empty(v.shape, dtype=v.dtype, device=v.device)
    return o, _new_state(q, v, cu_seqlens, v_first, final)


def _fake_forward(operands, initial_state, cu_seqlens, final, v_first):
    q, v = operands["q"], operands["v"]
    o, state = _fake_call(operands, initial_state, cu_seqlens, final, v_first)
    # On the meta device as on the CPU.
    dtype = q.dtype if q.device.type == "cuda" else compute_dtype(q)
    return o, state, torch.empty((*v.shape[:3], CHUNK), dtype=dtype, device=q.device)


def _fake_backward(operands, initial_state, cu_seqlens, factor, d_o, d_final, v_first):
    gradients = [torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in operands.values()]
    q, v = operands["q"], operands["v"]
    return *gradients, _new_state(q, v, cu_seqlens, v_first, initial_state is not None)


# === On the GPU ===


def _gpu_call(operands, initial_state, cu_seqlens, final, v_first):
    return _gpu_run(False, operands, initial_state, cu_seqlens, final, v_first)[:2]


def _gpu_forward(operands, initial_state, cu_seqlens, final, v_first):
    return _gpu_run(True, operands, initial_state, cu_seqlens, final, v_first)


def _gpu_run(training, operands, initial_state, cu_seqlens, final, v_first):
    q, v = operands["q"], operands["v"]
    program = program_for(operands, training)
    state = _new_state(q, v, cu_seqlens, v_first, final)
    out = program(
        **operands,
        initial_state=_key_first(initial_state, v_first),
        cu_seqlens=cu_seqlens,
        out={"final_state": _key_first(state, v_first) if final else None},
    )
    return out["o"], state, *(out[name] for name in program.residuals)


def _gpu_backward(operands, initial_state, cu_seqlens, factor, d_o, d_final, v_first):
    q, v = operands["q"], operands["v"]
    program = program_for(operands, True)
    given = operands | dict.fromkeys(program.residuals, factor)
    given["d_o"] = torch.zeros_like(v) if d_o is None else d_o
    given["initial_state"] = _key_first(initial_state, v_first)
    given["d_final_state"] = _key_first(d_final, v_first)
    d_initial = _new_state(q, v, cu_seqlens, v_first, initial_state is not None)
    wanted = None if initial_state is None else _key_first(d_initial, v_first)
    out = program.backward(
        **{name: given[name] for name in program.backward.inputs},
        cu_seqlens=cu_seqlens,
        out={"d_initial_state": wanted},
    )
    return *(out[f"d_{name}"] for name in operands), d_initial


# === On the CPU: everything in the compute type ===


def _to_cpu(tensor, dtype):
    return None if tensor is None else tensor.detach().to(dtype).numpy()


def _from_cpu(array, like):
    return torch.from_numpy(array).to(like.dtype)


def _cpu_state(out, name, v_first, dtype):
    """A state as the op returns it; empty if it is not wanted."""
    if name is None:
        return torch.empty(0, dtype=dtype)
    return _key_first(torch.from_numpy(out[name]), v_first).contiguous()


def _cpu_call(operands, initial_state, cu_seqlens, final, v_first):
    return _cpu_run(False, operands, initial_state, cu_seqlens, final, v_first)[:2]


def _cpu_forward(operands, initial_state, cu_seqlens, final, v_first):
    return _cpu_run(True, operands, initial_state, cu_seqlens, final, v_first)


def _cpu_run(training, operands, initial_state, cu_seqlens, final, v_first):
    program = program_for(operands, training)
    compute = compute_dtype(operands["q"])
    out = program(
        **{name: _to_cpu(x, compute) for name, x in operands.items()},
        initial_state=_to_cpu(_key_first(initial_state, v_first), compute),
        cu_seqlens=_to_cpu(cu_seqlens, torch.int64),
    )
    state = _cpu_state(out, "final_state" if final else None, v_first, compute)
    saved = [torch.from_numpy(out[name]) for name in program.residuals]
    return _from_cpu(out["o"], operands["v"]), state, *saved


def _cpu_backward(operands, initial_state, cu_seqlens, factor, d_o, d_final, v_first):
    program = program_for(operands, True)
    compute = compute_dtype(operands["q"])
    given = operands | {
        "initial_state": _key_first(initial_state, v_first),
        "d_o": torch.zeros_like(operands["v"]) if d_o is None else d_o,
        "d_final_state": _key_first(d_final, v_first),
    }
    given = {name: _to_cpu(x, compute) for name, x in given.items()}
    given |= dict.fromkeys(program.residuals, factor.detach().numpy())
    out = program.backward(
        **{name: given[name] for name in program.backward.inputs if name != "cu_seqlens"},
        cu_seqlens=_to_cpu(cu_seqlens, torch.int64),
    )
    wanted = None if initial_state is None else "d_initial_state"
    d_initial = _cpu_state(out, wanted, v_first, compute)
    return *(_from_cpu(out[f"d_{name}"], x) for name, x in operands.items()), d_initial


# === Registration ===


def _by_name(function, operands):
    """An op's arguments by position; what implements it takes the operands by name."""
    count = len(operands)

    def call(*args):
        return function(dict(zip(operands, args[:count])), *args[count:])

    return call


def _register(name, operands):
    _define(name, operands)
    kinds = {
        "": (_gpu_call, _cpu_call, _fake_call),
        "_forward": (_gpu_forward, _cpu_forward, _fake_forward),
        "_backward": (_gpu_backward, _cpu_backward, _fake_backward),
    }
    for suffix, (gpu, cpu, fake) in kinds.items():
        _library.impl(name + suffix, _by_name(gpu, operands), "CUDA")
        _library.impl(name + suffix, _by_name(cpu, operands), "CPU")
        torch.library.register_fake(
            f"wyvern::{name}{suffix}", _by_name(fake, operands), lib=_library
        )


OPERANDS = {
    "delta_rule": ("q", "k", "v", "beta"),
    "gated_delta_rule": ("q", "k", "v", "g", "beta"),
}
for _name, _operands in OPERANDS.items():
    _register(_name, _operands)
