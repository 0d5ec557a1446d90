# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The runtime's C interface (wyvern_rt.h) in Python."""

import builtins
from collections.abc import Callable, Mapping
from typing import Any, Optional

ABI_VERSION: int
WORKSPACE_ALIGNMENT: int

def xla_handler() -> object: ...  # a capsule

class RuntimeError(builtins.RuntimeError):
    status: str  # the name of the wyvern_status

class Framework:
    def __init__(
        self, dtypes: Mapping[Any, str], fresh: Callable[[Any, bool], Any]
    ) -> None: ...

class Exchange:
    def __init__(
        self,
        api: object,  # a capsule
        types: tuple[type, ...],
        empty: Callable[..., Any],
        dtypes: Mapping[str, Any],
        device_type: int = ...,
    ) -> None: ...

class Program:
    def __init__(self, manifest: Mapping[str, Any], directory: str) -> None: ...
    def prepare(self, device: int) -> None: ...
    def workspace_size(self, batch: int, tokens: int, packed_sequences: int) -> int: ...
    def choose(self, batch: int, tokens: int, packed_sequences: int) -> str: ...
    def estimate(self, batch: int, tokens: int, packed_sequences: int) -> list[float]: ...
    def force_variant(self, name: Optional[str]) -> None: ...
    def launch(
        self,
        framework: Framework,
        arguments: list[Any],
        device: int,
        cu_seqlens: Optional[Any],
        workspace: int,
        workspace_bytes: int,
        stream: int,
    ) -> None: ...
    def run_as_is(
        self,
        exchange: Exchange,
        inputs: tuple[Any, ...],
        cu_seqlens: Optional[Any],
        skipped: int,
    ) -> Optional[tuple[Any, ...]]: ...
    def advance(
        self, exchange: Exchange, inputs: dict[str, Any], refuses_grad: bool, out: Any = None
    ) -> Optional[Any]: ...
    def add_for_xla(self, name: str) -> None: ...
