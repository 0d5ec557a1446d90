# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From an op's operands to the program that runs them."""

import functools
import importlib.util
import threading
from typing import Any

import torch

import wyvern
from wyvern._core import bundles, serving

from ._tensors import NAMES

_PREBUILT_DIMS = (64, 128)
_HAS_COMPILER = importlib.util.find_spec("wyvern._compiler") is not None


def kernel_dims(key_dim, value_dim):
    """The head dims of the kernels that serve these: multiples of 16, which kernels fill up
    as they load; of 64, of key dims above 128. Without the compiler, if no bundle has these, those
    that most prebuilt bundles have."""
    dims = _round_up(key_dim, 16 if key_dim <= 128 else 64), _round_up(value_dim, 16)
    if _HAS_COMPILER or dims in _dims_there():
        return dims
    return tuple(next((n for n in _PREBUILT_DIMS if dim <= n), dim) for dim in (key_dim, value_dim))


# torch.compile does not trace how folders are read.
@torch.compiler.assume_constant_result
def _dims_there():
    return _find_dims()


@functools.cache
def _find_dims():
    """What bundles are there is asked once a process."""
    return tuple(bundles.find_head_dims())


def _round_up(dim, multiple):
    return -(-dim // multiple) * multiple


def target_of(device):
    """The architecture that programs of a GPU are compiled for."""
    return serving.target_of(
        torch.cuda.get_device_name(device), *torch.cuda.get_device_capability(device)
    )


def _load_for_gpu(spec, device, saved):
    """A program for `spec` that saves this for its backward; None for no backward."""
    return serving.for_gpu(spec, target_of(device), saved)


_load_for_cpu = serving.for_cpu  # tests put an oracle here

_programs: dict[Any, Any] = {}
_lock = threading.Lock()


def loaded(family, operands, training):
    """The program for these operands, or None where there is none yet. The operands may
    have any shapes."""
    q = operands[0]
    program = _programs.get((family.name, *family.sizes_of(operands), q.dtype, q.device, training))
    return None if isinstance(program, wyvern.CompileError) else program


def program_for(family, operands, training):
    """The program for these operands on their device, loaded once a process. One that does
    not compile is not tried again."""
    q = operands[0]
    sizes = family.sizes_of(operands)
    key = (family.name, *sizes, q.dtype, q.device, training)
    program = _programs.get(key)
    if program is None:
        with _lock:
            program = _programs.get(key)
            if program is None:
                program = _programs[key] = _make_or_fail(family, sizes, q, training)
    if isinstance(program, wyvern.CompileError):
        raise wyvern.CompileError(*program.args)
    return program


def _make_or_fail(family, sizes, q, training):
    """The program, or why it does not compile."""
    try:
        return _make(family, sizes, q, training)
    except wyvern.CompileError as error:
        return error


def _make(family, sizes, q, training):
    if q.device.type == "cpu":
        # The CPU program computes in float32 or float64, whatever comes in.
        dtype = "f64" if q.dtype == torch.float64 else "f32"
        return _load_for_cpu(family.spec(sizes, dtype), training, save=serving.saved_by(family.bundle))
    spec = family.spec(sizes, NAMES[q.dtype])
    if family.bundle is not None:
        return serving.of_bundle(family.bundle, spec["dtype"], training)
    saved = tuple(x.name for x in family.signature.residuals) if training else None
    return _load_for_gpu(spec, q.device, saved)
