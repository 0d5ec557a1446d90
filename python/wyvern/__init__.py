# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Wyvern: delta-rule sequence layers compiled to GPU kernels.

    wyvern.load(folder)            a compiled bundle, callable with torch tensors
    wyvern.compile(spec, target=)  the same from a layer spec
    wyvern.reference(spec, q=...)  the float64 reference, on numpy arrays
    wyvern.torch                   PyTorch functions with FLA's signatures

Names are imported when they are first used: what needs torch or the compiler is
not touched before.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "BundleError": ".program",
    "Program": ".program",
    "load": ".program",
    "RuntimeError": "._rt",
    "compile": "._compile",
    "reference": "._compile",
    "CompileError": "._compile",
    "CpuProgram": "._compile",
    "to_bf16": "._arrays",
    "from_bf16": "._arrays",
}

__all__ = sorted([*_HOMES, "torch"])


def __getattr__(name):
    if name == "torch":
        return importlib.import_module(".torch", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)


def __dir__():
    return __all__
