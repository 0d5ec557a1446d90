# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays in and out of CPU programs: NumPy arrays, torch CPU tensors, and what NumPy
reads: anything with `__array__`, the buffer protocol, or DLPack on the CPU.

NumPy has no bfloat16. A bf16 array is one of

* `numpy.uint16` with the bits (what `to_bf16` makes and `from_bf16` reads),
* `ml_dtypes.bfloat16`, if that package is installed,
* a torch CPU tensor of dtype `torch.bfloat16`.

Neither ml_dtypes nor torch is imported here unless the caller's arrays are theirs.
"""

from __future__ import annotations

import sys
from typing import Any, Optional

import numpy as np

# What NumPy holds the elements of a dtype in.
STORAGE: dict[str, np.dtype[Any]] = {
    "bf16": np.dtype(np.uint16),
    "f16": np.dtype(np.float16),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
}
_NAMES = {
    "bfloat16": "bf16",
    "float16": "f16",
    "float32": "f32",
    "float64": "f64",
    "int32": "i32",
    "int64": "i64",
}


def to_bf16(x: Any) -> np.ndarray:
    """Rounds floats to bf16, to nearest even; the bits as uint16, in x's shape."""
    x = np.asarray(x, dtype=np.float32)
    bits = np.ascontiguousarray(x).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16
    quiet_nan = (bits >> 16) | 0x40
    return np.where(np.isnan(x), quiet_nan, rounded).astype(np.uint16)


def from_bf16(bits: Any) -> np.ndarray:
    """The float32 values of bf16 bits (uint16), in the same shape. Raises TypeError for what is no bits."""
    bits = np.asarray(bits)
    if bits.dtype != np.uint16:
        raise TypeError(f"from_bf16: expected the bits, of dtype uint16, found {bits.dtype}: convert values by astype")
    return (bits.astype(np.uint32) << 16).view(np.float32)


def is_torch(value: Any) -> bool:
    """Whether a value is a torch tensor; imports nothing."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def from_dlpack(name: str, value: Any) -> Any:
    """Returns what NumPy only reads through DLPack as an array, all else as it is."""
    if hasattr(value, "__array__") or not hasattr(value, "__dlpack__"):
        return value
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError) as error:
        raise TypeError(
            f"{name}: expected an array in this machine's memory that NumPy can read, found "
            f"a {type(value).__module__}.{type(value).__qualname__} ({error})"
        ) from None


def _from_torch(name: str, tensor: Any) -> tuple[np.ndarray, str]:
    import torch

    if tensor.device.type != "cpu":
        raise TypeError(
            f"{name}: expected a CPU tensor, found one on {tensor.device}; this program was "
            "compiled for the CPU"
        )
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(np.uint16), "bf16"
    array = tensor.numpy()
    return array, _NAMES.get(array.dtype.name, array.dtype.name)


def as_storage(name: str, value: Any, dtype: str, exact: bool = False) -> np.ndarray:
    """`value` as the array a program reads for an input of `dtype`, without a copy
    where possible.

    f32 and f64 inputs (rates, gates, states) take narrower floats too, i64 takes
    int32: both lose nothing. Anything else is a TypeError, and so are these if the
    dtype must be `exact`.
    """
    if is_torch(value):
        array, found = _from_torch(name, value)
    else:
        array = np.asarray(value)
        found = _NAMES.get(array.dtype.name, array.dtype.name)
        if found == "bf16":
            array = array.view(np.uint16)
        elif found == "uint16" and dtype == "bf16":
            found = "bf16"
    if found != dtype:
        array = _widen(name, array, found, dtype, exact)
    # Compiled code counts strides in whole elements of this machine's byte order.
    if any(stride % array.itemsize for stride in array.strides):
        array = np.ascontiguousarray(array)
    return array.astype(STORAGE[dtype], copy=False)


def _widen(name: str, array: np.ndarray, found: str, dtype: str, exact: bool) -> np.ndarray:
    narrower = {"f32": ("bf16", "f16"), "f64": ("bf16", "f16", "f32"), "i64": ("i32",)}
    if exact or found not in narrower.get(dtype, ()):
        wanted = f"{dtype} (bits as numpy.uint16)" if dtype == "bf16" else dtype
        raise TypeError(f"{name}: expected elements of {wanted}, found {found}")
    return (from_bf16(array) if found == "bf16" else array).astype(STORAGE[dtype])


def as_float64(name: str, value: Any, is_bf16: bool) -> np.ndarray:
    """`value` as a contiguous float64 array; uint16 are bits if `is_bf16`."""
    if is_torch(value):
        value = value.detach().cpu().double().numpy()
    array = np.asarray(from_dlpack(name, value))
    if array.dtype == np.uint16 and is_bf16:
        array = from_bf16(array)
    try:
        return np.ascontiguousarray(array, dtype=np.float64).reshape(array.shape)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected numbers, found {array.dtype}") from None


def as_result(buffer: Any, dtype: str, like: Any) -> Any:
    """A program's result as an array of the kind that `like` (an input) is."""
    array = np.asarray(buffer)
    if is_torch(like):
        import torch

        if dtype == "bf16":
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)
    kind: Optional[np.dtype] = getattr(like, "dtype", None)
    if dtype == "bf16" and kind is not None and kind.name == "bfloat16":
        return array.view(kind)
    return array
