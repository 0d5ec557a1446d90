# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a compiled program is to its caller, on the CPU and on a GPU alike."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional, Protocol


class TensorInfo(NamedTuple):
    """A tensor that a program takes or returns.

    name, dtype
        Its name, and bf16, f16, f32, f64, i32 or i64.
    shape
        Its sizes, -1 where only a call tells.
    dims
        What each dimension is (seq, time, head, ...), and its rows a token.
    is_gate
        Whether it is a log decay; None where a bundle does not say.
    is_residual
        Whether a forward saves it for its backward.
    optional
        Whether None may be given for it.
    in_place
        Whether it is an input that is written, too: a pool of states.
    """

    name: str
    dtype: str
    shape: list[int]
    dims: list[tuple[str, int]]
    is_gate: Optional[bool]
    is_residual: bool
    optional: bool
    in_place: bool = False


class CompiledProgram(Protocol):
    """A program that is called with its inputs by name and returns its outputs by name."""

    name: str
    target: str  # "cpu", or an architecture such as "sm_90a"
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    residuals: list[str]  # the outputs that `backward` takes as they are

    def __call__(self, *, cu_seqlens: Any = None, **inputs: Any) -> dict[str, Any]:
        """Runs the program on its inputs by name, q, k, v [B, T, heads, dim] and so on;
        cu_seqlens [N + 1] packs N sequences into a batch of 1. Returns the outputs by name.
        Raises TypeError for names and types, ValueError for shapes."""
        ...

    @property
    def has_backward(self) -> bool:
        """Whether it was compiled for training."""
        ...

    @property
    def backward(self) -> "CompiledProgram":
        """The program of the gradients; AttributeError where there is none."""
        ...


class HasBackward:
    """The part of a program that is about its backward."""

    name: str
    _backward: Any = None

    @property
    def has_backward(self) -> bool:
        """Whether it was compiled for training."""
        return self._backward is not None

    @property
    def backward(self) -> Any:
        """The program of the gradients: called with inputs, residuals and `d_<output>`
        by name, it returns `d_<input>` by name."""
        if self._backward is None:
            raise AttributeError(
                f"{self.name} was compiled without its backward; compile it with "
                "wyvern.compile(spec, training=True) or wyvernc --training"
            )
        return self._backward


def wants_grad() -> bool:
    """Whether torch is there and would record what is done with tensors."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.is_grad_enabled()


def refuse_grad(name: str, values: Iterable[Any]) -> None:
    """Raises NotImplementedError if a value requires grad: a program is no autograd
    function, and a gradient must not go missing in silence."""
    if not wants_grad():
        return
    torch = sys.modules["torch"]
    for x in values:  # any() of a generator takes twice as long
        if getattr(x, "requires_grad", False) and isinstance(x, torch.Tensor):
            raise NotImplementedError(
                f"{name}: an input requires grad, but a program records no autograd graph. For "
                "gradients call wyvern.torch.op(spec), or compile with training=True and "
                "call program.backward; else call it under torch.no_grad(), or detach the inputs"
            )
