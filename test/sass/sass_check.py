# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Looks at the machine code of kernels: wgmma where it is expected, no local memory.

    python sass_check.py kernel.cubin...        prints what is wrong; exit status 1 if anything is

nvdisasm is taken from $WYVERN_NVDISASM, else from PATH.
"""

import collections
import os
import re
import shutil
import subprocess
import sys

FUNCTION = re.compile(r"^\.text\.([\w$.]+):")
# "/*0040*/   @!P0 STL [R0], R4 ;"
INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:\{\s*)?(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)[\w.]*\s*")


class MissingTool(Exception):
    """nvdisasm is not there."""


def find_nvdisasm():
    found = os.environ.get("WYVERN_NVDISASM") or shutil.which("nvdisasm")
    if not found:
        raise MissingTool("no nvdisasm; type: scripts/test, which installs it, or set WYVERN_NVDISASM")
    return found


def opcodes(cubin, nvdisasm=None):
    """For each function of a cubin, how often it has each opcode."""
    command = [nvdisasm or find_nvdisasm(), "-c", str(cubin)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    current = None
    for line in listing.splitlines():
        if name := FUNCTION.match(line):
            current = found.setdefault(name[1], collections.Counter())
        elif current is not None and (instruction := INSTRUCTION.match(line)):
            current[instruction[1]] += 1
    return found


def problems(counts, wants_wgmma=True):
    """What is wrong with a function of these opcodes."""
    wrong = [f"{counts[name]} x {name} (local memory)" for name in ("LDL", "STL") if counts[name]]
    if wants_wgmma and not counts["HGMMA"]:
        wrong.append("no HGMMA (wgmma)")
    if not counts["EXIT"]:
        wrong.append("no EXIT: the listing was not understood")
    return wrong


def main(cubins):
    wrong = 0
    for cubin in cubins:
        functions = opcodes(cubin)
        for name, counts in functions.items():
            found = problems(counts)
            wrong += len(found)
            print(f"{cubin}: {name}: {counts['HGMMA']} HGMMA, {'; '.join(found) or 'no local memory'}")
        if not functions:
            wrong += 1
            print(f"{cubin}: no function in it")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
