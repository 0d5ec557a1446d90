# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A layer's programs in stages: what comes before a state is needed, and what behind.

On a GPU a program is a list of kernels. Some go through a chain, with a block for each: one that
waits for a processor keeps all of them waiting. Others have many blocks, and leave room for what
ranks exchange. Where the kernels right before the one that needs a state are such, they are
a stage of their own. On the CPU, and where there are none, all of a program is the last stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import torch

from wyvern._core.op import part_of

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

    def start(self, end: Any) -> torch.Tensor:
        """Returns what slots start from of what they end in as `end`."""
        names = [part_of(name) for name in self.family.signature.names]
        return self.operands[names.index(part_of(end.name))]

    @property
    def is_on_gpu(self) -> bool:
        return self.operands[0].device.type == "cuda"

    def cut(self, is_backward: bool) -> Any:
        """The pieces of a program of the layer's training, if it falls apart."""
        if not self.is_on_gpu:
            return None
        program = program_for(self.family, self.operands, True)
        return program.backward.cut_at("d_final_state") if is_backward else program.cut_at("initial_state")


class Stages:
    """A run of a program in stages: begin, maps, end."""

    def __init__(self, layer: Layer, pieces: Any, **given: Any) -> None:
        self.layer, self._pieces = layer, pieces
        self._given = dict(zip(layer.family.signature.names, layer.operands), **given)

    @property
    def is_apart(self) -> bool:
        """Whether the maps are a stage of their own."""
        return self._pieces is not None

    def begin(self) -> None:
        """Runs what comes before the maps."""
        if self.is_apart and self._pieces.before is not None:
            self._run(self._pieces.before)

    def maps(self) -> None:
        if self.is_apart:
            self._run(self._pieces.maps)

    def _rest(self, left_out: Sequence[str] = (), **given: Any) -> dict[str, Any]:
        """Runs the rest; returns all that the stages made, by name."""
        self._given |= given
        self._run(self._pieces.rest, left_out)
        return self._given

    def _run(self, piece: Any, left_out: Sequence[str] = ()) -> None:
        inputs = {name: self._given.get(name) for name in piece.inputs}
        self._given |= piece(**inputs, cu_seqlens=self.layer.offsets, out=dict.fromkeys(left_out))


class Forward(Stages):
    def __init__(self, layer: Layer, saves: bool) -> None:
        super().__init__(layer, layer.cut(is_backward=False) if saves else None)
        self._saves = saves

    @property
    def saves_first(self) -> bool:
        """Whether all that is saved comes before the stage that needs the state."""
        pieces = [piece for piece in self._pieces[:2] if piece is not None] if self.is_apart else []
        made = {name for piece in pieces for name in piece.outputs}
        return self.is_apart and made.issuperset(x.name for x in self.layer.family.signature.residuals)

    def saved(self) -> Tensors:
        """Returns what is saved, once it has been made."""
        return tuple(self._given[x.name] for x in self.layer.family.signature.residuals)

    def alone(self, state: Optional[torch.Tensor]) -> Tensors:
        """Returns o and the final state of the layer's program that saves nothing."""
        return self.layer.run("", self.layer.operands, state, True)[:2]

    def end(self, state: Optional[torch.Tensor]) -> Tensors:
        """Returns o, the final state, and what is saved."""
        if not self.is_apart:
            o, final, *more = self.layer.run("_forward" if self._saves else "", self.layer.operands, state, True)
            return o, final, *more[len(self.layer.family.signature.totals) :]
        out = self._rest(initial_state=state)
        return out["o"], out["final_state"], *self.saved()


class Backward(Stages):
    def __init__(
        self, layer: Layer, state: Optional[torch.Tensor], saved: Sequence[torch.Tensor], d_o: torch.Tensor
    ) -> None:
        self._args = (state, *saved, d_o)
        residuals = {x.name: value for x, value in zip(layer.family.signature.residuals, saved)}
        # What sums end in is not the program's to differentiate (sums.py).
        totals = {f"d_{end.name}": torch.zeros_like(layer.start(end)) for end in layer.family.signature.totals}
        super().__init__(layer, layer.cut(is_backward=True), initial_state=state, d_o=d_o, **residuals, **totals)

    def end(self, behind: torch.Tensor) -> Tensors:
        """Returns the gradients of operands and of the initial state, of that of the state behind."""
        if not self.is_apart:
            unread = [None] * len(self.layer.family.signature.totals)
            return self.layer.run("_backward", self.layer.operands, *self._args, behind, *unread)
        has_state = self._given["initial_state"] is not None
        out = self._rest(() if has_state else ("d_initial_state",), d_final_state=behind)
        d_initial = out["d_initial_state"] if has_state else _ops.absent(self.layer.operands[0])
        return *(out[f"d_{name}"] for name in self.layer.family.signature.names), d_initial
