# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which calls of the delta rule there are programs for.

Asked of every call, so nothing here reads the device or looks for a program. Where one
does not compile for the sizes of a call, or there is no compiler, the call itself says so.
"""

from typing import Any, Optional

import torch

_GPU_TYPES = (torch.bfloat16, torch.float16)
_CPU_TYPES = (*_GPU_TYPES, torch.float32, torch.float64)


def why_not(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Optional[str]:
    """Returns why no program takes these operands, or None.

    q, k: [B, T, H, K]; v: [B, T, HV, V], all of one type on one device.
    """
    if not all(isinstance(x, torch.Tensor) and x.dim() == 4 for x in (q, k, v)):
        return "q, k and v are not all tensors [B, T, H, D]"
    if not q.dtype == k.dtype == v.dtype:
        return f"q is {q.dtype}, k {k.dtype} and v {v.dtype}: programs take one type"
    kind = q.device.type
    if kind not in ("cpu", "cuda", "meta"):
        return f"there are no programs for the device {kind}"
    types = _GPU_TYPES if kind == "cuda" else _CPU_TYPES
    if q.dtype not in types:
        return f"there are no programs for {q.dtype} on {kind}"
    return _why_no_kernel(q.shape[3], v.shape[3]) if kind == "cuda" else None


def _why_no_kernel(key_dim: int, value_dim: int) -> Optional[str]:
    if key_dim > 256:
        return f"key dim {key_dim}: kernels take at most 256"
    if value_dim > 512:
        return f"value dim {value_dim}: kernels take at most 512"
    return None


def is_one_token(q: torch.Tensor, cu_seqlens: Any) -> bool:
    """Whether packed sequences have one token each, as shapes tell it."""
    return bool(q.shape[1] < len(cu_seqlens))


ONE_TOKEN = "packed sequences of a token each: a step takes a row a sequence"
