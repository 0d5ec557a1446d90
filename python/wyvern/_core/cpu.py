# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of this machine's CPU, called with NumPy arrays and what lends itself to them."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

import numpy as np

from . import arrays
from .programs import HasBackward, TensorInfo, refuse_grad
from .prompts import Prefills
from .steps import Decodes

# Inputs of which None means zeros, or no packing.
_OPTIONAL = ("initial_state", "d_final_state", "cu_seqlens")


def describe_tensors(described: Iterable[Any]) -> Mapping[str, TensorInfo]:
    """Returns what the compiler module says of tensors, by name."""
    return {
        name: TensorInfo(name, *rest, optional or name in _OPTIONAL, in_place)  # type: ignore[call-arg]
        for name, *rest, optional, in_place in described
    }


class CpuProgram(HasBackward, Decodes, Prefills):
    """A program for this machine's CPU. Call it with its inputs by name.

    Deterministic: the same inputs give the same bits, whatever else is in the batch.
    """

    target: str = "cpu"

    def __init__(
        self,
        compiled: Any,
        precision: str,
        backward: Optional["CpuProgram"] = None,
        state_layout: str = "kv",
    ):
        self._compiled = compiled
        self._state_layout = state_layout
        self.kept_chunk: int = compiled.kept_chunk
        self._backward = backward
        self.name: str = compiled.name
        self.precision = precision
        self.inputs = describe_tensors(compiled.inputs)
        self.outputs = describe_tensors(compiled.results)
        self.residuals = [name for name, t in self.outputs.items() if t.is_residual]
        timed = (name for name, t in self.inputs.items() if "time" in dict(t.dims))
        self._main = next(timed, next(iter(self.inputs), ""))

    def __repr__(self) -> str:
        def show(tensors: Mapping[str, TensorInfo]) -> str:
            return ", ".join(
                f"{t.name}: {t.dtype}[{', '.join('?' if n < 0 else str(n) for n in t.shape)}]"
                for t in tensors.values()
            )

        return f"<wyvern CPU program {self.name}({show(self.inputs)}) -> {show(self.outputs)}>"

    def __call__(
        self, /, *, cu_seqlens: Any = None, out: Optional[Mapping[str, Any]] = None, **inputs: Any
    ) -> dict[str, Any]:
        """Runs the program; the outputs by name, as NumPy arrays (or as torch tensors,
        where the inputs are).

        Shapes are those of the spec's operands: q, k, v are [B, T, heads, dim] in the
        spec's dtype, rates and gates [B, T, heads] (a channel gate [B, T, heads, dim])
        and states [N, heads, K, V] in float32. Any strides do. bf16 arrays are uint16
        bits, ml_dtypes or torch (see `to_bf16`).

        initial_state and d_final_state default to zeros. cu_seqlens (int32 or int64
        [N + 1]) says that the one batch row holds N sequences; rows past its last entry
        come out as zeros. `out` maps output names to what they are written to and returned as.

        Raises TypeError for names and dtypes, ValueError for shapes, for a cu_seqlens
        that leaves the tokens, and for a positive log decay (checked here and in
        `reference`; on a GPU it is a precondition).
        """
        self._check_names(inputs)
        refuse_grad(self.name, inputs.values())
        if cu_seqlens is not None:
            inputs["cu_seqlens"] = check_cu_seqlens(self.name, cu_seqlens)
        try:
            inputs = {name: arrays.from_dlpack(name, value) for name, value in inputs.items()}
            given = [self._read(tensor, inputs) for tensor in self.inputs.values()]
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from None
        try:
            results = self._compiled.run(given)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        like = inputs[self._main]
        found = {
            name: arrays.as_result(result, self.outputs[name].dtype, like)
            for name, result in zip(self.outputs, results)
        }
        for name, given in (out or {}).items():
            found[name] = self._write_to(name, given, found.get(name))
        return found

    def _write_to(self, name: str, out: Any, result: Any) -> Any:
        """Writes a result to what the caller has for it, and returns that."""
        if result is None:
            raise TypeError(f"{self.name} has no output '{name}'; its outputs are {', '.join(self.outputs)}")
        kind = lambda x: (type(x), list(x.shape), x.dtype)
        if kind(out) != kind(result):
            expected, found = (f"{x.dtype} {list(x.shape)}" for x in (result, out))
            raise ValueError(f"{self.name}: out: expected '{name}' of {expected}, found {found}")
        out[...] = result
        return out

    def add_for_xla(self, name: str) -> None:
        """Makes it known to XLA's handler (_compiler.xla_handler) by this name, for good."""
        self._compiled.add_for_xla(name)

    def _check_names(self, inputs: Mapping[str, Any]) -> None:
        for name in inputs:
            if name not in self.inputs:
                raise TypeError(
                    f"{self.name} has no input '{name}'; its inputs are {', '.join(self.inputs)}"
                )
        for name, tensor in self.inputs.items():
            if inputs.get(name) is None and not tensor.optional:
                raise TypeError(f"{self.name}: '{name}' is missing")

    def _read(self, tensor: TensorInfo, inputs: Mapping[str, Any]) -> np.ndarray:
        """The array of an input as the program takes it."""
        value = inputs.get(tensor.name)
        if value is None:
            value = self._default(tensor, inputs)
        exact = tensor.is_residual or tensor.in_place
        array = arrays.as_storage(tensor.name, value, tensor.dtype, exact=exact)
        if tensor.is_gate:
            check_gate(self.name, tensor.name, array)
        return array

    def _default(self, tensor: TensorInfo, inputs: Mapping[str, Any]) -> np.ndarray:
        """No packing, slots or lengths, or zeros of one state a sequence."""
        dtype = arrays.STORAGE[tensor.dtype]
        if tensor.dtype in ("i32", "i64"):
            return np.zeros(0, dtype=dtype)
        offsets = inputs.get("cu_seqlens")
        entries = 0 if offsets is None else len(offsets)
        sequences = entries - 1 if entries else inputs[self._main].shape[0]
        return np.zeros([sequences, *tensor.shape[1:]], dtype=dtype)


def check_cu_seqlens(program: str, value: Any) -> Any:
    dtype = str(getattr(value, "dtype", type(value).__name__)).replace("torch.", "")
    shape = tuple(getattr(value, "shape", ()))
    if dtype not in ("int32", "int64") or len(shape) != 1 or shape[0] == 0:
        raise TypeError(
            f"{program}: cu_seqlens: expected int32 or int64 of shape [sequences + 1], found "
            f"{dtype} of shape {list(shape)}"
        )
    return value


def check_gate(program: str, name: str, gate: np.ndarray) -> None:
    if gate.size and (gate > 0).any():
        raise ValueError(
            f"{program}: {name}: expected log decays, none above 0, found {gate.max():g}; pass "
            "log(alpha) for a decay factor alpha"
        )
