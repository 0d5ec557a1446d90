# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Work of a GPU beside that of the current stream: what ranks wait for while they compute."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator

import torch


@functools.lru_cache(maxsize=None)
def _stream(device: torch.device) -> torch.cuda.Stream:
    # Of high priority: the blocks of a collective are few, and would come behind the
    # thousands of the kernel that they are to run beside.
    return torch.cuda.Stream(device, priority=-1)


@contextlib.contextmanager
def beside(device: torch.device, wanted: bool = True) -> Iterator[Callable[[], None]]:
    """Has what is queued within it run behind all that the current stream of a GPU was given so
    far, and beside what it is given next. Yields what makes the current stream wait for it.
    On a CPU, or where it is not `wanted`, things run in their turn.

    Results go into tensors that were made before: memory that is taken within may be taken
    again within, as soon as it is given back. What is read within has to be kept until the
    current stream waits.
    """
    if device.type != "cuda" or not wanted:
        yield lambda: None
        return
    current, other = torch.cuda.current_stream(device), _stream(device)
    other.wait_stream(current)
    with torch.cuda.stream(other):
        yield functools.partial(current.wait_stream, other)
