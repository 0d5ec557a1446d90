# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a GPU program needs of a framework: memory, a stream, and its tensors described.

A framework's adaptor is a module with the functions of `TensorAdaptor`. Its tensors have
`data_ptr()`, `stride()`, `shape`, `dtype` and `device`, as torch's do.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Mapping, Optional, Protocol, Sequence, Union, cast

from .. import _rt


class TensorAdaptor(Protocol):
    framework: _rt.Framework  # its dtypes, and how a tensor is copied
    exchange: Optional[_rt.Exchange]  # what lends its tensors without Python, if it does
    dtypes: Mapping[str, Any]  # the framework's dtype by the manifest's name; "u8" for bytes

    def is_gpu(self, device: Any) -> bool:
        """Whether a device is one that CUDA programs run on."""

    def prepare(self, device: Any) -> int:
        """The index of a device (None: the current one) on which there is a context now."""

    def stream(self, device: Any) -> int:
        """The handle of the stream that the framework's own work goes to."""

    def empty(self, shape: Union[int, Sequence[int]], *, dtype: Any, device: Any) -> Any:
        """A dense tensor with any values."""

    def widen(self, tensor: Any) -> Any:
        """A tensor of bf16 or f16 in f32, any other as it is."""

    def expect_zero_first(self, cu_seqlens: Any) -> None:
        """Raises, or has the device raise, if cu_seqlens does not start with 0."""


# Where the adaptor of a framework is, by the module whose tensors it takes.
_ADAPTORS = {"torch": ("wyvern.torch._tensors", "Tensor")}


# Of types whose tensors have come.
_known: dict[type, TensorAdaptor] = {}


def adaptor_of(tensor: Any) -> Optional[TensorAdaptor]:
    """Returns the adaptor that takes a tensor, or None. Imports no framework: a tensor's
    own has been imported."""
    known = _known.get(type(tensor))
    return _find_adaptor(tensor) if known is None else known


def _find_adaptor(tensor: Any) -> Optional[TensorAdaptor]:
    for framework, (adaptor, name) in _ADAPTORS.items():
        module = sys.modules.get(framework)
        if module is not None and isinstance(tensor, getattr(module, name)):
            found = cast(TensorAdaptor, sys.modules.get(adaptor) or importlib.import_module(adaptor))
            _known[type(tensor)] = found
            return found
    return None


def installed_adaptor() -> TensorAdaptor:
    """Returns the adaptor of the first framework that can be imported."""
    for adaptor, _ in _ADAPTORS.values():
        try:
            return cast(TensorAdaptor, importlib.import_module(adaptor))
        except ImportError:
            continue
    raise ImportError(
        f"none of the frameworks whose tensors GPU programs take is installed: {', '.join(_ADAPTORS)}"
    )
