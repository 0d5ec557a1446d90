# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of prompts: a layer's program of whole sequences, whose states lie in the pool of its steps.

    program = wyvern.compile(spec, serving=True, entry="prefill")
    o = program.prefill(q=q, k=k, v=v, beta=beta, state=pool, read_slots=slots)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .programs import TensorInfo
from .steps import with_seeds

# What `wyvern.compile(serving=...)` makes, by its `entry`.
ENTRIES = ("step", "prefill", "prefill-keep")


class Prefills:
    """The part of a program that is about prompts."""

    name: str
    inputs: Mapping[str, TensorInfo]
    _state_layout: str

    @property
    def prefills(self) -> bool:
        """Whether it was compiled for prompts on a pool, and has prefill."""
        state = self.inputs.get("state")
        return state is not None and state.in_place and "lengths" not in self.inputs

    @property
    def keeps(self) -> bool:
        """Whether prefill takes keep_slots."""
        return "keep_slots" in self.inputs

    def prefill(
        self,
        /,
        *,
        state: Any,
        read_slots: Any,
        write_slots: Any = None,
        keep_slots: Any = None,
        cu_seqlens: Any = None,
        seeds: Any = None,
        **inputs: Any,
    ) -> Any:
        """Advances sequences by prompts of any length and returns o.

        Operands are those of the layer, [B, T, heads, dim], or of packed sequences with
        cu_seqlens [N + 1]. `state` is the pool, written in place: sequence n begins with slot
        read_slots[n], or with zeros where that is none (below the first slot), and ends in slot
        write_slots[n] (None: where it was read), or nowhere. No slot may be written twice in a
        call, nor read by one sequence and written by another.

        keep_slots, of a program with the entry prefill-keep: for each slot of a chunk of
        `kept_chunk` tokens (B * ceil(T / chunk), or floor(T / chunk) + N of packed sequences: chunk
        c of sequence n has floor(cu_seqlens[n] / chunk) + n + c) where the state behind that chunk
        goes as well, or a slot that is none.

        A running sum goes on in a pool of its own, as in `step`.

        Shapes: state [slots, heads, V, K] (or K, V: the pool's layout), read_slots, write_slots and
        seeds (those of `step`) [N], int32 or int64 as the pool says. Returns o [B, T, value heads, V].
        Raises AttributeError where the program was not compiled for prompts, TypeError for
        keep_slots that it does not take, and what a call raises."""
        if not self.prefills:
            raise AttributeError(
                f"{self.name} was not compiled for prompts; compile it with wyvern.compile(spec, "
                'serving=True, entry="prefill") or wyvernc --serving=prefill'
            )
        if keep_slots is not None and not self.keeps:
            raise TypeError(
                f'{self.name} does not take keep_slots; compile it with entry="prefill-keep" or wyvernc '
                "--serving=prefill-keep"
            )
        kept = {"keep_slots": keep_slots} if self.keeps else {}
        # Without write_slots states are written where they were read.
        inputs = with_seeds(self, inputs, seeds, writes=True)
        pool = turned(state, self._state_layout)
        out = self(  # type: ignore[operator]
            state=pool,
            read_slots=read_slots,
            write_slots=read_slots if write_slots is None else write_slots,
            cu_seqlens=cu_seqlens,
            **kept,
            **inputs,
        )
        # A CPU program returns the pools that it has made.
        pools = {**inputs, "state": pool}
        for name in out:
            if name in self.inputs:
                pools[name][...] = out[name]
        return out["o"]


def turned(state: Any, layout: str) -> Any:
    """Returns a pool as programs of prompts see it: [slots, heads, K, V]."""
    return state.swapaxes(-1, -2) if layout == "vk" and state.ndim == 4 else state
