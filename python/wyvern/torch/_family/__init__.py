# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The functions of the rest of the family, by FLA's names: a signature, a rule, and what stands in front."""

from .comba import chunk_comba, fused_recurrent_comba
from .delta_product import chunk_gated_delta_product
from .dplr import (
    chunk_dplr_delta_rule,
    chunk_iplr_delta_rule,
    chunk_rwkv7,
    fused_mul_recurrent_rwkv7,
    fused_recurrent_dplr_delta_rule,
    fused_recurrent_iplr_delta_rule,
    fused_recurrent_rwkv7,
)
from .gdn2 import chunk_gdn2, fused_recurrent_gdn2
from .gla import chunk_gla, chunk_simple_gla, fused_recurrent_gla, fused_recurrent_simple_gla
from .kda import chunk_kda, fused_recurrent_kda
from .precond import (
    chunk_precond_gated_delta_rule,
    chunk_precond_kda,
    fused_recurrent_precond_gated_delta_rule,
    fused_recurrent_precond_kda,
)

__all__ = [
    "chunk_comba",
    "chunk_dplr_delta_rule",
    "chunk_gated_delta_product",
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
    "fused_recurrent_dplr_delta_rule",
    "fused_recurrent_gdn2",
    "fused_recurrent_gla",
    "fused_recurrent_iplr_delta_rule",
    "fused_recurrent_kda",
    "fused_recurrent_precond_gated_delta_rule",
    "fused_recurrent_precond_kda",
    "fused_recurrent_rwkv7",
    "fused_recurrent_simple_gla",
]
