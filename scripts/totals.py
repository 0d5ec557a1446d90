# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Adds up JUnit reports (lit's and pytest's) and prints one line of totals.

A report that is missing or broken counts as one failure: a crashed run must not
look like a good one. Exit status 1 if anything failed or nothing ran.
"""

import os
import sys
import xml.etree.ElementTree as ElementTree


def count(path):
    """(passed, failed, skipped, skipped for want of a GPU) of one report."""
    passed = failed = skipped = gpu = 0
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skip is not None:
            skipped += 1
            reason = (skip.get("message") or "") + (skip.text or "")
            gpu += "cuda" in reason or "GPU" in reason
        else:
            passed += 1
    return passed, failed, skipped, gpu


def main(paths):
    totals = [0, 0, 0, 0]
    for path in paths:
        try:
            found = count(path)
        except (OSError, ElementTree.ParseError) as error:
            print(f"no report of {os.path.basename(path)}: {error}", file=sys.stderr)
            found = (0, 1, 0, 0)
        totals = [a + b for a, b in zip(totals, found)]
    passed, failed, skipped, gpu = totals
    print(f"GPU tests skipped, since they need an NVIDIA GPU: {gpu}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
