# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs that decode: a step, the verification of a draft, and the commit of what was
accepted, on a pool of states.

    program = wyvern.compile(spec, serving=True)      # or wyvern.load(folder)
    o = program.step(q=q, k=k, v=v, beta=beta, state=pool, read_slots=slots)
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from .programs import TensorInfo

_CHOICES = {
    "layout": ("vk", "kv"),
    "dtype": ("f32", "bf16"),
    "slots": ("i32", "i64"),
    "rounding": ("nearest", "stochastic"),
}


class Pool(NamedTuple):
    """What a program for serving keeps its states in.

    layout
        "vk": [slots, heads, V, K], or "kv": [slots, heads, K, V].
    dtype
        "f32", or "bf16", to which a state is rounded when it is written.
    slots
        The type of slot numbers, lengths and seeds, "i32" or "i64".
    first_slot
        The first slot that is one: a sequence with a lower number is padding.
    rounding
        Of a pool of bf16: "nearest", or "stochastic", by `seeds`, a number a sequence.
    """

    layout: str = "vk"
    dtype: str = "f32"
    slots: str = "i32"
    first_slot: int = 0
    rounding: str = "nearest"

    def check(self) -> "Pool":
        """Returns the pool. Raises ValueError for a choice that there is not."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"serving: {name}: expected {' or '.join(choices)}, found {getattr(self, name)!r}"
                )
        if self.rounding == "stochastic" and self.dtype != "bf16":
            raise ValueError(f"serving: rounding: stochastic is of bf16, found {self.dtype}")
        most = 2**31 - 1 if self.slots == "i32" else 2**63 - 1
        if not 0 <= self.first_slot <= most:
            raise ValueError(f"serving: first_slot: expected 0 to {most}, slots of {self.slots}, found {self.first_slot}")
        return self


_PARTS = ("conv", "norm", "gates", "decay", "rates", "scale")


def check_prologue(prologue: Sequence[str]) -> None:
    """Raises ValueError for a part that there is not."""
    if isinstance(prologue, str) or not set(prologue) <= set(_PARTS):
        raise ValueError(f"prologue: expected a list of {', '.join(_PARTS)}, found {prologue!r}")


class Epilogue(NamedTuple):
    """What a step computes of its output, in f32: an RMS norm of each head's row, times
    `norm_weight` [V], and a gate, times z / (1 + exp(-z)) of the logits `z` [B, T, heads, V].

    norm, gate
        Which of the two there are.
    epsilon
        What the norm adds to the mean of squares.
    """

    norm: bool = True
    gate: bool = True
    epsilon: float = 1e-6

    @property
    def parts(self) -> list[str]:
        """Its parts, as wyvernc --epilogue has them."""
        return ["norm"] * self.norm + ["gate"] * self.gate

    def check(self) -> "Epilogue":
        """Returns the epilogue. Raises ValueError for an epsilon that is negative or no finite f32."""
        # In the negative, which takes what is no number.
        if not 0 <= self.epsilon <= 3.4e38:
            raise ValueError(f"epilogue: epsilon: expected a finite f32 of at least 0, found {self.epsilon}")
        return self


def with_seeds(program: Any, inputs: dict[str, Any], seeds: Any, writes: bool) -> dict[str, Any]:
    """Returns the inputs of a call with its seeds. Raises TypeError where a pool is written that is
    rounded by seeds, and there are none, or where there are some for another pool."""
    takes = "seeds" in program.inputs
    if not takes and seeds is None:
        return inputs
    if takes and writes and seeds is None:
        raise TypeError(f"{program.name}: 'seeds' is missing, by which its pool is rounded: a number a sequence")
    if not takes:
        raise TypeError(f"{program.name} has no seeds: its pool is rounded to nearest, or not at all")
    return {**inputs, "seeds": seeds}


class Decodes:
    """The part of a program that is about decoding."""

    name: str
    inputs: Mapping[str, TensorInfo]

    @functools.cached_property
    def decodes(self) -> bool:
        """Whether it was compiled for serving, and has step, verify and commit."""
        state = self.inputs.get("state")
        return state is not None and state.in_place and "lengths" in self.inputs

    def step(
        self,
        /,
        *,
        state: Any,
        read_slots: Any,
        write_slots: Any = None,
        lengths: Any = None,
        seeds: Any = None,
        out: Any = None,
        **inputs: Any,
    ) -> Any:
        """Advances every sequence by its tokens and returns o.

        Operands are [B, T, heads, dim] as for the layer, T from 1 to a few. `state` is the
        pool, written in place: sequence n is read at slot read_slots[n] and written at
        write_slots[n] (None: where it was read). No slot may be written by two sequences,
        nor read by one and written by another. A sequence with a slot below the first one
        is padding: its rows of o are zero. `lengths`: the tokens of each sequence that
        count; rows of o behind them are zero. With the prologue conv there is a filter [heads, dim,
        4] for each of q, k and v, such as `q_filter`, and a pool `q_window` [slots, 3, heads, dim] of
        the rows in front, oldest first, which is read and written as the state is; a running sum of
        the spec, such as `phi`, has a pool [slots, key heads, K / 2] of angles. `seeds` [B], of a
        pool that is rounded by them: a number a sequence, another one in each call. `out`: what o is
        written to and returned as, which spares its allocation.

        Shapes: state [slots, heads, V, K] (or K, V: the pool's layout), read_slots,
        write_slots and lengths [B], int32 or int64 as the pool says. Returns o [B, T, value
        heads, V]. Raises AttributeError where the program was not compiled for serving, and
        what a call raises."""
        write_slots = read_slots if write_slots is None else write_slots
        inputs = with_seeds(self, inputs, seeds, writes=True)
        return self._advance(state, read_slots, write_slots, lengths, inputs, out)

    def verify(
        self, /, *, state: Any, read_slots: Any, lengths: Any = None, out: Any = None, **inputs: Any
    ) -> Any:
        """Returns o of a draft's tokens, as `step` of the same arguments (state, read_slots,
        lengths, out) would, and leaves the pool as it is. Keep the inputs: `commit` takes them."""
        inputs = with_seeds(self, inputs, None, writes=False)
        return self._advance(state, read_slots, None, lengths, inputs, out)

    def commit(
        self,
        /,
        *,
        state: Any,
        read_slots: Any,
        lengths: Any,
        write_slots: Any = None,
        seeds: Any = None,
        **inputs: Any,
    ) -> None:
        """Advances every sequence by the first lengths[n] tokens of its verified draft, with
        the bits of a step of these; state, read_slots, write_slots and seeds are those of `step`.
        `lengths` [B] stays on the device."""
        write_slots = read_slots if write_slots is None else write_slots
        inputs = with_seeds(self, inputs, seeds, writes=True)
        self._advance(state, read_slots, write_slots, lengths, inputs)

    def _advance(
        self,
        state: Any,
        read_slots: Any,
        write_slots: Any,
        lengths: Any,
        inputs: Mapping[str, Any],
        out: Any = None,
    ) -> Any:
        if not self.decodes:
            raise AttributeError(
                f"{self.name} was not compiled for serving; compile it with "
                "wyvern.compile(spec, serving=True) or wyvernc --serving"
            )
        results = self(  # type: ignore[operator]
            state=state,
            read_slots=read_slots,
            write_slots=write_slots,
            lengths=lengths,
            **({} if out is None else {"out": {"o": out}}),
            **inputs,
        )
        # A CPU program returns the pools that it has made.
        pools = {**inputs, "state": state}
        for name in results if write_slots is not None else ():
            if name in self.inputs:
                pools[name][...] = results[name]
        return results["o"]
