# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ranks that call something for the first time compare notes before they communicate.

A collective of ranks that disagree about shapes hangs, or gives wrong numbers. So what has
to be equal goes through the group's store first: once for each kind of call, since ranks
that make the same calls meet a new kind at the same one.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class _Known:
    """What is known of a group."""

    def __init__(self) -> None:
        self.agreed: set[tuple[Any, ...]] = set()  # the kinds of calls
        self.asked = 0


_known: Any = weakref.WeakKeyDictionary()


def agree(group: ProcessGroup, name: str, **facts: Any) -> None:
    """Raises RuntimeError on all ranks if they call with different facts, or if a rank does
    not come to its call within the group's time limit."""
    known = _known.get(group)
    if known is None:
        known = _known[group] = _Known()
    key = (name, *facts.values())
    if key in known.agreed:
        return
    kind = f"{name}: " + ", ".join(f"{what} {value}" for what, value in facts.items())
    rank, store = group.rank(), group.get_group_store()
    prefix = f"wyvern/{known.asked}"
    known.asked += 1
    store.set(f"{prefix}/{rank}", kind)
    for other in range(group.size()):
        found = _read(group, store, f"{prefix}/{other}", kind, other)
        if found != kind:
            raise RuntimeError(
                f"context parallel: ranks disagree. Rank {rank} calls {kind}; rank {other} calls {found}. All "
                "ranks of a group have to make the same calls, of these values"
            )
    known.agreed.add(key)


def _read(group: ProcessGroup, store: Any, key: str, kind: str, other: int) -> str:
    limit = group._get_backend(group._device_types[0]).options._timeout
    try:
        store.wait([key], limit)
        return str(store.get(key).decode())
    except RuntimeError as error:  # of torch.distributed, as a DistStoreError is
        raise RuntimeError(
            f"context parallel: rank {other} did not come to {kind} within {limit}, the time limit of its group: it "
            f"has ended, or makes other calls ({str(error).splitlines()[0]})"
        ) from error
