# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Two pictures of a result, as SVG text that needs no library.

Bars: for each row how many times faster than the best exact peer we are. Roofline: the
rate of each run over the operations a byte of its row, under what the memory and the
matrix units allow.
"""

import math
from html import escape

from . import report
from .cases import Case

PEAK_TFLOPS = 790  # a bf16 matrix product of 8192^3 on an H200, random data
OUR_COLOR, PEER_COLOR, LINE_COLOR = "#1f6f8b", "#d98f39", "#888888"


def text(x, y, words, anchor="start", size=11, color="#222222"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}">{escape(words)}</text>'


def segment(x1, y1, x2, y2, dashed=False):
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{LINE_COLOR}"{dashes}/>'


def document(width, height, title, parts):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">'
    ground = f'<rect width="{width}" height="{height}" fill="white"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, *parts, "</svg>", ""])


def bars(result):
    """A bar a row, a tick where a row has to reach, a line at 1."""
    rows = [row for row in result["rows"] if report.ratio(row)]
    left, width, step, top = 210, 760, 20 if len(rows) <= 40 else 11, 34
    longest = max([2.0, *(max(report.ratio(row), row["case"]["bar"] or 0) for row in rows)])

    def across(value):
        return left + value / longest * (width - left - 50)

    parts = [text(left, 18, "best exact peer / ours: right of the line we are faster", size=12)]
    for number, row in enumerate(rows):
        y, value, bar = top + number * step, report.ratio(row), row["case"]["bar"]
        color = OUR_COLOR if value >= 1 else PEER_COLOR
        parts.append(text(left - 6, y + step * 0.7, row["name"], "end", min(11, step - 1)))
        parts.append(f'<rect x="{left}" y="{y + 2}" width="{across(value) - left:.1f}" height="{step - 4}" fill="{color}"/>')
        parts.append(text(across(value) + 4, y + step * 0.7, f"{value:.2f}", size=min(11, step - 1)))
        if bar:
            parts.append(segment(across(bar), y, across(bar), y + step))
    bottom = top + len(rows) * step
    parts.append(segment(across(1), top - 4, across(1), bottom, dashed=True))
    return document(width, bottom + 12, "Speed beside the best exact peer", parts)


def points(result):
    """(operations a byte, TFLOP/s, name, whether ours) of the best of ours and of the
    best exact peer in each row."""
    for row in result["rows"]:
        case = Case(**row["case"] | {"lengths": tuple(row["case"]["lengths"])})
        for found in (report.our_best(row), report.best_peer(row)):
            if found:
                name, ms = found
                yield case.flops / case.bytes, case.flops / ms / 1e9, name, name.startswith(report.OURS)


def roofline(result):
    """Both axes logarithmic: 20 to 1000 operations a byte, 10 to 1000 TFLOP/s."""
    left, top, width, height = 60, 30, 520, 300

    def place(intensity, rate):
        x = left + math.log(intensity / 20) / math.log(50) * width
        return x, top + height - math.log(max(rate, 10) / 10) / math.log(100) * height

    slope = report.BYTES_A_SECOND / 1e12
    ridge = PEAK_TFLOPS / slope
    parts = [text(left, 18, f"under {slope} TB/s and {PEAK_TFLOPS} TFLOP/s", size=12)]
    parts.append(segment(*place(20, 20 * slope), *place(ridge, PEAK_TFLOPS)))
    parts.append(segment(*place(ridge, PEAK_TFLOPS), *place(1000, PEAK_TFLOPS)))
    parts += [segment(left, top + height, left + width, top + height), segment(left, top, left, top + height)]
    for rate in (10, 100, 1000):
        parts.append(text(left - 6, place(20, rate)[1] + 4, str(rate), "end"))
    for intensity in (20, 100, 1000):
        parts.append(text(place(intensity, 10)[0], top + height + 16, str(intensity), "middle"))
    parts.append(text(left + width, top + height + 34, "operations a byte", "end"))
    parts.append(text(left + 8, top + 4, "TFLOP/s"))
    for intensity, rate, name, ours in points(result):
        x, y = place(intensity, rate)
        color = OUR_COLOR if ours else PEER_COLOR
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"><title>{escape(name)}</title></circle>')
    for number, (words, color) in enumerate([("Wyvern", OUR_COLOR), ("best exact peer", PEER_COLOR)]):
        parts.append(text(left + 80 + 80 * number, top + height + 34, words, color=color))
    return document(left + width + 20, top + height + 44, "Roofline", parts)
