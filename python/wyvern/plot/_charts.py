# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Charts of numbers that have nothing to do with benchmarks: lines over an axis, and dots
in rows."""

from __future__ import annotations

import math
from typing import Mapping, Sequence

from . import _svg as svg

Points = Sequence[tuple[float, float]]


def lines(
    series: Mapping[str, Points],
    *,
    title: str,
    x: str,
    y: str,
    log_x: bool = False,
    y_range: tuple[float, float] | None = None,
) -> str:
    """A line for each name of `series`, {name: [(x, y), ...]}, as SVG text.

    Names that are equal up to " #" and what follows it (seeds of one model, say) share a
    color and one entry in the legend. title, x and y: what stands over and beside the axes.
    log_x: a logarithmic horizontal axis, of values above 0. y_range: (lowest, highest) of the
    vertical axis, else what the values need. Raises ValueError where there is nothing to
    draw.
    """
    points = [point for line in series.values() for point in line]
    if not points:
        raise ValueError("lines: expected at least one point in series, found none")
    xs, heights = sorted({point[0] for point in points}), [point[1] for point in points]
    if log_x and xs[0] <= 0:
        raise ValueError(f"lines: expected values above 0 on a logarithmic axis, found {xs[0]:g}")
    left, top, width, height = 62, 48, 520, 280
    bottom, ends = top + height, y_range or (min(heights), max(heights))
    x_ticks = xs if len(xs) <= 10 else _ticks((xs[0], xs[-1]), log_x)
    y_ticks = _ticks(ends, False)
    across = _scale(log_x, [xs[0], xs[-1], *x_ticks], left, left + width)
    up = _scale(False, [*ends, *y_ticks], bottom, top)

    parts = [svg.text(left, 18, title, size=12), svg.segment(left, bottom, left + width, bottom)]
    parts += [svg.segment(left, top, left, bottom)]
    parts += [svg.text(left - 6, up(value) + 4, f"{value:g}", "end") for value in y_ticks]
    parts += [svg.text(across(value), bottom + 16, f"{value:g}", "middle") for value in x_ticks]
    parts += [svg.text(left + width, bottom + 34, x, "end"), svg.text(left - 6, top - 8, y)]
    colors: dict[str, str] = {}
    for name, line in series.items():
        color = colors.setdefault(name.split(" #")[0], svg.PALETTE[len(colors) % len(svg.PALETTE)])
        places = [(across(a), up(b)) for a, b in line]
        parts.append(svg.path(places, color, name))
        if len(line) <= 20:
            parts += [svg.dot(*place, color, f"{name}: {a:g}, {b:g}") for place, (a, b) in zip(places, line)]
    names, deep = svg.legend(left, bottom + 54, left + width, list(colors.items()))
    return svg.document(left + width + 20, deep + 10, title, [*parts, *names])


def dots(
    rows: Sequence[tuple[str, Sequence[tuple[str, float, bool, str]]]],
    *,
    title: str,
    unit: str,
    ticks: Mapping[int, float] = {},
) -> str:
    """A row a name, with dots of (whose, value, filled, label) over a logarithmic axis.
    ticks: by the number of a row, a value with a mark of its own."""
    values = [value for _, found in rows for _, value, _, _ in found] + list(ticks.values())
    left, width, step, top = 210, 760, 20 if len(rows) <= 40 else 11, 34
    low, high = svg.decades(values)
    across = svg.logarithmic(low, high, left, width - 50)
    bottom = top + len(rows) * step
    names = dict.fromkeys(whose for _, found in rows for whose, _, _, _ in found)
    colors = dict(zip(names, (svg.PALETTE[i % len(svg.PALETTE)] for i in range(len(names)))))

    parts = [svg.text(left, 18, title, size=12), svg.segment(left, bottom, width - 50, bottom)]
    for value in svg.powers(low, high):
        parts += [svg.segment(across(value), top, across(value), bottom, dashed=True)]
        parts += [svg.text(across(value), bottom + 16, f"{value:g}", "middle")]
    parts.append(svg.text(width - 50, bottom + 32, unit, "end"))
    for number, (name, found) in enumerate(rows):
        y = top + (number + 0.5) * step
        parts.append(svg.text(left - 6, y + 4, name, "end", min(11, step - 1)))
        if number in ticks:
            parts.append(svg.segment(across(ticks[number]), y - step / 2, across(ticks[number]), y + step / 2))
        parts += [svg.dot(across(value), y, colors[whose], label, filled) for whose, value, filled, label in found]
    legend, deep = svg.legend(left, bottom + 50, width - 50, list(colors.items()))
    return svg.document(width, deep + 10, title, [*parts, *legend])


def _scale(log: bool, values: Sequence[float], start: float, end: float) -> svg.Scale:
    low, high = min(values), max(values)
    if low == high:  # one value: in the middle
        low, high = (low / 2, high * 2) if log else (low - 1, high + 1)
    return (svg.logarithmic if log else svg.linear)(low, high, start, end)


def _ticks(ends: tuple[float, float], log: bool) -> list[float]:
    """Round values around those of an axis: four to seven of a linear one, the powers of
    ten of a logarithmic one."""
    low, high = ends
    if log:
        return svg.powers(*svg.decades(ends))
    if low == high:
        return [low]
    size = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(size * n for n in (1, 2, 2.5, 5, 10) if (high - low) / (size * n) <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * n for n in range(first, last + 1)]
