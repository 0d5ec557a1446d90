# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""flash-linear-attention: Triton kernels, tuned for 80 to 100 s at the first call of
each new head count (benchmarks/tune_fla.py compiles for that ahead)."""

import importlib
import os

from ..rules import RULES, call_of
from .base import Refused, Run, autograd_step


def function(rule):
    """The public function of a rule."""
    os.environ.setdefault("FLA_FLASH_QLA", "0")  # FLA would call FlashQLA by itself
    if os.environ.get("FLA_ANY_TRITON") == "1":  # tune_fla.py says why
        importlib.import_module("fla.ops.common.chunk_o").TRITON_ABOVE_3_7_1 = True
    return getattr(importlib.import_module(f"fla.ops.{RULES[rule].module}"), RULES[rule].public)


def _call(inputs):
    """FLA's function of the operands for a case."""
    case = inputs.case
    if case.rule == "delta" and case.key_heads != case.value_heads:
        raise Refused("FLA's DeltaNet has no groups of value heads")
    options = {"initial_state": inputs.initial_state, "cu_seqlens": inputs.cu_seqlens}
    return call_of(function(case.rule), case, inputs.scale, **options)


def prepare(inputs):
    call = _call(inputs)
    return Run(lambda: call(*inputs.operands.values()), lambda result: result)


def prepare_step(inputs):
    return autograd_step(_call(inputs), inputs)
