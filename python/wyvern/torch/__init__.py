# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PyTorch functions with the argument names, shapes, defaults and meaning of
flash-linear-attention 0.6.0 (fla.ops), served by compiled Wyvern programs.

Forward only so far: an input that requires grad is refused. They are opaque
`torch.library` ops (`torch.ops.wyvern.*`), so torch.compile(fullgraph=True) sees one
node, and a call can be captured into a CUDA graph after one call outside.
"""

from ._functions import (
    chunk_delta_rule,
    chunk_gated_delta_rule,
    fused_recurrent_delta_rule,
    fused_recurrent_gated_delta_rule,
)

__all__ = [
    "chunk_delta_rule",
    "chunk_gated_delta_rule",
    "fused_recurrent_delta_rule",
    "fused_recurrent_gated_delta_rule",
]
