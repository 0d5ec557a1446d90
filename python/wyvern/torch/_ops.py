# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch.ops.wyvern: of each layer three ops. `<name>` saves nothing, `<name>_forward`
also returns what it saves for `<name>_backward`.

Schemas, shapes and what runs all follow from the layer's signature. Defined by schema,
not by the custom_op decorator, which costs microseconds a call. The arity is fixed:
without `output_final_state` the second result is empty, and so is `d_initial_state`
without an `initial_state`. Scale, head dims and dtypes are those of the programs.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from wyvern._core.bundles import without_digest
from wyvern._core.layers import PlainSpec
from wyvern._core.op import sign
from wyvern._core.signature import Signature

from . import _autograd
from ._programs import program_for

library = torch.library.Library("wyvern", "DEF")


def define_op(schema: str, run: Callable[..., Any], fake: Callable[..., Any]) -> Any:
    """Defines an op, whose name its schema begins with, that runs the same on the CPU and the GPU; returns it."""
    library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    name = schema.partition("(")[0]
    for key in ("CPU", "CUDA"):
        library.impl(name, run, key)
    torch.library.register_fake(f"wyvern::{name}", fake, lib=library)
    return getattr(torch.ops.wyvern, name).default


class Family(NamedTuple):
    """The three ops of a layer, or of all layers whose sizes the operands tell."""

    name: str
    signature: Signature
    # The operands whose heads and head dims a program is compiled for, and from these sizes
    # and a dtype the layer's spec.
    sized_by: tuple[int, ...]
    spec: Callable[[tuple[int, ...], str], PlainSpec]
    bundle: Any = None  # a loaded program that serves it on GPUs

    @property
    def title(self) -> str:
        """What messages call it."""
        return without_digest(self.name)

    def sizes_of(self, operands: Sequence[torch.Tensor]) -> tuple[int, ...]:
        """Returns the sizes that a program for these operands is compiled for; fewer of malformed ones."""
        return tuple(n for i in self.sized_by for n in operands[i].shape[2:])


def of_spec(name: str, spec: PlainSpec, bundle: Any = None) -> Family:
    """Returns the ops of one layer, of these sizes; on GPUs those of its `bundle`, if there is one."""
    return Family(name, sign(spec, bundle), (), lambda _, dtype: spec | {"dtype": dtype}, bundle)


# What the ops are of, by name. An op stays for as long as the process does.
families: dict[str, Family] = {}


# torch.compile would guard a look into the dictionary by a name that its guards do not know.
@torch.compiler.assume_constant_result
def family_named(name: str) -> Family:
    """Returns what an op is of."""
    return families[name]


def _define(family: Family) -> None:
    name, signature = family.name, family.signature
    tensors = ", ".join(f"Tensor {x}" for x in signature.names)
    states = "Tensor? initial_state, Tensor? cu_seqlens"
    saved = "".join(f", Tensor {x.name}" for x in signature.residuals)
    totals = "".join(f", Tensor {x.name}" for x in signature.totals)
    d_totals = "".join(f", Tensor? d_{x.name}" for x in signature.totals)
    gradients = ", ".join(f"Tensor d_{x}" for x in (*signature.names, "initial_state"))
    call = f"({tensors}, {states}, bool output_final_state) -> (Tensor o, Tensor final_state{totals}"
    for definition in (
        f"{name}{call})",
        f"{name}_forward{call}{saved})",
        f"{name}_backward({tensors}, {states}{saved}, Tensor? d_o, Tensor? d_final_state{d_totals}) "
        f"-> ({gradients})",
    ):
        library.define(definition, tags=(torch.Tag.pt2_compliant_tag,))


# === Shapes ===


def compute_dtype(q):
    """What rates, gates and states are in."""
    return torch.float64 if q.dtype == torch.float64 else torch.float32


def sizes_of(signature, operands, cu_seqlens):
    """The sizes of a call, of which nothing is checked."""
    sizes = {"one": 1}
    for argument, x in zip(signature.operands, operands):
        for (count, rows), n in zip(argument.shape, x.shape):
            sizes.setdefault(count, n // rows)
    return signature.add_counts(sizes, None if cu_seqlens is None else cu_seqlens.shape[0] - 1)


def _new(argument, q, sizes, *, saved=False):
    """An output. On the CPU and the meta device what is saved is in the compute type."""
    narrow = argument.is_narrow and (not saved or q.device.type == "cuda")
    dtype = q.dtype if narrow else compute_dtype(q)
    return torch.empty(argument.extents(sizes), dtype=dtype, device=q.device)


def absent(q):
    """In the place of a state that is not wanted."""
    return torch.empty(0, dtype=compute_dtype(q), device=q.device)


def _fake_call(family, operands, initial_state, cu_seqlens, final):
    signature, q = family.signature, operands[0]
    sizes = sizes_of(signature, operands, cu_seqlens)
    o = _new(signature.o, q, sizes)
    totals = (_new(x, q, sizes) for x in signature.totals)
    return o, _new(signature.final_state, q, sizes) if final else absent(q), *totals


def _fake_forward(family, operands, initial_state, cu_seqlens, final):
    sizes = sizes_of(family.signature, operands, cu_seqlens)
    saved = (_new(x, operands[0], sizes, saved=True) for x in family.signature.residuals)
    return *_fake_call(family, operands, initial_state, cu_seqlens, final), *saved


def _fake_backward(family, operands, initial_state, cu_seqlens, *saved_and_gradients):
    like = [*operands, absent(operands[0]) if initial_state is None else initial_state]
    return tuple(torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in like)


def _states(family, initial_state):
    """The initial state by name, if the layer takes one."""
    return {} if family.signature.initial_state is None else {"initial_state": initial_state}


def _unwanted(family, output, is_wanted):
    """What a program is told of an output of states."""
    return {} if is_wanted or family.signature.initial_state is None else {output: None}


def _more(family, program):
    """The names of the outputs behind o and the final state."""
    return *(x.name for x in family.signature.totals), *program.residuals


# === On the GPU ===


def gpu_call(family, *args):
    return _gpu_run(False, family, *args)[: 2 + len(family.signature.totals)]


def gpu_forward(*args):
    return _gpu_run(True, *args)


def _gpu_run(training, family, operands, initial_state, cu_seqlens, final):
    program = program_for(family, operands, training)
    out = program(
        **dict(zip(family.signature.names, operands)),
        **_states(family, initial_state),
        cu_seqlens=cu_seqlens,
        out=_unwanted(family, "final_state", final),
    )
    state = out["final_state"] if final else absent(operands[0])
    return out["o"], state, *(out[name] for name in _more(family, program))


def gpu_backward(family, operands, initial_state, cu_seqlens, *saved_and_gradients):
    program = program_for(family, operands, True).backward
    given = _backward_inputs(family, operands, cu_seqlens, saved_and_gradients)
    given["initial_state"] = initial_state
    out = program(
        **{name: given[name] for name in program.inputs},
        cu_seqlens=cu_seqlens,
        out=_unwanted(family, "d_initial_state", initial_state is not None),
    )
    d_initial = absent(operands[0]) if initial_state is None else out["d_initial_state"]
    gradients = (out.get(f"d_{name}") for name in family.signature.names)
    return *(_or_unset(d, x) for d, x in zip(gradients, operands)), d_initial


def _or_unset(gradient, operand):
    """The gradient of an operand; of a scale, which has none, a tensor of its shape that nobody reads."""
    return torch.empty_like(operand) if gradient is None else gradient


def _backward_inputs(family, operands, cu_seqlens, saved_and_gradients):
    """What a backward may read, by name; initial_state is left to the caller."""
    signature = family.signature
    count = len(signature.residuals)
    residuals, (d_o, d_final_state, *d_totals) = saved_and_gradients[:count], saved_and_gradients[count:]
    sizes = sizes_of(signature, operands, cu_seqlens)
    or_zeros = lambda d, like: torch.zeros_like(_new(like, operands[0], sizes)) if d is None else d
    given = dict(zip(signature.names, operands), d_o=or_zeros(d_o, signature.o), d_final_state=d_final_state)
    given |= {f"d_{x.name}": or_zeros(d, x) for x, d in zip(signature.totals, d_totals)}
    return given | {x.name: saved for x, saved in zip(signature.residuals, residuals)}


# === On the CPU: everything in the compute type ===


def _to_cpu(tensor, dtype):
    return None if tensor is None else tensor.detach().to(dtype).numpy()


def _cpu_call(family, *args):
    return _cpu_run(False, family, *args)[: 2 + len(family.signature.totals)]


def _cpu_forward(*args):
    return _cpu_run(True, *args)


def _cpu_run(training, family, operands, initial_state, cu_seqlens, final):
    program = program_for(family, operands, training)
    compute = compute_dtype(operands[0])
    out = program(
        **{name: _to_cpu(x, compute) for name, x in zip(family.signature.names, operands)},
        **_states(family, _to_cpu(initial_state, compute)),
        cu_seqlens=_to_cpu(cu_seqlens, torch.int64),
    )
    out = {name: torch.from_numpy(x) for name, x in out.items()}
    state = out["final_state"] if final else absent(operands[0])
    return out["o"].to(operands[0].dtype), state, *(out[name] for name in _more(family, program))


def _cpu_backward(family, operands, initial_state, cu_seqlens, *saved_and_gradients):
    program = program_for(family, operands, True).backward
    compute = compute_dtype(operands[0])
    given = _backward_inputs(family, operands, cu_seqlens, saved_and_gradients)
    given["initial_state"] = initial_state
    saved = [x.name for x in family.signature.residuals]
    # What was saved is not converted: a wrong type is an error.
    given = {n: x.detach().numpy() if n in saved else _to_cpu(x, compute) for n, x in given.items()}
    out = program(
        **{name: given[name] for name in program.inputs if name != "cu_seqlens"},
        cu_seqlens=_to_cpu(cu_seqlens, torch.int64),
    )
    gradients = (
        torch.from_numpy(out[f"d_{name}"]).to(x.dtype) if f"d_{name}" in out else torch.empty_like(x)
        for name, x in zip(family.signature.names, operands)
    )
    if initial_state is None:
        return *gradients, absent(operands[0])
    return *gradients, torch.from_numpy(out["d_initial_state"])


# === Registration ===

# What an op runs, by the end of its name and by dispatch key; "" is its fake.
RUNS: dict[str, dict[str, Callable[..., Any]]] = {
    "": {"CUDA": gpu_call, "CPU": _cpu_call, "": _fake_call},
    "_forward": {"CUDA": gpu_forward, "CPU": _cpu_forward, "": _fake_forward},
    "_backward": {"CUDA": gpu_backward, "CPU": _cpu_backward, "": _fake_backward},
}


def of_family(run: Callable[..., Any], family: Family) -> Callable[..., Any]:
    """Returns `run` as torch calls an op: with its arguments one by one."""
    count = len(family.signature.operands)

    def call(*args):
        return run(family, args[:count], *args[count:])

    return call


def register(family: Family) -> Family:
    """Defines the ops of a layer, with their fakes and derivatives."""
    _define(family)
    for suffix, runs in RUNS.items():
        for key, run in runs.items():
            function = of_family(run, family)
            if key:
                library.impl(family.name + suffix, function, key)
            else:
                op = f"wyvern::{family.name}{suffix}"
                torch.library.register_fake(op, function, lib=library)
    _autograd.register(library, family.name, len(family.signature.totals))
    families[family.name] = family
    return family
