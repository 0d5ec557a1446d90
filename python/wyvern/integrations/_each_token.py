# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Drafts of which an engine wants the state behind every token, each in a slot of its own."""

from collections.abc import Callable
from typing import Optional

import torch

# Tensors of one token [N, rows, ...], slots to read and to write, to o [N, 1, HV, V].
Call = Callable[[tuple[torch.Tensor, ...], torch.Tensor, torch.Tensor], torch.Tensor]


def tokens_each(rows: int, sequences: int, indices: torch.Tensor) -> Optional[int]:
    """Returns the tokens of each sequence, where shapes say that all have as many as `indices` has
    slots for them, [N] or [N, T]; None where they do not."""
    width = 1 if indices.dim() == 1 else indices.shape[1]
    if sequences < 1 or indices.shape[0] < sequences or rows != sequences * width:
        return None
    return width


def split(x: torch.Tensor, tokens: int, kept: int) -> torch.Tensor:
    """Returns packed rows, [1, N T, ...] or [N T, ...], as [N, T, ...] with the last `kept` dimensions."""
    shape = x.shape[x.dim() - kept :]
    return x.reshape(-1, tokens, *shape)


def step_each(
    call: Call, rows: tuple[torch.Tensor, ...], slots: torch.Tensor, accepted: Optional[torch.Tensor]
) -> torch.Tensor:
    """Returns o [N, T, HV, V] of T steps. The first reads the slot of the last token that was
    accepted of the draft before, each other one the slot that the one before has written."""
    tokens = slots.shape[1]
    read = slots[:, 0]
    if accepted is not None:
        last = (accepted[: slots.shape[0], None].long() - 1).clamp(0, tokens - 1)
        read = slots.gather(1, last)[:, 0]
    outputs = []
    for t in range(tokens):
        outputs.append(call(tuple(x[:, t : t + 1] for x in rows), read.contiguous(), slots[:, t].contiguous()))
        read = slots[:, t]
    return outputs[0] if tokens == 1 else torch.cat(outputs, 1)
