# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the op of a layer takes and returns, for any batch, lengths and type of tensors.

A framework's adaptor has schemas, shapes and types of gradients from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

from .programs import TensorInfo

# What a dimension counts. "batch", "tokens" and "sequences" are known of a call, "one" is 1,
# ("slots", n) are runs of n tokens, and a layer may count sizes of its own.
Count = Union[str, tuple[str, int]]
# That, and how many rows of it there are.
Extent = tuple[Count, int]


def count_slots(length: int, batch: Any, tokens: Any, packed: Optional[Any] = None) -> Any:
    """Returns how many runs of `length` tokens the sequences of a call have, the last one of each
    as long as it may be. `packed`: the number of packed sequences, whose runs are counted as if
    each ended with one that is not full, since where they end the device alone knows."""
    return batch * -(-tokens // length) if packed is None else tokens // length + packed


class Argument(NamedTuple):
    """A tensor of an op."""

    name: str
    shape: tuple[Extent, ...]
    is_narrow: bool  # in the type of q, k and v; all else is in f32, or in f64 beside f64
    needs_bound: bool = False  # a log decay a head; those a channel are bounded by the program

    @property
    def is_constant(self) -> bool:
        """Whether it has no gradient: positions count tokens."""
        return self.name == "positions" and self.shape == (("sequences", 1),)

    @property
    def is_start(self) -> bool:
        """Whether it is one a sequence: what that starts from beside a state."""
        return self.shape[0][0] == "sequences"

    @property
    def is_parameter(self) -> bool:
        """Whether all tokens share it."""
        return all(count == "one" for count, _ in self.shape)

    def fit(self, shape: Sequence[Any], sizes: Mapping[Count, Any]) -> dict[Count, Any]:
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
            str(rows) if count == "one" else str(sizes[count] * rows) if count in sizes else str(count)
            for count, rows in self.shape
        )
        raise ValueError(
            f"{self.name} has shape {list(shape)}, expected [{', '.join(expected)}]"
        )

    def extents(self, sizes: Mapping[Count, Any]) -> list[Any]:
        """Returns the shape in a call of these sizes."""
        return [rows if count == "one" else sizes[count] * rows for count, rows in self.shape]


class Signature(NamedTuple):
    operands: tuple[Argument, ...]  # q is the first; those that are one a sequence are the last
    initial_state: Optional[Argument]  # may be left out; None where a layer takes none
    o: Argument
    final_state: Optional[Argument]
    residuals: tuple[Argument, ...]  # what training saves besides
    totals: tuple[Argument, ...] = ()  # what sequences end with beside a state

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(operand.name for operand in self.operands)

    def has_parameters(self) -> bool:
        """Returns whether there is an operand that all tokens share: then a dimension that is mapped cannot be a
        part of the batch, since a row has others, and a gradient of its own."""
        return any(x.is_parameter for x in self.operands)

    @property
    def starts(self) -> tuple[Argument, ...]:
        """The operands that are parts of an initial state."""
        return tuple(x for x in self.operands if x.is_start)

    @property
    def own(self) -> tuple[Argument, ...]:
        """The operands of an op: all but those."""
        return tuple(x for x in self.operands if not x.is_start)

    # No property: torch.compile traces none of a named tuple.
    def find_slots(self) -> list[tuple[str, int]]:
        """Returns the counts of slots that what is saved has rows of; behind "slots" stand
        their tokens."""
        return [count for x in self.residuals for count, _ in x.shape if isinstance(count, tuple)]

    def add_counts(self, sizes: dict[Count, Any], packed: Optional[Any]) -> dict[Count, Any]:
        """Returns `sizes`, of which batch and tokens are known, and what follows from these and
        from the number of packed sequences; None where there are none."""
        sizes["sequences"] = sizes["batch"] if packed is None else packed
        for count in self.find_slots():
            sizes[count] = count_slots(count[1], sizes["batch"], sizes["tokens"], packed)
        return sizes


def _argument(info: TensorInfo, chunk: int) -> Argument:
    timed = "time" in dict(info.dims)
    counted = {"seq": "batch" if timed else "sequences", "time": "tokens"}

    def extent(kind: str, rows: int, size: int) -> Extent:
        if kind == "chunk":
            return ("slots", rows * chunk), 1
        return (counted[kind], rows) if kind in counted else ("one", size)

    shape = tuple(extent(kind, rows, size) for (kind, rows), size in zip(info.dims, info.shape))
    narrow = info.dtype in ("bf16", "f16")
    is_of_heads = len(shape) == 3  # batch, tokens and heads
    return Argument(info.name, shape, narrow, needs_bound=bool(info.is_gate) and is_of_heads)


def read_signature(
    inputs: Mapping[str, TensorInfo], outputs: Mapping[str, TensorInfo], chunk: int
) -> Signature:
    """Returns the signature of a program whose layer's type has 16 bits; `chunk`: the tokens of
    one of its chunks."""
    read = lambda info: _argument(info, chunk)
    known = ("o", "final_state")
    operands = (read(info) for info in inputs.values() if not info.optional)
    return Signature(
        operands=tuple(sorted(operands, key=lambda x: x.is_start)),
        initial_state=read(inputs["initial_state"]) if "initial_state" in inputs else None,
        o=read(outputs["o"]),
        final_state=read(outputs["final_state"]) if "final_state" in outputs else None,
        residuals=tuple(read(info) for info in outputs.values() if info.is_residual),
        totals=tuple(read(info) for info in outputs.values() if not info.is_residual and info.name not in known),
    )
