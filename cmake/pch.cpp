// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Holds nothing: the target exists for its precompiled header.
