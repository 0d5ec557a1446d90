# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which tokens of a batch the ranks of a group hold, as plain numbers that an op takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Union

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class Plan(NamedTuple):
    """How tokens are divided: into parts over the ranks, and a part into segments that a
    rank's programs run at once."""

    group: str  # its name; empty for no group
    parts: int  # of a rank: 1, or 2 in zigzag order
    segments: int  # of a part
    lengths: Sequence[int]  # tokens of all parts, in order; none where all are equal
    # For cu_seqlens that are a rank's own: of each of its parts whether the first sequence
    # comes from the part before, and of each whether the last one goes on in the part behind.
    # None where they are everybody's.
    borders: Sequence[int]
    gathers: int  # of a forward that saves, at most: 1 or 2 (exchange.py)


def plan_of(fields: Sequence[Any]) -> Plan:
    """Returns the plan that an op is given, as one that can be a key."""
    values: Any = (tuple(field) if isinstance(field, list) else field for field in fields)
    return Plan(*values)


SCHEMA = "str group, int parts, SymInt segments, SymInt[] lengths, int[] borders, int gathers"


class Part(NamedTuple):
    """A run of tokens that a rank holds."""

    index: int  # type: ignore[assignment]  # among the parts of all ranks; hides tuple.index
    start: int  # among the tokens that cu_seqlens counts: those of all ranks
    offset: int  # among those of this rank
    length: int


class Alone:
    """In the place of a group: this process, which talks to no other."""

    group_name = ""

    def rank(self) -> int:
        return 0

    def size(self) -> int:
        return 1


ALONE = Alone()


def group_of(plan: Plan) -> Union[ProcessGroup, Alone]:
    if not plan.group:
        return ALONE
    # Here, since torch can be built without it.
    from torch.distributed import distributed_c10d

    resolve: Any = distributed_c10d._resolve_process_group
    return resolve(plan.group)


def indices(rank: int, size: int, parts: int) -> list[int]:
    """Returns which parts a rank holds, of all in order."""
    return [rank] if parts == 1 else [rank, 2 * size - 1 - rank]


def all_lengths(plan: Plan, size: int, tokens: int) -> list[int]:
    """Returns the tokens of every part, where a rank holds so many."""
    return list(plan.lengths) or [tokens // plan.parts] * (size * plan.parts)


def parts_of(plan: Plan, rank: int, size: int, tokens: int) -> list[Part]:
    """Returns the parts that a rank with so many tokens holds. Raises ValueError where the
    plan says another number."""
    lengths = all_lengths(plan, size, tokens)
    if len(lengths) != size * plan.parts:
        raise ValueError(
            f"context parallel: {len(lengths)} lengths are given, expected {size * plan.parts}: {size} ranks hold "
            f"{plan.parts} each"
        )
    found, offset = [], 0
    for index in indices(rank, size, plan.parts):
        start = offset if plan.borders else sum(lengths[:index])
        found.append(Part(index, start, offset, lengths[index]))
        offset += lengths[index]
    if offset != tokens:
        expected = f"{offset}, the sum of its parts" if plan.lengths else "an even number, for zigzag order"
        raise ValueError(f"context parallel: rank {rank} has {tokens} tokens, expected {expected}: pass lengths=[...]")
    return found


def segment_bounds(part: Part, segments: int) -> list[int]:
    """Returns where the segments of a part begin and end, among the tokens of its rank.
    They are of whole chunks of 64 tokens, and the last ones may be empty."""
    step = -(-part.length // (64 * segments)) * 64
    return [part.offset + min(i * step, part.length) for i in range(segments + 1)]
