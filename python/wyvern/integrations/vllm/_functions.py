# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What became of vLLM's calls."""

from .._calls import Calls

calls = Calls()
