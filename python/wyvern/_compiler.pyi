# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Wyvern's compiler; use the functions of the package wyvern."""

from collections.abc import Mapping, Sequence

from typing_extensions import Buffer

# (name, dtype, shape, dimensions as (kind, rows a token), is a gate, is a residual)
_Tensor = tuple[str, str, list[int], list[tuple[str, int]], bool, bool]

class ResultBuffer(Buffer): ...

class CpuProgram:
    @property
    def name(self) -> str: ...
    @property
    def has_backward(self) -> bool: ...
    @property
    def kept_chunk(self) -> int: ...
    @property
    def inputs(self) -> list[_Tensor]: ...
    @property
    def results(self) -> list[_Tensor]: ...
    def run(self, arrays: Sequence[Buffer]) -> list[ResultBuffer]: ...
    def add_for_xla(self, name: str) -> None: ...

def xla_handler() -> object: ...  # a capsule

def compile_cpu(
    source: str,
    entry: str = "",
    phase: str = "wy",
    operand_type: str = "bf16",
    training: bool = False,
    save: str = "factor",
    backward: bool = False,
    schedule: str = "separate",
    segment_tokens: int = 0,
    serving: str = "",
    state_layout: str = "vk",
    state_type: str = "f32",
    slot_type: str = "i32",
    first_slot: int = 0,
    state_rounding: str = "nearest",
    prologue: Sequence[str] = (),
    epilogue: Sequence[str] = (),
    norm_epsilon: float = 1e-6,
    save_bytes: int = 1331,
) -> CpuProgram: ...
def read_spec(
    text: str, file_name: str, format: str, dtype: str = ""
) -> list[tuple[str, str, str, str]]: ...
def check_mlir(text: str) -> None: ...
def interpret(source: str, arrays: Mapping[str, Buffer]) -> dict[str, ResultBuffer]: ...
