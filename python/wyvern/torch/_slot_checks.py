# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What nothing else checks of slots on a GPU, by the device itself: for finding a fault of a caller.

WYVERN_CHECK_SLOTS=1 in the environment has every call of a Decoder ask it. A violation is an error of
the stream, as a kernel's, and on the CPU a RuntimeError at once.
"""

import os
from typing import Optional

import torch

is_on = os.environ.get("WYVERN_CHECK_SLOTS", "0") == "1"


def check(
    name: str, slots: int, first: int, read: torch.Tensor, write: Optional[torch.Tensor]
) -> None:
    """Asserts that slots lie in a pool of so many, that none is written twice, and that none is
    written that another sequence reads."""

    def expect(holds: torch.Tensor, what: str) -> None:
        torch._assert_async(holds, f"{name}: {what}")

    expect((read < slots).all(), f"read_slots: expected slots below {slots}")
    if write is None:
        return
    expect((write < slots).all(), f"write_slots: expected slots below {slots}")
    is_written = (write >= first) & (read >= first)
    ordered = torch.where(is_written, write, -1).sort().values
    expect(~((ordered[1:] == ordered[:-1]) & (ordered[1:] >= 0)).any(), "write_slots: expected no slot twice")
    others = ~torch.eye(read.shape[0], dtype=torch.bool, device=read.device)
    meets = (read[:, None] == write[None]) & others & is_written[None] & (read >= first)[:, None]
    expect(~meets.any(), "write_slots: expected no slot that another sequence reads")
