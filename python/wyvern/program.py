# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled bundles: `wyvern.load` and what it returns and raises."""

from ._core.gpu import Program, load
from ._core.manifest import BundleError, read_manifest

__all__ = ["BundleError", "Program", "load", "read_manifest"]
