# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes a kernel folder: python -m wyvern.integrations.transformers --out DIR"""

import argparse
import sys
from pathlib import Path

from ._kernel_folder import write_kernel_folder


def main() -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m wyvern.integrations.transformers",
        description="Writes a kernel folder for transformers: models with Gated DeltaNet layers run on Wyvern's "
        "programs, without a change to the program that runs the model.",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="the folder to write; new or empty")
    folder = parser.parse_args().out
    try:
        folder = write_kernel_folder(folder)
    except OSError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1
    print(
        f"{folder}\n"
        f"LOCAL_KERNELS=kernels-community/fla={folder}    with use_kernels=True, or\n"
        f'KernelConfig({{"chunk_gated_delta_rule": "{folder}:chunk_gated_delta_rule"}}, use_local_kernel=True)'
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
