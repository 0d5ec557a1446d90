# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sequence layers as torch modules: in the place of flash-linear-attention's, and one
for any spec.

In the former the names of arguments and parameters are those of fla.layers 0.6.0, so
that its checkpoints load; everything around the recurrence is torch's.
"""

from ._cache import Cache
from ._spec_layer import Layer
from .comba import Comba
from .delta_net import DeltaNet
from .gated_delta_net import GatedDeltaNet
from .gated_delta_net_2 import GatedDeltaNet2
from .gated_delta_product import GatedDeltaProduct
from .kimi_delta_attention import KimiDeltaAttention

__all__ = [
    "Cache",
    "Comba",
    "DeltaNet",
    "GatedDeltaNet",
    "GatedDeltaNet2",
    "GatedDeltaProduct",
    "KimiDeltaAttention",
    "Layer",
]
