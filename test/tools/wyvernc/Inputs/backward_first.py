# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prints a module of two functions with the second one first."""

import pathlib
import re
import sys

head, first, second = re.split(r"(?=^func\.func )", pathlib.Path(sys.argv[1]).read_text(), flags=re.M)
print(head + second + first)
