# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rounding at random as tile.stochastic_trunc describes it, in NumPy, for CPU and GPU tests."""

import numpy as np


def mix(x):
    """mix of tile.stochastic_trunc, on uint32."""
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def rounded(states, seed):
    """States [heads, ., .] of float32 as bits of bf16, by a seed."""
    seed = np.uint64(np.int64(seed))
    low, high = np.array([seed & np.uint64(0xFFFFFFFF), seed >> np.uint64(32)], np.uint64).astype(np.uint32)[:, None]
    key = mix(low ^ mix(high + np.uint32(0x9E3779B9)))
    number = np.arange(states.size, dtype=np.uint32).reshape(states.shape)
    both = mix((number >> np.uint32(1)) ^ key)
    half = np.where(number & np.uint32(1), both >> np.uint32(16), both & np.uint32(0xFFFF)).astype(np.uint32)
    found = ((np.ascontiguousarray(states).view(np.uint32) + half) >> np.uint32(16)).astype(np.uint16)
    return np.where(np.isnan(states), np.uint16(0x7FC0), found)
