# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`wyvern.torch.ContextParallel`: which ranks share sequences, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import torch
import torch.distributed as dist

from .. import _transforms
from .._direct import needs_gradient
from .._ops import sizes_of
from . import ops, sums
from .halo import exchange
from .plan import ALONE, Part, Plan, indices, parts_of

_ORDERS = {"contiguous": 1, "zigzag": 2}  # parts of a rank
_PROCESSORS = 132  # of a GPU of sm_90a, where it cannot be asked
_FEWEST = 4  # segments that pay on one GPU (docs/performance/across-gpus.md)


class ContextParallel:
    """The ranks of a group hold parts of the same sequences.

    Tokens are divided into as many parts as there are ranks, and rank r has part r; in
    zigzag order, of attention that is causal, into twice as many, and rank r of R has parts r
    and 2 R - 1 - r, one behind the other in its tensors.

    group
        A torch.distributed process group (of NCCL for GPUs, gloo for CPUs), or a DeviceMesh of
        one dimension; None is all ranks.
    order
        "contiguous" or "zigzag".
    lengths
        Tokens of all parts in order, on every rank the same; 0 is allowed. None: all
        parts have as many.
    segments
        How many runs of a part's tokens a rank computes at once: with few heads one run
        leaves most of a GPU idle. None: as many as fill the GPU, on the CPU one.
    gathers
        All-gathers of a forward in training, on GPUs: 1, of end states and transitions beside
        kernels that run once more for it, 2 to 5 % of a forward; or 2, of transitions beside the layer's
        own kernels, then of end states, which nothing runs beside: for a few ranks of one host.

    Raises ValueError for lengths, orders and numbers that are none, RuntimeError where
    torch.distributed is not initialized.
    """

    def __init__(
        self,
        group: Any = None,
        *,
        order: str = "contiguous",
        lengths: Optional[Sequence[int]] = None,
        segments: Optional[int] = None,
        gathers: int = 1,
    ) -> None:
        if order not in _ORDERS:
            raise ValueError(f"order is {order!r}, expected one of {', '.join(map(repr, _ORDERS))}")
        if segments is not None and (not isinstance(segments, int) or segments < 1):
            raise ValueError(f"segments is {segments!r}, expected a whole number of 1 or more")
        if gathers not in (1, 2):
            raise ValueError(f"gathers is {gathers}, expected 1 or 2")
        if group is not ALONE and not (dist.is_available() and dist.is_initialized()):
            raise RuntimeError(
                "ContextParallel: torch.distributed is not initialized: call init_process_group first. For one GPU "
                "take ContextParallel.alone()"
            )
        self.group = _group(group)
        self.rank, self.size = self.group.rank(), self.group.size()
        self.order = order
        self.lengths = None if lengths is None else tuple(int(n) for n in lengths)
        self.segments, self.gathers = segments, gathers
        self._name, self._parts = self.group.group_name, _ORDERS[order]
        self._borders: tuple[int, ...] = ()
        self._processors = _PROCESSORS
        if torch.cuda.is_available():
            self._processors = torch.cuda.get_device_properties(torch.cuda.current_device()).multi_processor_count
        if self.lengths is not None:
            if len(self.lengths) != self.size * self._parts or min(self.lengths) < 0:
                raise ValueError(
                    f"lengths is {list(self.lengths)}, expected {self.size * self._parts} of 0 or more: {self.size} "
                    f"ranks hold {self._parts} parts each"
                )

    @classmethod
    def alone(cls, segments: Optional[int] = None) -> "ContextParallel":
        """For a training step of long sequences with few heads on one GPU, without
        torch.distributed: it runs so many segments at once. None: as many as fill the GPU, but
        not less than 4, and none without gradients: a forward alone finds its segments itself."""
        return cls(ALONE, segments=segments, gathers=2)  # nobody is waited for

    @classmethod
    def of_local_offsets(cls, group: Any, comes: Sequence[bool], goes: Sequence[bool]) -> "ContextParallel":
        """For packed sequences of which a rank of `group` has only its own offsets: cu_seqlens
        of a call are those of its tokens, and states those of its sequences. For its part, or for
        both of zigzag order: `comes`: the first sequence has begun in the part before;
        `goes`: the last one goes on in the part behind."""
        context = cls(group, order="contiguous" if len(comes) == 1 else "zigzag")
        context._borders = (*map(int, comes), *map(int, goes))
        return context

    def __repr__(self) -> str:
        lengths = "" if self.lengths is None else f", lengths={list(self.lengths)}"
        return f"ContextParallel(rank {self.rank} of {self.size}, {self.order}{lengths})"

    def divide(self, tokens: int) -> "ContextParallel":
        """Returns this context for so many tokens in all, in parts that are as long as one
        another; where that is not possible the last ones are shorter, or empty."""
        count = self.size * self._parts
        length = -(-tokens // count)
        lengths = [min(length, max(0, tokens - i * length)) for i in range(count)]
        return ContextParallel(self.group, order=self.order, lengths=lengths, segments=self.segments, gathers=self.gathers)

    def local(self, x: torch.Tensor, dim: int = 1) -> torch.Tensor:
        """Returns this rank's tokens of x [B, T, ...], which has those of all ranks along
        `dim`. Raises ValueError where they do not divide, or are not those of `lengths`."""
        count, tokens = self.size * self._parts, x.shape[dim]
        lengths = self.lengths or (tokens // count,) * count
        if sum(lengths) != tokens:
            raise ValueError(
                f"ContextParallel.local: {tokens} tokens, expected {sum(lengths)}: take divide({tokens}) of the context"
            )
        parts = x.split(list(lengths), dim)
        return torch.cat([parts[i] for i in indices(self.rank, self.size, self._parts)], dim)

    def _plan(self, batch: int, heads: int, tokens: int, device: torch.device) -> Plan:
        """What an op takes."""
        segments = self.segments or 1
        if self.segments is None and device.type == "cuda":
            # A chain of chunks runs on two blocks of a GPU; less than 16 chunks are no use.
            chains = max(1, 2 * batch * heads * self._parts)
            segments = max(1, min(self._processors // chains, tokens // self._parts // 1024))
        return self._divided(segments)

    def _divided(self, segments: int = 1) -> Plan:
        lengths, borders = list(self.lengths or ()), list(self._borders)
        return Plan(self._name, self._parts, segments, lengths, borders, self.gathers)

    def is_trivial(self) -> bool:
        """Whether calls are those of one rank without a context."""
        plain = self.segments is None and not self._borders and self.lengths is None
        return self.size == 1 and plain and self.group is not ALONE

    def call(
        self, family: Any, operands: Sequence[torch.Tensor], initial_state: Any, cu_seqlens: Any, final: bool
    ) -> tuple[torch.Tensor, ...]:
        """Returns o, final_state (of which nothing is said unless `final`) and the last of each running sum of a
        layer: its `family`, its operands in order, [B, T, heads, dim] of this rank, initial_state
        [N, heads, K, V] or None, cu_seqlens [N + 1] or None. Raises ValueError for lengths."""
        if sums.has_levels(family.name):
            raise NotImplementedError(
                f"{family.title}: cp_context with levels is not supported: a rank hands its state on, and levels "
                "belong to positions in the whole sequence"
            )
        family, operands = sums.with_starts(family, operands, cu_seqlens)
        if family.signature.find_slots():
            raise NotImplementedError(
                f"{family.title}: cp_context with a bundle that saves states of chunks is not supported: the chunks of "
                "ranks are not those of one call. Compile it with save='factor', or make the op of the spec"
            )
        sizes = sizes_of(family.signature, operands, cu_seqlens)
        _, heads, *_ = family.signature.initial_state.extents(sizes)
        self.parts(sizes["tokens"])  # an error about a length is one of the caller's line
        if cu_seqlens is not None and sizes["sequences"] == 0:
            raise ValueError("cu_seqlens has 1 entry, expected at least 2 with cp_context: one sequence, which may be empty")
        plan = self._plan(sizes["batch"], heads, sizes["tokens"], operands[0].device)
        if self.group is ALONE and self.segments is None:
            if plan.segments < _FEWEST or not needs_gradient((*operands, initial_state)):
                found: tuple[torch.Tensor, ...] = _transforms.call(family.name, operands, initial_state, cu_seqlens, final)
                return found
        operands, ends = sums.enter(family, operands, cu_seqlens, plan)
        return *ops.call(family, operands, initial_state, cu_seqlens, final, plan), *ends

    def parts(self, tokens: int) -> list[Part]:
        """Returns the parts of this rank, which has so many tokens. Raises ValueError for
        another number."""
        return parts_of(self._divided(), self.rank, self.size, tokens)

    def halo(self, x: torch.Tensor, tokens: int) -> torch.Tensor:
        """Returns the tokens before each part of this rank, [B, parts, tokens, ...] of
        x [B, T, ...], with gradients; zeros before the first token of all. For what looks
        back a few tokens: short convolutions, token shifts. One all-gather, and one in the
        backward. Raises ValueError for a context of offsets of its rank alone."""
        if self._borders:
            raise ValueError("ContextParallel.halo: the context has offsets of its rank alone, which do not say enough")
        self.parts(x.shape[1])
        return exchange(x, tokens, self._divided())


def _group(group: Any) -> Any:
    if group is None:
        return dist.group.WORLD
    if group is ALONE or isinstance(group, dist.ProcessGroup):
        return group
    if hasattr(group, "get_group") and hasattr(group, "ndim"):
        if group.ndim != 1:
            raise ValueError(f"the DeviceMesh has {group.ndim} dimensions, expected 1: name one, as mesh['cp']")
        return group.get_group()
    raise TypeError(f"group is a {type(group).__name__}, expected a ProcessGroup, a DeviceMesh or None")


def read_context(name: str, given: Any, cu_seqlens: Any) -> tuple[Optional[ContextParallel], Any]:
    """Returns the context of a call, None where it is one of this rank alone, and its
    cu_seqlens. Takes a ContextParallel and what flash-linear-attention has in its place."""
    if given is None:
        return None, cu_seqlens
    if isinstance(given, ContextParallel):
        return (None if given.is_trivial() else given), cu_seqlens
    if not all(hasattr(given, x) for x in ("group", "cu_seqlens", "pre_num_ranks", "post_num_ranks")):
        raise TypeError(f"{name}: cp_context is a {type(given).__name__}, expected a wyvern.torch.ContextParallel")
    if given.group is None:
        return None, cu_seqlens
    if given.cu_seqlens is None:
        raise ValueError(f"{name}: cp_context has no cu_seqlens: make it by fla.ops.cp.build_cp_context")
    if getattr(given, "layout", "contiguous") == "zigzag":
        before, behind = given.pre_num_ranks_by_part, given.post_num_ranks_by_part
    else:
        before, behind = (given.pre_num_ranks,), (given.post_num_ranks,)
    comes, goes = ([count > 0 for count in counts] for counts in (before, behind))
    return ContextParallel.of_local_offsets(given.group, comes, goes), given.cu_seqlens
