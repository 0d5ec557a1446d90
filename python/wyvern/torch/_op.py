# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`wyvern.torch.op`: any spec as a function of tensors."""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional, Union

import torch

import wyvern
from wyvern._core.bundles import digest
from wyvern._core.layers import PlainSpec, summed_names
from wyvern._core.op import (
    bind,
    own_names,
    part_of,
    python_signature,
    read_spec,
    refuse_states,
    shapes_in_words,
    split_state,
)
from wyvern._core.specs import Spec

from . import _direct, _ops, _transforms
from ._arguments import check_sequences, check_shapes, convert, expect_device, expect_floats, expect_tensors
from ._ranks import ops as ranks
from ._ranks.context import read_context

_lock = threading.Lock()


class Ops(NamedTuple):
    """The torch.library ops of a layer, of operands in order, initial_state, cu_seqlens."""

    inference: Any
    forward: Any  # also returns what is saved
    backward: Any  # takes that, d_o and d_final_state in the place of output_final_state


class Op:
    """A layer as a function of tensors, made by `op`.

    op(*operands, initial_state=None, cu_seqlens=None, output_final_state=False, cp_context=None)

    operands
        In the order of `op.operands`, or by name; the shapes are in `op.shapes`. Keys,
        values and q are of one type, bf16 or fp16 (on the CPU also float32 and float64);
        rates and log decays of any floating-point type, none above 0 for a log decay.
    initial_state
        [N, value heads, K, V]; None is zeros. A layer with levels or running sums takes and returns
        none, unless its spec says `resume: true`: then what it goes on from is a dict, such as
        {"state": ..., "phi": ...} with the last angles of a running sum phi, or {"state": ...,
        "positions": ...} of a layer with levels, and so is final_state; what is left out is zero.
    cu_seqlens
        int32 or int64 [N + 1], on the tensors' device: the one batch row holds N
        sequences. Rows of o past the last offset are zero.
    cp_context
        A ContextParallel, by which ranks hold parts of the sequences.

    Returns (o [B, T, value heads, V] in q's type, final_state [N, value heads, K, V] in
    float32, or float64 beside float64; None without output_final_state).

    Raises TypeError for names and types, ValueError for shapes, NotImplementedError for
    forward-mode and second derivatives and where there is no program for the device, and
    wyvern.CompileError where the layer has no kernel.
    """

    def __init__(self, family: _ops.Family, source: Any, spec: PlainSpec):
        self._family, self._source = family, source
        self.spec = spec
        self.__name__ = self.name = spec["name"]
        self.operands = own_names(family.signature)
        self._starts, self._totals = family.signature.starts, family.signature.totals
        summed = summed_names(spec)
        self._summed = tuple(i for i, x in enumerate(self.operands) if x in summed)
        self.shapes = shapes_in_words(family.signature)
        self.__signature__ = python_signature(self.operands, "cp_context")

    def __repr__(self) -> str:
        return f"<wyvern op {self.name}{self.__signature__}>"

    def __reduce__(self) -> Any:
        return op, (self._source,)

    def row_shape(self, operand: str) -> tuple[int, tuple[int, ...]]:
        """Returns an operand's rows a token, and the shape of a row; 0 and the whole shape of a
        parameter, which all tokens share."""
        (argument,) = (x for x in self._family.signature.operands if x.name == operand)
        if argument.is_parameter:
            return 0, tuple(n for _, n in argument.shape)
        _, (_, rows), *sizes = argument.shape
        return rows, tuple(n for _, n in sizes)

    @property
    def ops(self) -> Ops:
        """What is below: torch.ops.wyvern.*, for torch.library.opcheck and graphs."""
        name = self._family.name
        names = (name, f"{name}_forward", f"{name}_backward")
        return Ops(*(getattr(torch.ops.wyvern, x).default for x in names))

    @property
    def carries(self) -> tuple[str, ...]:
        """What a state has beside the matrices, by name: angles of running sums, positions."""
        return tuple(part_of(x.name) for x in self._starts)

    def convert(self, tensors: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
        """Returns `tensors`, the operands in order, in the shapes of `shapes` ([B, T, heads, dim]
        and so on), by name, checked and in the types of the programs."""
        signature = self._family.signature
        expect_tensors(self.name, **dict(zip(self.operands, tensors)))
        check_shapes(self.name, signature.operands, tensors)
        return dict(zip(self.operands, convert(self.name, signature.operands, tensors)))

    def __call__(
        self,
        /,
        *operands: torch.Tensor,
        initial_state: Any = None,
        cu_seqlens: Optional[torch.Tensor] = None,
        output_final_state: bool = False,
        cp_context: Any = None,
        **named: torch.Tensor,
    ) -> tuple[torch.Tensor, Any]:
        name, signature = self.name, self._family.signature
        tensors = bind(name, self.operands, operands, named)
        if self._summed:
            expect_tensors(name, **dict(zip(self.operands, tensors)))
            # That their kernel goes by the stride of a batch has not been seen on a GPU.
            tensors = tuple(x.contiguous() if i in self._summed else x for i, x in enumerate(tensors))
        refuse_states(name, signature, initial_state, output_final_state)
        initial_state, starts = split_state(name, signature, initial_state)
        context, cu_seqlens = read_context(name, cp_context, cu_seqlens)
        if context is None and not starts:
            found = _direct.attempt(self._family, tensors, initial_state, cu_seqlens, output_final_state)
            if found is not None:
                return found
        expect_tensors(name, **dict(zip(self.operands, tensors)))
        sizes = check_shapes(name, signature.operands, tensors)  # of which starts are the last
        sizes["sequences"] = check_sequences(name, sizes["batch"], cu_seqlens)
        if initial_state is not None:
            expect_tensors(name, initial_state=initial_state)
            expect_device(name, tensors[0], initial_state=initial_state)
            check_shapes(name, (signature.initial_state,), (initial_state,), sizes)
            expect_floats(name, "initial_state", initial_state)
        starts = self._start(starts, tensors[0], sizes)
        tensors = (*tensors, *starts)
        _transforms.refuse_forward_mode(name, (*tensors, initial_state))
        tensors = convert(name, signature.operands, tensors)
        if initial_state is not None:
            initial_state = initial_state.to(_ops.compute_dtype(tensors[0]))
        final = bool(output_final_state)
        if context is None:
            o, state, *totals = _transforms.call(self._family.name, tensors, initial_state, cu_seqlens, final)
        else:
            o, state, *totals = context.call(self._family, tensors, initial_state, cu_seqlens, final)
        if not final:
            return o, None
        if not starts:
            return o, state
        return o, {"state": state} | self._ends(starts, totals, tensors[0].shape[1], cu_seqlens)

    def _start(self, given: Sequence[Optional[torch.Tensor]], q: torch.Tensor, sizes: Any) -> tuple[torch.Tensor, ...]:
        """Returns what sequences start from beside a state, checked; zeros where nothing is given."""
        starts = []
        for argument, x in zip(self._starts, given):
            if x is None:
                x = q.new_zeros(argument.extents(sizes), dtype=_ops.compute_dtype(q))
            expect_tensors(self.name, **{argument.name: x})
            check_shapes(self.name, (argument,), (x,), sizes)
            starts.append(x)
        return tuple(starts)

    def _ends(self, starts: Any, totals: Any, tokens: int, cu_seqlens: Optional[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Returns what sequences end with beside a state: totals, and positions after these tokens."""
        ends = {part_of(x.name): total for x, total in zip(self._totals, totals)}
        for argument, x in zip(self._starts, starts):
            if argument.name == "positions":
                ends["positions"] = x + (tokens if cu_seqlens is None else cu_seqlens.diff())
        return ends


def op(source: Union[Spec, "wyvern.Program"], *, layer: Optional[str] = None) -> Op:
    """Makes a layer a differentiable function of tensors, on a GPU and on the CPU.

    source
        A spec, as `wyvern.compile` takes it (a path to YAML or to a model's config.json,
        text, or a dict): programs are compiled when they are first needed, for the type
        of the tensors. Or a program that `wyvern.load` returned: it serves GPU tensors,
        and its spec CPU tensors.
    layer
        Which layer, by name, where a config.json has several.

    The same spec gives the same op. Raises wyvern.CompileError for the spec, ImportError
    where a spec needs the compiler and it is not installed, TypeError and ValueError for
    what is neither.
    """
    bundle = source if isinstance(source, wyvern.Program) else None
    spec = read_spec(source, layer)
    identity = spec if bundle is None else bundle.manifest
    name = f"{spec['name']}_{digest(identity)}"
    with _lock:
        family = _ops.families.get(name) or _make(name, spec, bundle)
    return Op(family, spec if bundle is None else bundle, spec)


def _make(name: str, spec: PlainSpec, bundle: Any) -> _ops.Family:
    return ranks.register(_ops.register(_ops.of_spec(name, spec, bundle)))
