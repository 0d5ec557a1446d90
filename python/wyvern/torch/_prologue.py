# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs that compute norms and gates themselves, in the place of torch operations in front of an op."""

import torch

import wyvern

from . import _direct
from ._programs import kernel_dims, program_for
from ._rules import family_of
from ._tensors import is_gpu


def normed(rule, max_rate, repeat, tensors):
    """Returns the ops of a rule whose program takes the L2 norm of q and keys itself, where there is one for
    these operands; else None. In fp16 there is none: scaled gradients of raw rows may leave its range."""
    q = tensors[0]
    # A compiler has kernels of its own around an op; of transformed tensors it is not known what gradients they want.
    traced = torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack()
    if traced or not is_gpu(q.device) or q.dtype != torch.bfloat16:
        return None
    family = family_of(rule, max_rate, repeat, ("norm",))
    v = tensors[family.signature.names.index("v")]
    if q.dim() != 4 or v.dim() != 4 or kernel_dims(q.shape[3], v.shape[3]) != (q.shape[3], v.shape[3]):
        return None
    try:
        program_for(family, tensors, _direct.needs_gradient(tensors))
    except (wyvern.CompileError, NotImplementedError):
        return None
    return family
