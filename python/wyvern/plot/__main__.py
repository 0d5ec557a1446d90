# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""python -m wyvern.plot forward.json --out pictures: the pictures of a benchmark's result.

Writes bars.svg, times.svg, errors.svg and roofline.svg, those that --only names, of a
file that `python -m benchmarks.forward --json` has written.
"""

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from . import errors, roofline, bars, times

PICTURES = {"bars": bars, "times": times, "errors": errors, "roofline": roofline}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m wyvern.plot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("json", type=Path)
    parser.add_argument("--out", type=Path, default=Path("."), help="the folder of the pictures")
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=list(PICTURES))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        try:
            picture = PICTURES[name](options.json)
        except (OSError, ValueError) as problem:
            print(f"wyvern.plot: error: {problem}", file=sys.stderr)
            return 1
        (options.out / f"{name}.svg").write_text(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
