# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wyvern.plot: what is in the pictures, where, and what is refused."""

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from wyvern import plot

SVG = {"svg": "http://www.w3.org/2000/svg"}


def entry(ms, errors=(1e-3, 2e-3), exact=True):
    return {"gpu_ms": ms, "errors": list(errors), "exact": exact, "host_ms": None}


@pytest.fixture
def result():
    """Two rows: we are twice as fast as the exact peer, then half as fast."""
    first = {"wyvern": entry(1.0), "peer": entry(2.0, (0.0, 1e-1)), "inexact": entry(0.1, exact=False)}
    second = {"wyvern": entry(2.0), "peer": entry(1.0), "absent": {"refused": "no such heads"}}
    work = {"flops": 8e11, "bytes": 4e9, "floor_ms": 0.5}
    return {
        "rows": [
            {"name": "first", "results": first, "case": {"bar": 1.5}, **work},
            {"name": "second", "results": second, "case": {"bar": None}, **work},
        ]
    }


def parse(picture):
    return ElementTree.fromstring(picture)


def words(picture):
    return [element.text for element in parse(picture).iterfind("svg:text", SVG)]


def dots(picture):
    """{label: (x, y)} of its circles."""
    found = parse(picture).iterfind("svg:circle", SVG)
    return {dot.find("svg:title", SVG).text: (float(dot.get("cx")), float(dot.get("cy"))) for dot in found}


def test_bars_are_as_long_as_the_ratio(result):
    picture = parse(plot.bars(result))
    wide = [float(box.get("width")) for box in picture.iterfind("svg:rect", SVG)][1:]
    assert wide[0] == pytest.approx(4 * wide[1], rel=1e-2)
    colors = [box.get("fill") for box in picture.iterfind("svg:rect", SVG)][1:]
    assert colors[0] != colors[1]
    assert {"first", "2.00", "second", "0.50"} <= set(words(plot.bars(result)))


def test_times_are_where_their_logarithms_are(result):
    picture = plot.times(result)
    places = dots(picture)
    found = ("wyvern: 1.0000", "wyvern: 2.0000", "peer: 2.0000", "peer: 1.0000", "inexact: 0.1000")
    assert set(places) == {f"{who} ms" for who in found}
    one, two, tenth = places["wyvern: 1.0000 ms"], places["wyvern: 2.0000 ms"], places["inexact: 0.1000 ms"]
    assert (two[0] - one[0]) / (one[0] - tenth[0]) == pytest.approx(0.30103, rel=1e-2)
    assert one[1] < two[1]
    (hollow,) = [dot for dot in parse(picture).iterfind("svg:circle", SVG) if dot.get("fill") == "white"]
    assert hollow.find("svg:title", SVG).text == "inexact: 0.1000 ms"


def test_errors_of_zero_stand_at_the_smallest(result):
    places = dots(plot.errors(result))
    assert places["peer: 0.0e+00 of o"][0] == places["wyvern: 1.0e-03 of o"][0]
    assert places["peer: 1.0e-01 of state"][0] > places["wyvern: 2.0e-03 of state"][0]


def test_errors_have_the_names_of_their_row(result):
    for row in result["rows"]:
        row["quantities"] = ["dq", "dk"]
    named = plot.errors(result)
    assert "peer: 1.0e-01 of dk" in dots(named) and "error against float64 of dq, and (hollow) of dk" in words(named)


def test_a_run_at_the_roof_is_on_it(result):
    """200 operations a byte: 840 TFLOP/s of memory, so the roof is the matrix units'."""
    del result["rows"][1]
    result["rows"][0]["results"]["wyvern"] = entry(8e11 / 790e12 * 1e3)
    picture = parse(plot.roofline(result))
    _, y = dots(plot.roofline(result))["wyvern"]
    flat = [line for line in picture.iterfind("svg:line", SVG) if line.get("y1") == line.get("y2")]
    assert min(float(line.get("y1")) for line in flat) == pytest.approx(y, abs=0.1)


def test_lines_share_a_color_over_seeds():
    picture = plot.lines(
        {"a #0": [(1, 0.5), (8, 1.0)], "a #1": [(1, 0.4), (8, 0.9)], "b": [(1, 0.1), (8, 0.2)]},
        title="t", x="tokens", y="right", log_x=True, y_range=(0, 1),
    )
    paths = [line.get("stroke") for line in parse(picture).iterfind("svg:polyline", SVG)]
    assert paths[0] == paths[1] != paths[2]
    assert words(picture).count("a") == 1 and {"b", "tokens", "right", "8"} <= set(words(picture))
    places = dots(picture)
    assert places["a #0: 8, 1"][1] < places["b: 8, 0.2"][1] and places["a #0: 1, 0.5"][0] < places["a #0: 8, 1"][0]


def test_axes_have_round_values():
    curve = [(step, 5.609 - 3.53 * step / 60) for step in range(1, 61)]
    numbers = [word for word in words(plot.lines({"a": curve}, title="t", x="x", y="y")) if re.fullmatch(r"[\d.]+", word)]
    assert numbers == ["2", "3", "4", "5", "6", "0", "20", "40", "60"]
    many = [(10.0**n, n) for n in range(-1, 12)]
    numbers = [word for word in words(plot.lines({"a": many}, title="t", x="x", y="y", log_x=True)) if "e" in word]
    assert "1e+11" in numbers


def test_a_legend_too_long_for_a_line_goes_on_below():
    def legend(names):
        series = {name: [(0, 0), (1, 1)] for name in names}
        picture = parse(plot.lines(series, title="t", x="x", y="y"))
        return {float(element.get("y")) for element in picture.iterfind("svg:text", SVG) if element.text in series}

    assert len(legend(["a", "b"])) == 1 and len(legend([f"a long name of curve {n}" for n in range(6)])) == 2


def test_one_point_is_drawn():
    assert len(dots(plot.lines({"a": [(3, 3)]}, title="t", x="x", y="y"))) == 1


def test_names_are_escaped(result):
    result["rows"][0]["name"] = "<first & last>"
    assert "<first & last>" in words(plot.bars(result))


ONLY_OURS = {"rows": [{"name": "x", "results": {"wyvern": entry(1)}}]}
NOBODY = {"rows": [{"name": "x", "results": {"peer": {"refused": "no"}}}]}


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: plot.bars({"times": []}), 'the result: expected an object with "rows"'),
        (lambda: plot.times({"rows": [{"name": "x"}]}), 'expected an object with "rows", each with a name and results'),
        (lambda: plot.errors({"rows": []}), 'expected at least one of its "rows", found none'),
        (lambda: plot.bars(ONLY_OURS), "bars: expected a row with a time of wyvern and of an exact peer"),
        (lambda: plot.times(NOBODY), "times: expected a row with a gpu_ms, found none"),
        (lambda: plot.errors(NOBODY), "errors: expected a row with errors above 0"),
        (lambda: plot.roofline(ONLY_OURS), "roofline: x: expected its flops and bytes"),
        (lambda: plot.lines({"a": []}, title="t", x="x", y="y"), "lines: expected at least one point"),
        (lambda: plot.lines({"a": [(0, 1)]}, title="t", x="x", y="y", log_x=True), "above 0 on a logarithmic axis, found 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def run(*arguments, cwd):
    return subprocess.run([sys.executable, "-m", "wyvern.plot", *arguments], cwd=cwd, capture_output=True, text=True)


def test_command(result, tmp_path):
    (tmp_path / "forward.json").write_text(json.dumps(result))
    done = run("forward.json", "--out", "pictures", "--only", "times", "errors", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "pictures/times.svg").read_text() == plot.times(result)
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["errors.svg", "times.svg"]
    (tmp_path / "forward.json").write_text("{}")
    done = run("forward.json", cwd=tmp_path)
    assert done.returncode == 1 and 'wyvern.plot: error: forward.json: expected an object with "rows"' in done.stderr
    done = run("none.json", cwd=tmp_path)
    assert done.returncode == 1 and "No such file" in done.stderr


def test_needs_neither_torch_nor_matplotlib():
    code = "import sys, wyvern.plot; print(sorted({'torch', 'matplotlib', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
