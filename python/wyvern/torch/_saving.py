# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a call with gradients saves for its backward.

The ops of a layer save the triangular factor of each chunk, whatever its sizes. On a GPU the program that saves
states too has ops of its own, those of its bundle: what it saves depends on the compiler and on the sizes. Whether
states are saved the compiler chooses, and a bundle says it; WYVERN_SAVE chooses in its place.
"""

import threading
from typing import Any, NamedTuple, Optional

import torch

from wyvern._core.bundles import digest
from wyvern._core.layers import PlainSpec
from wyvern._core.saving import states_for_gpu

from . import _ops, _programs
from ._tensors import NAMES, NARROW


class Twin(NamedTuple):
    """The ops of a layer that save states."""

    family: _ops.Family
    order: tuple[int, ...]  # where each of its operands stands among those of the layer


_twins: dict[tuple[Any, ...], Optional[Twin]] = {}
_lock = threading.Lock()

Ops = tuple[_ops.Family, tuple[torch.Tensor, ...]]


def saving(family: _ops.Family, operands: tuple[torch.Tensor, ...]) -> Ops:
    """Returns the ops that a call with gradients runs, and these operands in their order. The program is compiled
    where there is none yet."""
    q = operands[0]
    if not _may_save_states(family, q):
        return family, operands
    # A range is of numbers: while torch.compile traces, a size that is a symbol becomes one.
    sizes = tuple(range(n).stop for i in family.sized_by for n in operands[i].shape[2:])
    return _as_twin(_twin_of(family.name, sizes, q.dtype, q.device), family, operands)


def saving_if_known(family: _ops.Family, operands: tuple[torch.Tensor, ...]) -> Optional[Ops]:
    """Returns the same of operands of any shapes; None where `saving` has to be asked first."""
    q = operands[0]
    if not _may_save_states(family, q):
        return family, operands
    key = family.name, family.sizes_of(operands), q.dtype, q.device
    return _as_twin(_twins[key], family, operands) if key in _twins else None


def _may_save_states(family: _ops.Family, q: torch.Tensor) -> bool:
    """Whether the ops of a family are not those of one program, and operands are those of a GPU's."""
    return family.bundle is None and _runs_on(q.device) and q.dtype in NARROW


def _as_twin(twin: Optional[Twin], family: _ops.Family, operands: tuple[torch.Tensor, ...]) -> Ops:
    return (family, operands) if twin is None else (twin.family, tuple(operands[i] for i in twin.order))


def _runs_on(device: torch.device) -> bool:
    return device.type == "cuda"


# torch.compile does not trace how programs are compiled.
@torch.compiler.assume_constant_result
def _twin_of(name: str, sizes: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Optional[Twin]:
    key = name, sizes, dtype, device
    if key not in _twins:
        with _lock:
            if key not in _twins:
                family = _ops.families[name]
                _twins[key] = _make(family, family.spec(sizes, NAMES[dtype]), device)
    return _twins[key]


def _make(family: _ops.Family, spec: PlainSpec, device: torch.device) -> Optional[Twin]:
    """The ops of the program that saves states, or None where there is none."""
    try:
        target = _programs.target_of(device)
    except NotImplementedError:
        return None  # the call itself says that there are no programs for the device
    program = states_for_gpu(family.name, spec, target)
    if program is None:
        return None
    name = f"{spec['name']}_{digest(program.manifest)}"
    made = _ops.families.get(name)
    if made is None:
        made = _ops.register(_ops.of_spec(name, spec, program))
    return Twin(made, tuple(map(family.signature.names.index, made.signature.names)))
