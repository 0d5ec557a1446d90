# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times and errors of Wyvern beside its peers, on a GPU (docs/performance)."""
