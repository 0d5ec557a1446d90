# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a call to the program that XLA runs for it.

XLA knows a program by a name that follows from the layer, so that an executable of
JAX's persistent cache finds it in another process. Programs are made where JAX lowers a
call for a platform: only there it is known which one.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import jax
import numpy as np

from wyvern._core import serving
from wyvern._core.specs import compiler_module

from ._family import DTYPES, Family

CPU_TARGET, GPU_TARGET = "wyvern_cpu", "wyvern_cuda"


class Registered(NamedTuple):
    """A program that its platform's handler knows."""

    name: str
    program: Any


_programs: dict[tuple[Any, ...], Registered] = {}
_targets: set[str] = set()
_lock = threading.RLock()


def on_cpu(family: Family, dtype: str, training: bool, backward: bool) -> Registered:
    """Returns the program of this machine's CPU for operands of a type (bf16, ...).

    Of 16 bits it is the rounded one, which has the tensors of the GPU's, and its bits up
    to the order of sums: one traced function serves both platforms."""

    def make() -> Any:
        precision = {"f32": "f32", "f64": "f64"}.get(dtype, "rounded")
        return serving.for_cpu(family.spec | {"dtype": dtype}, training, precision)

    with _lock:
        _register_target(CPU_TARGET, "cpu", lambda: compiler_module().xla_handler())
        return _find(("cpu", family, dtype, training), make, backward)


def on_gpu(family: Family, dtype: str, training: bool, backward: bool) -> Registered:
    """Returns the program of the GPUs of this process."""
    from wyvern import _rt

    device = jax.local_devices(backend="cuda")[0]
    target = serving.target_of(device.device_kind, *map(int, device.compute_capability.split(".")))

    def make() -> Any:
        if family.bundle is not None:
            return serving.of_bundle(family.bundle, dtype, training)
        saved = tuple(x.name for x in family.signature.residuals) if training else None
        return serving.for_gpu(family.spec | {"dtype": dtype}, target, saved)

    with _lock:
        _register_target(GPU_TARGET, "CUDA", _rt.xla_handler)
        return _find((target, family, dtype, training), make, backward)


def _register_target(name: str, platform: str, handler: Any) -> None:
    if name not in _targets:
        jax.ffi.register_ffi_target(name, handler(), platform=platform)
        _targets.add(name)


def _find(key: tuple[Any, ...], make: Any, backward: bool) -> Registered:
    """Returns the forward or the backward of the program of a key, made once a process."""
    if (*key, backward) not in _programs:
        platform, family, dtype, training = key
        program = make()
        for is_backward in (False, True) if training else (False,):
            part = "backward" if is_backward else "forward" if training else "inference"
            one = Registered(
                f"{family.name}_{dtype}_{part}", program.backward if is_backward else program
            )
            one.program.add_for_xla(one.name)
            _programs[(*key, is_backward)] = one
    return _programs[(*key, backward)]


def name_of(dtype: Any) -> str:
    """Returns a dtype of q in the words of specs."""
    return DTYPES[np.dtype(dtype).name]
