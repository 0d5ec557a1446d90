# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the op of a layer takes and returns, for any batch, lengths and type of tensors.

A framework's adaptor has schemas, shapes and types of gradients from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from .programs import TensorInfo

# A dimension: what is counted, and how many rows of it there are. "batch", "tokens" and
# "sequences" are known of a call, "one" is 1, and a layer may count sizes of its own.
Extent = tuple[str, int]


class Argument(NamedTuple):
    """A tensor of an op."""

    name: str
    shape: tuple[Extent, ...]
    is_narrow: bool  # in the type of q, k and v; all else is in f32, or in f64 beside f64
    is_gate: bool = False  # a log decay

    def fit(self, shape: Sequence[Any], sizes: Mapping[str, Any]) -> dict[str, Any]:
        """Returns `sizes` (of which "one" is known), and those that a tensor of this shape
        adds. Raises ValueError for one that does not agree with them."""
        found = dict(sizes)
        if len(shape) == len(self.shape):
            for (count, rows), n in zip(self.shape, shape):
                if found.setdefault(count, n // rows) * rows != n:
                    break
            else:
                return found
        expected = (
            str(rows) if count == "one" else str(sizes[count] * rows) if count in sizes else count
            for count, rows in self.shape
        )
        raise ValueError(
            f"{self.name} has shape {list(shape)}, expected [{', '.join(expected)}]"
        )

    def extents(self, sizes: Mapping[str, Any]) -> list[Any]:
        """Returns the shape in a call of these sizes."""
        return [rows if count == "one" else sizes[count] * rows for count, rows in self.shape]


class Signature(NamedTuple):
    operands: tuple[Argument, ...]  # q is the first
    initial_state: Optional[Argument]  # may be left out; None where a layer takes none
    o: Argument
    final_state: Optional[Argument]
    residuals: tuple[Argument, ...]  # what training saves besides

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(operand.name for operand in self.operands)


def _argument(info: TensorInfo) -> Argument:
    timed = "time" in dict(info.dims)
    counted = {"seq": "batch" if timed else "sequences", "time": "tokens"}
    shape = tuple(
        (counted[kind], rows) if kind in counted else ("one", size)
        for (kind, rows), size in zip(info.dims, info.shape)
    )
    narrow = info.dtype in ("bf16", "f16")
    return Argument(info.name, shape, narrow, bool(info.is_gate))


def read_signature(
    inputs: Mapping[str, TensorInfo], outputs: Mapping[str, TensorInfo]
) -> Signature:
    """Returns the signature of a program whose layer's type has 16 bits.

    Raises ValueError for a program that saves states of some chunks: how many, its
    signature cannot say."""
    for info in outputs.values():
        if "chunk" in dict(info.dims):
            raise ValueError(
                f"it saves '{info.name}', which has no row a token; compile it with save='factor'"
            )
    return Signature(
        operands=tuple(_argument(info) for info in inputs.values() if not info.optional),
        initial_state=_argument(inputs["initial_state"]) if "initial_state" in inputs else None,
        o=_argument(outputs["o"]),
        final_state=_argument(outputs["final_state"]) if "final_state" in outputs else None,
        residuals=tuple(_argument(info) for info in outputs.values() if info.is_residual),
    )
