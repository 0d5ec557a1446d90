# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers as PyTorch functions and modules, served by compiled Wyvern programs: `op` and
`Layer` of any spec, `Decoder` for its steps of decoding, and functions and layers with the argument names, shapes, defaults and
meaning of flash-linear-attention 0.6.0 (fla.ops, fla.layers).

With gradients, but for second derivatives. They are opaque `torch.library` ops
(`torch.ops.wyvern.*`), so torch.compile(fullgraph=True) sees one node, and a call, or a
training step, can be captured into a CUDA graph after one outside.
"""

from . import reference
from ._decoder import Decoder
from ._family import (
    chunk_comba,
    chunk_dplr_delta_rule,
    chunk_gated_delta_product,
    chunk_gdn2,
    chunk_gla,
    chunk_iplr_delta_rule,
    chunk_kda,
    chunk_precond_gated_delta_rule,
    chunk_precond_kda,
    chunk_rwkv7,
    chunk_simple_gla,
    fused_mul_recurrent_rwkv7,
    fused_recurrent_comba,
    fused_recurrent_dplr_delta_rule,
    fused_recurrent_gdn2,
    fused_recurrent_gla,
    fused_recurrent_iplr_delta_rule,
    fused_recurrent_kda,
    fused_recurrent_precond_gated_delta_rule,
    fused_recurrent_precond_kda,
    fused_recurrent_rwkv7,
    fused_recurrent_simple_gla,
)
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
    RWKV7Attention,
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
    "RWKV7Attention",
    "chunk_comba",
    "chunk_delta_rule",
    "chunk_dplr_delta_rule",
    "chunk_gated_delta_product",
    "chunk_gated_delta_rule",
    "chunk_gdn2",
    "chunk_gla",
    "chunk_iplr_delta_rule",
    "chunk_kda",
    "chunk_precond_gated_delta_rule",
    "chunk_precond_kda",
    "chunk_rwkv7",
    "chunk_simple_gla",
    "fused_mul_recurrent_rwkv7",
    "fused_recurrent_comba",
    "fused_recurrent_delta_rule",
    "fused_recurrent_dplr_delta_rule",
    "fused_recurrent_gated_delta_rule",
    "fused_recurrent_gdn2",
    "fused_recurrent_gla",
    "fused_recurrent_iplr_delta_rule",
    "fused_recurrent_kda",
    "fused_recurrent_precond_gated_delta_rule",
    "fused_recurrent_precond_kda",
    "fused_recurrent_rwkv7",
    "fused_recurrent_simple_gla",
    "op",
    "reference",
]
