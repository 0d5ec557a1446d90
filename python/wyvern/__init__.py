# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Wyvern: delta-rule sequence layers compiled to GPU kernels.

    wyvern.load(folder)            a compiled bundle, callable with CUDA tensors
    wyvern.compile(spec, target=)  the same from a layer spec
    wyvern.reference(spec, q=...)  the float64 reference, on numpy arrays
    wyvern.torch                   PyTorch functions with FLA's signatures, and ops of specs
    wyvern.jax                     JAX functions of specs
    wyvern.plot                    pictures of benchmarks' results, as SVG

Names are imported when they are first used: only wyvern.torch needs torch, only wyvern.jax
needs JAX, and only what compiles needs the compiler.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import jax, plot, torch
    from ._core.arrays import from_bf16, to_bf16
    from ._core.compile import compile
    from ._core.cpu import CpuProgram
    from ._core.gpu import Program, load
    from ._core.manifest import BundleError
    from ._core.programs import CompiledProgram, TensorInfo
    from ._core.reference import reference
    from ._core.specs import CompileError
    from ._core.steps import Epilogue, Pool
    from ._rt import RuntimeError

__version__ = "0.1.0"

__all__ = [
    "BundleError",
    "CompileError",
    "CompiledProgram",
    "CpuProgram",
    "Epilogue",
    "Pool",
    "Program",
    "RuntimeError",
    "TensorInfo",
    "compile",
    "from_bf16",
    "jax",
    "load",
    "plot",
    "reference",
    "to_bf16",
    "torch",
]

_HOMES = {
    "BundleError": "._core.manifest",
    "CompileError": "._core.specs",
    "CompiledProgram": "._core.programs",
    "CpuProgram": "._core.cpu",
    "Epilogue": "._core.steps",
    "Pool": "._core.steps",
    "Program": "._core.gpu",
    "RuntimeError": "._rt",
    "TensorInfo": "._core.programs",
    "compile": "._core.compile",
    "from_bf16": "._core.arrays",
    "load": "._core.gpu",
    "reference": "._core.reference",
    "to_bf16": "._core.arrays",
}


def __getattr__(name: str) -> Any:
    if name in ("jax", "plot", "torch"):
        return importlib.import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value  # an import a call would be a fifth of its time
    return value


def __dir__() -> list[str]:
    return __all__
