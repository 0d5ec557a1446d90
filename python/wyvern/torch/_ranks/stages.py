# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A layer's programs in stages: what comes before a state is needed, and what behind.

On a GPU a program is a list of kernels. Forward those before the chain need no values and no
state, so the probe and the layer share them. Backward those right before the chain that takes
the gradient of the state behind have many short blocks, and leave room for what ranks exchange;
of a chain every block runs from begin to end, and one that waits for a processor keeps
all of them waiting. On the CPU, and where kernels do not fall apart so, programs run whole.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Optional

import torch

from .. import _ops
from .._programs import program_for

Tensors = tuple[torch.Tensor, ...]


class Layer(NamedTuple):
    """A layer on a rank's slots."""

    family: Any
    operands: Tensors
    offsets: Optional[torch.Tensor]  # of slots; None where they are rows of a batch

    def run(self, suffix: str, operands: Sequence[torch.Tensor], state: Optional[torch.Tensor], *rest: Any) -> Tensors:
        """Runs an op of the layer: of `operands`, an initial state and what else it takes."""
        key = "CUDA" if self.is_on_gpu else "CPU"
        found: Tensors = _ops.RUNS[suffix][key](self.family, tuple(operands), state, self.offsets, *rest)
        return found

    @property
    def is_on_gpu(self) -> bool:
        return self.operands[0].device.type == "cuda"


class Stages:
    """A program of the layer's training on a GPU, in pieces; of others there are none."""

    def __init__(self, layer: Layer, pieces: Any, **given: Any) -> None:
        self.layer, self._pieces = layer, pieces
        self._given = dict(zip(layer.family.signature.names, layer.operands), **given)

    @property
    def is_apart(self) -> bool:
        return self._pieces is not None

    def begin(self) -> None:
        """Runs what comes before the maps."""
        if self.is_apart and self._pieces.before is not None:
            self._given |= self._run(self._pieces.before, self._given)

    def maps(self) -> None:
        """Runs the maps right before the chain."""
        if self.is_apart:
            self._given |= self._run(self._pieces.maps, self._given)

    def _run(self, piece: Any, given: dict[str, Any], left_out: Sequence[str] = ()) -> dict[str, Any]:
        inputs = {name: given.get(name) for name in piece.inputs}
        found: dict[str, Any] = piece(**inputs, cu_seqlens=self.layer.offsets, out=dict.fromkeys(left_out))
        return found


class Forward(Stages):
    """A forward that may run more than once, with other values."""

    def __init__(self, layer: Layer, saves: bool, values: Collection[str]) -> None:
        super().__init__(layer, _pieces(layer, False, values) if saves else None)
        self._saves = saves

    def run(self, state: Optional[torch.Tensor], **values: torch.Tensor) -> Tensors:
        """Returns o and the final state of other values."""
        if self.is_apart:
            out = self._run(self._pieces.rest, self._given | values | {"initial_state": state})
            return out["o"], out["final_state"]
        names = self.layer.family.signature.names
        return self.layer.run("", [(self._given | values)[name] for name in names], state, True)

    def end(self, state: Optional[torch.Tensor]) -> Tensors:
        """Returns o, the final state, and what is saved."""
        if not self.is_apart:
            return self.layer.run("_forward" if self._saves else "", self.layer.operands, state, True)
        out = self._given | self._run(self._pieces.rest, self._given | {"initial_state": state})
        return out["o"], out["final_state"], *(out[x.name] for x in self.layer.family.signature.residuals)


class Backward(Stages):
    def __init__(
        self, layer: Layer, state: Optional[torch.Tensor], saved: Sequence[torch.Tensor], d_o: torch.Tensor
    ) -> None:
        self._args = (state, *saved, d_o)
        residuals = {x.name: value for x, value in zip(layer.family.signature.residuals, saved)}
        super().__init__(layer, _pieces(layer, True), initial_state=state, d_o=d_o, **residuals)

    def end(self, behind: torch.Tensor) -> Tensors:
        """Returns the gradients of operands and of the initial state, of that of the state behind."""
        if not self.is_apart:
            return self.layer.run("_backward", self.layer.operands, *self._args, behind)
        has_state = self._given["initial_state"] is not None
        left_out = () if has_state else ("d_initial_state",)
        out = self._run(self._pieces.rest, self._given | {"d_final_state": behind}, left_out)
        d_initial = out["d_initial_state"] if has_state else _ops.absent(self.layer.operands[0])
        return *(out[f"d_{name}"] for name in self.layer.family.signature.names), d_initial


def _pieces(layer: Layer, is_backward: bool, values: Collection[str] = ()) -> Any:
    """The pieces of a program, the first of which read none of the `values`; or None."""
    if not layer.is_on_gpu:
        return None
    program = program_for(layer.family, layer.operands, True)
    pieces = program.backward.cut_at("d_final_state") if is_backward else program.cut_at("initial_state")
    if pieces is None or any(name in piece.inputs for piece in pieces[:2] if piece is not None for name in values):
        return None
    return pieces
