# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pieces of a picture, as SVG text that needs no library."""

from __future__ import annotations

import math
from html import escape
from typing import Callable, Iterable, Sequence

OURS, PEER, GREY, INK = "#1f6f8b", "#d98f39", "#888888", "#222222"
# Of names that a picture has to tell apart (Okabe and Ito: also without red and green).
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222", "#999933")

Scale = Callable[[float], float]


def text(x: float, y: float, words: str, anchor: str = "start", size: float = 11, color: str = INK) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}">'
        f"{escape(words)}</text>"
    )


def segment(x1: float, y1: float, x2: float, y2: float, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GREY}"{dashes}/>'


def box(x: float, y: float, width: float, height: float, color: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}"/>'


def dot(x: float, y: float, color: str, label: str, filled: bool = True) -> str:
    paint = f'fill="{color}"' if filled else f'fill="white" stroke="{color}" stroke-width="1.5"'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {paint}><title>{escape(label)}</title></circle>'


def path(points: Iterable[tuple[float, float]], color: str, label: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{places}" fill="none" stroke="{color}" stroke-width="1.8">'
        f"<title>{escape(label)}</title></polyline>"
    )


def legend(x: float, y: float, right: float, entries: Sequence[tuple[str, str]]) -> tuple[list[str], float]:
    """The names in their colors from (x, y) on, side by side as far as `right`, then in the
    next line; also the height of the last line."""
    parts, start = [], x
    for words, color in entries:
        length = 26 + 6.2 * len(words)
        if x > start and x + length > right:
            x, y = start, y + 18
        parts += [box(x, y - 8, 9, 9, color), text(x + 13, y, words)]
        x += length
    return parts, y


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """Where a value of [low, high] lies between start and end; others at the ends."""
    span = math.log(high / low)
    return lambda value: start + math.log(min(max(value, low), high) / low) / span * (end - start)


def linear(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def decades(values: Sequence[float]) -> tuple[float, float]:
    """Powers of ten around all values."""
    low = 10.0 ** math.floor(math.log10(min(values)))
    high = 10.0 ** math.ceil(math.log10(max(values)))
    return low, high if high > low else 10 * low


def powers(low: float, high: float) -> list[float]:
    """The powers of ten from low to high, both of which are some."""
    return [10.0**n for n in range(round(math.log10(low)), round(math.log10(high)) + 1)]


def document(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">'
    ground = f'<rect width="{width}" height="{height}" fill="white"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, *parts, "</svg>", ""])
