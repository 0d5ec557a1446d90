# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""expect_exit.py <code> <command...>: succeeds if the command exits with that code."""

import subprocess
import sys

code = subprocess.run(sys.argv[2:]).returncode
if code != int(sys.argv[1]):
    sys.exit(f"expected exit code {sys.argv[1]}, found {code}")
