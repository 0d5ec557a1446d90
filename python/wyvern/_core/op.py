# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the op of a layer is in every framework: its spec, its operands by name and by
position, their shapes in words."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from .compile import describe
from .cpu import CpuProgram
from .gpu import Program
from .layers import PlainSpec
from .rules import CHUNK
from .signature import Count, Signature, read_signature
from .specs import CompileError, read_layer, read_source

# What is given by name beside the operands; and that, with what an op of one framework has.
OPTIONS = ("initial_state", "cu_seqlens", "output_final_state")
_RESERVED = (*OPTIONS, "cp_context")


def read_spec(source: Any, layer: Optional[str]) -> PlainSpec:
    """Returns the spec of what an op is made of: a spec, or a loaded bundle."""
    if isinstance(source, Program):
        spec = source.manifest.get("spec")
        if not isinstance(spec, dict):
            raise ValueError(f"op: the bundle {source.name} was compiled from IR and has no spec")
        return spec
    if isinstance(source, CpuProgram):
        raise TypeError("op: a CPU program does not hold its spec: pass the spec itself")
    found = read_source(source)
    if found.format == "mlir":
        raise CompileError(f"{found.name}: MLIR has no spec, which an op is made of")
    return read_layer(found, layer).spec


def sign(spec: PlainSpec, bundle: Optional[Program]) -> Signature:
    """Returns the signature of a layer's op: its bundle's, or what the compiler says of
    its spec. Raises ValueError for operands that no function can have."""
    if bundle is not None and bundle.decodes:
        raise TypeError(
            f"op: the bundle {bundle.name} is a layer's step of decoding; pass it to wyvern.torch.Decoder"
        )
    described = describe(spec | {"dtype": "bf16"}) if bundle is None else (bundle.inputs, bundle.outputs)
    # What is described saves the factor, of which nothing has a slot a chunk.
    signature = read_signature(*described, CHUNK if bundle is None else bundle.manifest["chunk"])
    for operand in signature.names:
        if operand in _RESERVED or keyword.iskeyword(operand):
            raise ValueError(
                f"op: {spec['name']} has an operand {operand!r}, which Python or the op itself uses; "
                "name it differently"
            )
    return signature


def bind(
    name: str, names: Sequence[str], operands: Sequence[Any], named: Mapping[str, Any]
) -> tuple[Any, ...]:
    """Returns the operands of a call in order. Raises TypeError for those that are missing,
    given twice, or not the op's."""
    if not named and len(operands) == len(names):
        return tuple(operands)
    if len(operands) > len(names):
        raise TypeError(
            f"{name}: expected {len(names)} operands ({', '.join(names)}), found {len(operands)}; "
            f"{', '.join(OPTIONS)} are given by name"
        )
    if not operands and len(named) == len(names):
        try:
            return tuple(map(named.__getitem__, names))
        except KeyError:
            pass
    rest = names[len(operands) :]
    for x in named:
        if x not in rest:
            problem = "is given twice" if x in names else "is none of its operands"
            raise TypeError(f"{name}: {x} {problem}; they are {', '.join(names)}")
    for x in rest:
        if x not in named:
            raise TypeError(f"{name}: {x} is missing; its operands are {', '.join(names)}")
    return (*operands, *(named[x] for x in rest))


def own_names(signature: Signature) -> tuple[str, ...]:
    """Returns the names of the operands of an op: all but those that are part of its initial state."""
    return tuple(x.name for x in signature.own)


def part_of(argument: str) -> str:
    """Returns what a state has by name of an operand, or an output, that is one a sequence."""
    return argument.removeprefix("initial_").removeprefix("final_")


def split_state(name: str, signature: Signature, initial_state: Any) -> tuple[Any, tuple[Any, ...]]:
    """Returns the initial state, and what sequences start from besides (None where it is not
    given), of what a call is given. Raises TypeError where that is no mapping, or of other names."""
    parts = [part_of(x.name) for x in signature.starts]
    if not parts or initial_state is None:
        return initial_state, (None,) * len(parts)
    names = ["state", *parts]
    if not isinstance(initial_state, Mapping) or not set(initial_state) <= set(names):
        found = list(initial_state) if isinstance(initial_state, Mapping) else f"a {type(initial_state).__name__}"
        raise TypeError(
            f"{name}: initial_state is {found}, expected what final_state of an earlier call is, a dict with {', '.join(names)}"
        )
    return initial_state.get("state"), tuple(initial_state.get(x) for x in parts)


def refuse_states(name: str, signature: Signature, initial_state: Any, output_final_state: bool) -> None:
    """Raises TypeError for states of a layer that takes and returns none."""
    if signature.initial_state is None and (initial_state is not None or output_final_state):
        found = "output_final_state" if initial_state is None else "initial_state"
        raise TypeError(
            f"{name}: {found} is given, but a layer with levels or running sums has no states to go on from: they "
            "belong to positions in the sequence; with resume: true in its spec it has"
        )


def python_signature(names: Sequence[str], *more: str) -> inspect.Signature:
    """Returns what `inspect.signature` says of an op, which may have more options."""
    by_name = inspect.Parameter.KEYWORD_ONLY
    defaults = dict.fromkeys((*OPTIONS, *more)) | {"output_final_state": False}
    return inspect.Signature(
        [
            *(inspect.Parameter(x, inspect.Parameter.POSITIONAL_OR_KEYWORD) for x in names),
            *(inspect.Parameter(x, by_name, default=value) for x, value in defaults.items()),
        ]
    )


def shapes_in_words(signature: Signature) -> dict[str, str]:
    """Returns the shapes of the operands: B, T, and sizes."""
    words: Mapping[Count, str] = {"batch": "B", "tokens": "T"}

    def word(count: Count, rows: int) -> str:
        if count == "one":
            return str(rows)
        return words[count] if rows == 1 else f"{words[count]} * {rows}"

    return {x.name: f"[{', '.join(word(*n) for n in x.shape)}]" for x in signature.own}
