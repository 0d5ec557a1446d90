# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers as PyTorch functions and modules, served by compiled Wyvern programs: `op` and
`Layer` of any spec, `Decoder` for its steps of decoding, and functions with the argument names, shapes, defaults and meaning
of flash-linear-attention 0.6.0 (fla.ops).

With gradients, but for second derivatives. They are opaque `torch.library` ops
(`torch.ops.wyvern.*`), so torch.compile(fullgraph=True) sees one node, and a call, or a
training step, can be captured into a CUDA graph after one outside.
"""

from . import _family, reference
from ._decoder import Decoder
from ._family import *  # noqa: F403
from ._functions import (
    chunk_delta_rule,
    chunk_gated_delta_rule,
    fused_recurrent_delta_rule,
    fused_recurrent_gated_delta_rule,
)
from ._op import Op, op
from ._ranks.context import ContextParallel
from .layers import (
    Cache,
    Comba,
    DeltaNet,
    GatedDeltaNet,
    GatedDeltaNet2,
    GatedDeltaProduct,
    KimiDeltaAttention,
    Layer,
)

__all__ = [
    "Cache",
    "Comba",
    "ContextParallel",
    "Decoder",
    "DeltaNet",
    "GatedDeltaNet",
    "GatedDeltaNet2",
    "GatedDeltaProduct",
    "KimiDeltaAttention",
    "Layer",
    "Op",
    *_family.__all__,
    "chunk_delta_rule",
    "chunk_gated_delta_rule",
    "fused_recurrent_delta_rule",
    "fused_recurrent_gated_delta_rule",
    "op",
    "reference",
]
