# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pictures of what `python -m benchmarks.forward --json` has written."""

from __future__ import annotations

from typing import Iterator, Sequence

from . import _svg as svg
from ._charts import dots
from ._rows import Result, Row, best_peer, our_best, quantities_of, ratio, rows_of, timed
from ._rows import OURS as NAME


def bars(result: Result) -> str:
    """A bar a row: how many times faster than the best exact peer we are, as SVG text.

    result: an object with `rows`, or the path of its JSON file. A tick is where a row has to
    reach (`case.bar`), the dashed line is at 1. Raises ValueError for what is no result, and
    where no row has both a peer and us.
    """
    rows = [(row, value) for row in rows_of(result) if (value := ratio(row))]
    if not rows:
        raise ValueError("bars: expected a row with a time of wyvern and of an exact peer, found none")
    asked = [_asked(row) for row, _ in rows]
    left, width, step, top = 210, 760, 20 if len(rows) <= 40 else 11, 34
    longest = max(2.0, *(max(value, bar) for (_, value), bar in zip(rows, asked)))
    across = svg.linear(0, longest, left, width - 50)

    parts = [svg.text(left, 18, "best exact peer / ours: right of the line we are faster", size=12)]
    for number, ((row, value), bar) in enumerate(zip(rows, asked)):
        y, size = top + number * step, min(11, step - 1)
        parts.append(svg.text(left - 6, y + step * 0.7, row["name"], "end", size))
        parts.append(svg.box(left, y + 2, across(value) - left, step - 4, svg.OURS if value >= 1 else svg.PEER))
        parts.append(svg.text(across(value) + 4, y + step * 0.7, f"{value:.2f}", size=size))
        if bar:
            parts.append(svg.segment(across(bar), y, across(bar), y + step))
    bottom = top + len(rows) * step
    parts.append(svg.segment(across(1), top - 4, across(1), bottom, dashed=True))
    return svg.document(width, bottom + 12, "Speed beside the best exact peer", parts)


def times(result: Result) -> str:
    """The time of everybody in each row, in ms on a logarithmic axis, as SVG text.

    result: as of `bars`. A hollow dot is of what is not exact, a tick the row's floor
    (`floor_ms`). Raises ValueError for what is no result, and where nothing was timed.
    """
    rows = [row for row in rows_of(result) if timed(row)]
    if not rows:
        raise ValueError("times: expected a row with a gpu_ms, found none")
    found = [
        (row["name"], [(name, ms, row["results"][name]["exact"], f"{name}: {ms:.4f} ms") for name, ms in timed(row).items()])
        for row in rows
    ]
    floors = {number: row["floor_ms"] for number, row in enumerate(rows) if row.get("floor_ms")}
    return dots(found, title="time of a call on the GPU", unit="ms", ticks=floors)


def errors(result: Result) -> str:
    """The errors of everybody in each row, relative to float64, as SVG text.

    result: as of `bars`; the `quantities` of a row name what its errors are of ("o" and "state"
    where it has none). A dot is the error of the first, hollow ones those of the others; an
    error of 0 stands at the smallest above it. Raises ValueError for what is no result, and
    where it has no errors.
    """
    rows = rows_of(result)
    found = []
    for row in rows:
        entries = [
            (name, tuple(zip(quantities_of(row), entry["errors"])))
            for name, entry in row["results"].items()
            if entry.get("errors")
        ]
        found += [(row["name"], entries)] if entries else []
    above = [value for _, entries in found for _, values in entries for _, value in values if value > 0]
    if not above:
        raise ValueError("errors: expected a row with errors above 0, found none")

    def dots_of(whose: str, values: Sequence[tuple[str, float]]) -> Iterator[tuple[str, float, bool, str]]:
        for index, (quantity, value) in enumerate(values):
            yield whose, max(value, min(above)), index == 0, f"{whose}: {value:.1e} of {quantity}"

    first, *others = dict.fromkeys(quantity for row in rows for quantity in quantities_of(row))
    hollow = f", and (hollow) of {', '.join(others)}" if others else ""
    return dots(
        [(name, [dot for entry in entries for dot in dots_of(*entry)]) for name, entries in found],
        title=f"error against float64 of {first}{hollow}",
        unit="of the norm",
    )


def roofline(result: Result, *, bytes_a_second: float = 4.2e12, flops_a_second: float = 790e12) -> str:
    """The best of ours and the best exact peer of each row under a roof, as SVG text.

    result: as of `bars`; each row also has `flops` and `bytes`, the operations that it
    takes and the fewest bytes that it moves. bytes_a_second and flops_a_second are the roof,
    by default what an H200 reaches: a copy, and a bf16 matrix product of 8192^3 on random data. Both axes are logarithmic, 20 to
    1000 operations a byte and 10 to 1000 TFLOP/s; what is outside stands at the edge. Raises
    ValueError for what is no result, and for rows that lack flops or bytes.
    """
    left, top, width, height = 60, 30, 520, 300
    across = svg.logarithmic(20, 1000, left, left + width)
    up = svg.logarithmic(10, 1000, top + height, top)
    slope, peak = bytes_a_second / 1e12, flops_a_second / 1e12

    parts = [svg.text(left, 18, f"under {slope:g} TB/s and {peak:g} TFLOP/s", size=12)]
    parts.append(svg.segment(across(20), up(20 * slope), across(peak / slope), up(peak)))
    parts.append(svg.segment(across(peak / slope), up(peak), across(1000), up(peak)))
    parts += [svg.segment(left, top + height, left + width, top + height), svg.segment(left, top, left, top + height)]
    parts += [svg.text(left - 6, up(rate) + 4, str(rate), "end") for rate in (10, 100, 1000)]
    parts += [svg.text(across(value), top + height + 16, str(value), "middle") for value in (20, 100, 1000)]
    parts.append(svg.text(left + width, top + height + 34, "operations a byte", "end"))
    parts.append(svg.text(left + 8, top + 4, "TFLOP/s"))
    for intensity, rate, name in _points(rows_of(result)):
        color = svg.OURS if name.startswith(NAME) else svg.PEER
        parts.append(svg.dot(across(intensity), up(rate), color, name))
    names = [("Wyvern", svg.OURS), ("best exact peer", svg.PEER)]
    parts += svg.legend(left + 80, top + height + 34, left + width, names)[0]
    return svg.document(left + width + 20, top + height + 44, "Roofline", parts)


def _points(rows: list[Row]) -> Iterator[tuple[float, float, str]]:
    """(operations a byte, TFLOP/s, name) of the best of ours and of the peers."""
    for row in rows:
        if not {"flops", "bytes"} <= set(row):
            raise ValueError(
                f"roofline: {row['name']}: expected its flops and bytes, as `python -m benchmarks.forward --json` "
                "writes them; a step of training has none"
            )
        for found in (our_best(row), best_peer(row)):
            if found:
                name, ms = found
                yield row["flops"] / row["bytes"], row["flops"] / ms / 1e9, name


def _asked(row: Row) -> float:
    return row.get("case", {}).get("bar") or 0.0
