# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pictures of benchmarks' results and of training runs, as SVG text; no library is needed.

    python -m wyvern.plot forward.json --out pictures     # all of them
"""

from ._charts import lines
from ._results import errors, roofline, bars, times

__all__ = ["errors", "lines", "roofline", "bars", "times"]
