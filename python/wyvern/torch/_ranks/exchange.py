# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How a forward exchanges end states E and transitions M, and beside what.

M is known once the probe has run, E once the layer's chain has. On a GPU, what a backward needs
is made by the kernels before the chain, the maps (stages.py), which other ranks are waited for
beside. So there are three orders:

    in turn     maps and chain; an all-gather of E and M. Without maps of their own
    in two      an all-gather of M beside the maps; the chain; an all-gather of E
    in one      the program that saves nothing, which has its own way to E; an all-gather of
                E and M beside the maps, which then run for what they save alone

The last does some work twice, 2 to 5 % of a forward (docs/performance/across-gpus.md); the second waits for
the all-gather of E, the longer the more ranks and the farther they are.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import torch

from . import join, stages
from .beside import beside
from .plan import Plan
from .slots import Slots, at_ends


class Exchanged(NamedTuple):
    o: torch.Tensor
    ends: torch.Tensor  # of slots
    saved: stages.Tensors
    end_states: torch.Tensor  # of all parts
    transitions: torch.Tensor  # of all parts


class Exchange(NamedTuple):
    """Of a forward on a rank, whose probe has run."""

    plan: Plan
    slots: Slots
    run: stages.Forward
    transitions: torch.Tensor  # of segments
    segments: join.Segments
    columns: int  # of a state

    def __call__(self, state: Optional[torch.Tensor]) -> Exchanged:
        """Runs the layer from `state`, what its slots begin with."""
        if not self.run.is_apart:
            return self._in_turn(state)
        return self._in_one(state) if self.plan.gathers == 1 and self.run.saves_first else self._in_two(state)

    def _in_turn(self, state: Optional[torch.Tensor]) -> Exchanged:
        o, ends, *saved = self.run.end(state)
        return Exchanged(o, ends, tuple(saved), *self._both(self._room_for_both(), ends))

    def _in_two(self, state: Optional[torch.Tensor]) -> Exchanged:
        self.run.begin()
        room = self._room(self.transitions.shape[-1])
        with beside(self.transitions.device) as wait:
            (transitions,) = join.gather(self.plan, room, self.segments.multiply())
        self.run.maps()
        o, ends, *saved = self.run.end(state)
        wait()
        (end_states,) = join.gather(self.plan, self._room(self.columns), self._fold(ends))
        return Exchanged(o, ends, tuple(saved), end_states, transitions)

    def _in_one(self, state: Optional[torch.Tensor]) -> Exchanged:
        o, ends = self.run.alone(state)
        self.run.begin()
        room = self._room_for_both()
        with beside(self.transitions.device) as wait:
            both = self._both(room, ends)
        self.run.maps()
        wait()
        return Exchanged(o, ends, self.run.saved(), *both)

    def _both(self, room: torch.Tensor, ends: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return join.gather(self.plan, room, self._fold(ends), self.segments.multiply())

    def _fold(self, ends: torch.Tensor) -> torch.Tensor:
        return self.segments.fold(at_ends(self.slots, ends))

    def _room(self, columns: int) -> torch.Tensor:
        return join.room(self.plan, self.transitions, columns)

    def _room_for_both(self) -> torch.Tensor:
        return self._room(self.columns + self.transitions.shape[-1])
