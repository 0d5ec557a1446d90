# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch tensors as GPU programs take them (wyvern._core.tensors.TensorAdaptor)."""

from __future__ import annotations

from typing import Any, Optional

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from wyvern import _rt

NAMES = {
    torch.bfloat16: "bf16",
    torch.float16: "f16",
    torch.float32: "f32",
    torch.float64: "f64",
    torch.int32: "i32",
    torch.int64: "i64",
}
dtypes = {name: dtype for dtype, name in NAMES.items()} | {"u8": torch.uint8}
NARROW = (torch.bfloat16, torch.float16)

empty = torch.empty


def _fresh(tensor: torch.Tensor, copy: bool) -> torch.Tensor:
    """A dense tensor like `tensor`, with its values if `copy`."""
    dense = torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    return dense.copy_(tensor) if copy else dense


framework = _rt.Framework(NAMES, _fresh)


def _exchange() -> Optional[_rt.Exchange]:
    """What lends tensors without Python, in torch from 2.10 on."""
    table = getattr(torch.Tensor, "__dlpack_c_exchange_api__", None)
    if table is None:
        return None
    return _rt.Exchange(table, (torch.Tensor, torch.nn.Parameter), empty, dtypes)


exchange = _exchange()


def is_gpu(device: torch.device) -> bool:
    return device.type == "cuda"


def prepare(device: Any) -> int:
    device = torch.device("cuda" if device is None else device)
    torch.empty(0, device=device)  # the context is torch's, not ours
    return device.index if device.index is not None else torch.cuda.current_device()


def stream(device: torch.device) -> int:
    return torch.cuda.current_stream(device).cuda_stream


def widen(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.dtype in NARROW else tensor


# The cu_seqlens that have been looked at, and the version of their values then: the
# layers of a model, and its backward, get the same tensor.
_looked_at: Any = WeakTensorKeyDictionary()


def expect_zero_first(cu_seqlens: torch.Tensor) -> None:
    """Raises RuntimeError if cu_seqlens does not start with 0, which is where kernels
    count chunks from. On a GPU it is the device that looks, and the error is one of its
    stream, as a kernel's: nothing is read on the host."""
    version: Optional[int] = -1 if cu_seqlens.is_inference() else cu_seqlens._version
    if cu_seqlens.numel() == 0 or _looked_at.get(cu_seqlens) == version:
        return
    torch._assert_async(cu_seqlens[0] == 0, "wyvern: expected cu_seqlens to start with 0")
    _looked_at[cu_seqlens] = version
