# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What of a layer's programs needs no state, and so runs while ranks wait for one another.

On a GPU a program is a list of kernels. Those that make what a forward saves may read no
state: then they run behind the end states. A backward runs all before the kernel that takes the
gradient of the state behind. On the CPU, and where kernels do not fall apart so, all of
a program runs before the others of the ranks are asked, or behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Optional

import torch

from .. import _ops
from .._programs import program_for

Tensors = tuple[torch.Tensor, ...]


class Layer(NamedTuple):
    """A layer's programs on a rank's slots."""

    family: Any
    operands: Tensors
    offsets: Optional[torch.Tensor]  # of slots; None where they are rows of a batch

    def run(self, suffix: str, operands: Sequence[torch.Tensor], *rest: Any) -> Tensors:
        """Runs an op of the layer: of `operands`, an initial state and what else it takes."""
        state, *others = rest
        key = "CUDA" if self.is_on_gpu else "CPU"
        found: Tensors = _ops.RUNS[suffix][key](self.family, tuple(operands), state, self.offsets, *others)
        return found

    @property
    def is_on_gpu(self) -> bool:
        return self.operands[0].device.type == "cuda"


class Forward(NamedTuple):
    """A forward that has run but for what it saves."""

    o: torch.Tensor
    ends: torch.Tensor
    save: Callable[[], Sequence[torch.Tensor]]  # runs what is left, and returns what is saved
    is_apart: bool  # whether anything is left


def forward(layer: Layer, state: Optional[torch.Tensor], saves: bool) -> Forward:
    """Runs a forward; what it saves is made later, if it can be."""
    piece = _what_saves(layer) if saves else None
    o, ends, *saved = layer.run("_forward" if saves and piece is None else "", layer.operands, state, True)
    if piece is None:
        return Forward(o, ends, lambda: saved, False)

    def save() -> Sequence[torch.Tensor]:
        out = _call(piece, _named(layer), layer.offsets)
        return [out[x.name] for x in layer.family.signature.residuals]

    return Forward(o, ends, save, True)


def _what_saves(layer: Layer) -> Any:
    """The kernels that make what a forward saves, where no state has a part in that and the
    program that saves nothing is not made of the same kernels; else None."""
    if not layer.is_on_gpu:
        return None
    plain, saving = (program_for(layer.family, layer.operands, saves) for saves in (False, True))
    piece = saving.until(saving.residuals)
    if piece is None or "initial_state" in piece.inputs or len(_chosen(plain, layer)["kernels"]) > 1:
        return None
    return piece


def _chosen(program: Any, layer: Layer) -> Any:
    """The variant of a program that a call runs."""
    batch, tokens = layer.operands[0].shape[:2]
    rows = dict(layer.family.signature.operands[0].shape)["tokens"]
    name = program.choose(batch, tokens // rows, -1 if layer.offsets is None else layer.offsets.shape[0] - 1)
    return program.manifest["variants"][program.variants.index(name)]


class Backward:
    """A backward of which has run what needs no gradient of the state behind."""

    def __init__(
        self, layer: Layer, state: Optional[torch.Tensor], saved: Sequence[torch.Tensor], d_o: torch.Tensor
    ) -> None:
        self._layer, self._state, self._saved, self._d_o = layer, state, saved, d_o
        self._cut = _what_waits(layer)
        self.is_apart = self._cut is not None

    def begin(self) -> None:
        """Runs what needs none, if anything does."""
        self._given = _named(self._layer) | {"initial_state": self._state, "d_o": self._d_o}
        self._given |= {x.name: saved for x, saved in zip(self._layer.family.signature.residuals, self._saved)}
        if self._cut is not None:
            self._given |= _call(self._cut.before, self._given, self._layer.offsets)

    def end(self, behind: torch.Tensor) -> Tensors:
        """Runs the rest; returns the gradients of operands and of the initial state."""
        layer = self._layer
        if self._cut is None:
            return layer.run("_backward", layer.operands, self._state, *self._saved, self._d_o, behind)
        left_out = {"d_initial_state": None} if self._state is None else {}
        out = _call(self._cut.behind, self._given | {"d_final_state": behind}, layer.offsets, left_out)
        d_initial = _ops.absent(layer.operands[0]) if self._state is None else out["d_initial_state"]
        return *(out[f"d_{name}"] for name in layer.family.signature.names), d_initial


def _what_waits(layer: Layer) -> Any:
    """The kernels before the one that takes the gradient of the state behind, and the others;
    None where there are no such two."""
    if not layer.is_on_gpu:
        return None
    return program_for(layer.family, layer.operands, True).backward.cut_before("d_final_state")


def _named(layer: Layer) -> dict[str, Any]:
    return dict(zip(layer.family.signature.names, layer.operands))


def _call(piece: Any, given: dict[str, Any], offsets: Optional[torch.Tensor], left_out: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = piece(
        **{name: given.get(name) for name in piece.inputs}, cu_seqlens=offsets, out=left_out or {}
    )
    return found
