# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`wyvern.reference`: the recurrence, and what a spec computes in front of it, in float64."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from . import arrays
from .cpu import check_cu_seqlens, check_gate
from .specs import Spec, compiler_module, read_layer, read_source


def reference(spec: Spec, /, *, layer: Optional[str] = None, **inputs: Any) -> dict[str, np.ndarray]:
    """The float64 reference: the layer's recurrence, token by token.

    Takes the spec and the inputs of `compile` and `CpuProgram.__call__`, in any float
    dtype (uint16 is read as bf16 bits where the spec's dtype is bf16). Returns float64
    arrays: o [B, T, heads, V] and final_state [N, heads, K, V], and the last of each
    running sum. What a spec computes (`compute`) is computed, in float64 too.

    Raises CompileError for the spec, ValueError or TypeError for the inputs.
    """
    source = read_source(spec)
    found = read_layer(source, layer)
    is_bf16 = found.narrow_type == "bf16"
    inputs = {key: value for key, value in inputs.items() if value is not None}
    if "cu_seqlens" in inputs:
        check_cu_seqlens(found.name, inputs["cu_seqlens"])
    given = {
        key: arrays.as_float64(key, value, is_bf16 and key != "cu_seqlens")
        for key, value in inputs.items()
    }
    if "g" in given:
        check_gate(found.name, "g", given["g"])
    # Constants of what a spec computes are rounded to its type: here too that is float64.
    results = compiler_module().interpret(read_layer(source, layer, "f64").module, given)
    return {key: np.asarray(result) for key, result in results.items()}
