# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows of a benchmark's result: who took part, who was the fastest.

A row is an object with a `name`, with `results`, {contestant: {"gpu_ms": ..., "errors":
[of each quantity], "exact": bool}} or {contestant: {"refused": why}}, and with the names of
these `quantities`, "o" and "state" where it has none. What is ours
has a name that begins with "wyvern"; a peer counts as best only if it is exact.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence, Union

Row = Mapping[str, Any]
Result = Union[Mapping[str, Any], str, "os.PathLike[str]"]

OURS = "wyvern"


def _read(result: Result) -> tuple[str, Any]:
    """What a message calls a result, and its data."""
    if isinstance(result, Mapping):
        return "the result", result
    return os.fspath(result), json.loads(Path(result).read_text())


def rows_of(result: Result) -> list[Row]:
    """The rows of a result, or of the file that has it. Raises ValueError where there are
    none."""
    where, data = _read(result)
    rows = data.get("rows") if isinstance(data, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) and {"name", "results"} <= set(row) for row in rows):
        raise ValueError(
            f'{where}: expected an object with "rows", each with a name and results, as '
            "`python -m benchmarks.forward --json` writes it"
        )
    if not rows:
        raise ValueError(f'{where}: expected at least one of its "rows", found none; nothing was timed')
    return rows


def quantities_of(row: Row) -> Sequence[str]:
    """What the errors of a row are of."""
    return tuple(row.get("quantities", ("o", "state")))


def timed(row: Row) -> dict[str, float]:
    """{name: gpu_ms} of what took part in a row."""
    return {name: entry["gpu_ms"] for name, entry in row["results"].items() if "gpu_ms" in entry}


def fastest(row: Row, wanted: Callable[[str], bool]) -> Optional[tuple[str, float]]:
    """(name, gpu_ms) of the fastest whose name is `wanted`; None if there is none."""
    times = [(ms, name) for name, ms in timed(row).items() if wanted(name)]
    if not times:
        return None
    ms, name = min(times)
    return name, ms


def our_best(row: Row) -> Optional[tuple[str, float]]:
    return fastest(row, lambda name: name.startswith(OURS))


def best_peer(row: Row) -> Optional[tuple[str, float]]:
    return fastest(row, lambda name: not name.startswith(OURS) and row["results"][name]["exact"])


def ratio(row: Row) -> Optional[float]:
    """Best exact peer over the fastest of ours; None where one of them is missing."""
    ours, peer = our_best(row), best_peer(row)
    return peer[1] / ours[1] if ours and peer else None
