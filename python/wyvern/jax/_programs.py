# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a call to the program that XLA runs for it.

XLA knows a program by a name that follows from the layer, so that an executable of
JAX's persistent cache finds it in another process. Programs are made where JAX lowers a
call for a platform: only there it is known which one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from wyvern import _rt
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
_lock = threading.Lock()


def on_cpu(family: Family, dtype: Any, part: str) -> Registered:
    """Returns the program of this machine's CPU for a part (inference, forward, backward)
    of a layer on operands of a dtype.

    Of 16 bits it is the rounded one, which has the tensors of the GPU's, and its bits up
    to the order of sums: one traced function serves both platforms."""
    kind = DTYPES[np.dtype(dtype).name]

    def make(training: bool) -> Any:
        precision = kind if kind in ("f32", "f64") else "rounded"
        return serving.for_cpu(family.spec | {"dtype": kind}, training, precision, serving.saved_by(family.bundle))

    with _lock:
        _register_target(CPU_TARGET, "cpu", lambda: compiler_module().xla_handler())
        return _find("cpu", family, kind, part, make)


def architecture() -> str:
    """Returns what the GPUs of this process are, or, where there is none and JAX lowers for
    one elsewhere (jax.export), the one architecture that there are kernels for."""
    try:
        device = jax.local_devices(backend="cuda")[0]
    except RuntimeError:
        return "sm_90a"
    capability = map(int, device.compute_capability.split("."))
    return serving.target_of(device.device_kind, *capability)


def on_gpu(family: Family, dtype: Any, part: str) -> Registered:
    """Returns the program of the GPUs of this process for the same."""
    kind = DTYPES[np.dtype(dtype).name]
    target = architecture()

    def make(training: bool) -> Any:
        if family.bundle is not None:
            return serving.of_bundle(family.bundle, kind, training)
        saved = tuple(x.name for x in family.signature.residuals) if training else None
        return serving.for_gpu(family.spec | {"dtype": kind}, target, saved)

    def stages() -> Any:
        return {stage: _rt.xla_handler() for stage in ("initialize", "execute")}

    with _lock:
        _register_target(GPU_TARGET, "CUDA", stages)
        return _find(target, family, kind, part, make)


def _register_target(name: str, platform: str, handler: Callable[[], Any]) -> None:
    if name not in _targets:
        jax.ffi.register_ffi_target(name, handler(), platform=platform)
        _targets.add(name)


def _find(
    platform: str, family: Family, kind: str, part: str, make: Callable[[bool], Any]
) -> Registered:
    """Returns a part of a layer's program, which is made once a process."""
    key = (platform, family, kind)
    if (*key, part) not in _programs:
        program = make(part != "inference")
        parts = {"inference": program}
        if part != "inference":
            parts = {"forward": program, "backward": program.backward}
        for each, one in parts.items():
            name = f"{family.name}_{kind}_{each}"
            one.add_for_xla(name)
            _programs[key + (each,)] = Registered(name, one)
    return _programs[key + (part,)]
