# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prints a spec with 40 times an assignment."""

import sys

print("name: chain\nheads: {key: 2, value: 2}\ndims: {key: 64, value: 64}\ndecay: head\ncompute:")
for _ in range(40):
    print(f"  - {sys.argv[1]}")
print("steps:\n  - {write: k, value: v, rate: beta}")
