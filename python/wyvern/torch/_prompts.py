# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of prompts as a torch op: sequences of any length that begin and end in slots of a decoder's
pool."""

from typing import Any, Optional

import torch

import wyvern
from wyvern._core import serving

from ._ops import define_op
from ._programs import target_of


class Prompts:
    """The programs of prompts of one layer and pool, and the op that calls them."""

    def __init__(
        self,
        name: str,
        spec: Any,
        pool: wyvern.Pool,
        prologue: tuple[str, ...],
        operands: tuple[str, ...],
        sums: frozenset[str] = frozenset(),
    ):
        self.name, self.spec, self.pool = name, spec, pool
        self.title = spec["name"]  # which the op's name begins with, for messages
        self.prologue, self.operands = prologue, operands
        self.compiled: dict[tuple[str, bool], Any] = {}
        # Pools of running sums are written, too.
        kinds = {x: f"Tensor(w{i}!)" if x in sums else "Tensor" for i, x in enumerate(operands)}
        tensors = ", ".join(f"{kind} {x}" for x, kind in kinds.items())
        self.op = define_op(
            f"{name}({tensors}, Tensor(a!) state, Tensor read_slots, Tensor? write_slots, Tensor? keep_slots, "
            "Tensor? cu_seqlens, Tensor? seeds=None) -> Tensor",
            self.run,
            self.shape,
        )

    def add(self, program: Any) -> None:
        """Has GPUs run a program that was loaded. Raises TypeError for one that is not of these prompts."""
        if not getattr(program, "prefills", False):
            raise TypeError(f"{self.title}: prompts: expected programs that wyvernc --serving=prefill has made")
        missing = set(self.operands) - set(program.inputs)
        if missing:
            raise TypeError(f"{self.title}: prompts: {program.name} has no operand {', '.join(sorted(missing))}")
        self.compiled["cuda", program.keeps] = program

    def of(self, kind: str, keeps: bool) -> Any:
        """The program for a kind of device, compiled when it is first needed."""
        program = self.compiled.get((kind, keeps))
        if program is None:
            entry = "prefill-keep" if keeps else "prefill"
            if kind == "cuda":
                target = target_of(torch.device("cuda", torch.cuda.current_device()))
                program = serving.served_for_gpu(entry, self.spec, target, self.pool, self.prologue)
            else:
                program = wyvern.compile(
                    self.spec, target="cpu", serving=self.pool, entry=entry, prologue=self.prologue
                )
            self.compiled[kind, keeps] = program
        return program

    def run(self, *tensors: Any) -> torch.Tensor:
        """What the op does: all arguments in order. A sequence whose write slot is none is not
        written; without write_slots none is."""
        count = len(self.operands)
        operands, pool = tensors[:count], tensors[count:]
        state, read_slots, write_slots, keep_slots, cu_seqlens, *seeds = pool
        program = self.of(operands[0].device.type, keep_slots is not None)
        given = dict(zip(self.operands, operands))
        given |= {"read_slots": read_slots, "write_slots": write_slots}
        given |= {"keep_slots": keep_slots} if program.keeps else {}
        with torch.no_grad():
            return program.prefill(state=state, cu_seqlens=cu_seqlens, seeds=next(iter(seeds), None), **given)

    def shape(self, *tensors: Any) -> torch.Tensor:
        """An o of the op's arguments: a row of V for each value head and token."""
        operands, state = tensors[: len(self.operands)], tensors[len(self.operands)]
        values = state.shape[2 if self.pool.layout == "vk" else 3]
        return operands[0].new_empty((*operands[0].shape[:2], state.shape[1], values))
