# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""House rules for what is declared in TableGen.

Every pass says what it does with IR before and after, counts what it did, and has a
lit test that runs it. Every op has a summary and an example.
"""

import functools
import json
import pathlib
import re
import subprocess

import pytest

LLVM = pathlib.Path("/usr/lib/llvm-22")
ROOT = pathlib.Path(__file__).resolve().parents[2]
PROTOCOLS = {"Sched": ["protocol.mlir"]}  # further files of negative tests


@functools.cache
def records(td):
    """TableGen's own view of a file, as JSON."""
    command = [LLVM / "bin/llvm-tblgen", "--dump-json", "-I", ROOT / "include", "-I", LLVM / "include", td]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def declared(pattern, base):
    """Records of class `base` that our files define, by name."""
    found = {}
    for td in sorted((ROOT / "include/wyvern").glob(pattern)):
        here = records(td)
        found.update({name: here[name] for name in here["!instanceof"].get(base, [])})
    assert found, f"no {base} in {pattern}"
    return found


def passes():
    return declared("**/Passes.td", "PassBase")


def ops():
    ours = {"Delta_Dialect", "Sched_Dialect", "Tile_Dialect"}
    return {name: op for name, op in declared("Dialect/*/IR/*.td", "Op").items()
            if op["opDialect"] and op["opDialect"]["def"] in ours}


def test_passes_show_the_ir_before_and_after():
    """In two blocks, or in one that says where `after` begins."""
    blocks = {name: re.findall(r"```mlir\n(.*?)```", record["description"], re.S) for name, record in passes().items()}
    assert [name for name, found in blocks.items() if len(found) < 2 and "// after" not in "".join(found)] == []


def test_passes_count_what_they_did():
    assert [name for name, record in passes().items() if not record["statistics"]] == []


def test_the_page_of_layers_names_each_pass():
    page = (ROOT / "docs/layers.md").read_text()
    assert [record["argument"] for record in passes().values() if f"`{record['argument']}`" not in page] == []


def test_passes_have_lit_tests():
    tests = "\n".join(path.read_text() for path in (ROOT / "test").rglob("*.mlir"))
    runs = "\n".join(line for line in tests.splitlines() if "RUN:" in line)
    names = [record["argument"] for record in passes().values()]
    assert [name for name in names if not re.search(rf"(?<![\w-])(-|--)?{re.escape(name)}(?![\w-])", runs)] == []


def test_ops_have_examples():
    bare = [name for name, op in ops().items() if not op["summary"].strip() or "Example" not in op["description"]]
    assert bare == []


def words(text):
    """Text without its layout."""
    return " ".join(text.split())


def test_examples_of_ops_are_tested():
    """A copy of each is in the dialect's examples.mlir, if it has one."""
    tested = {path.parent.name: words(path.read_text()) for path in ROOT.glob("test/Dialect/*/examples.mlir")}
    untested = []
    for name, op in ops().items():
        dialect = op["opDialect"]["def"].removesuffix("_Dialect")
        blocks = re.findall(r"```mlir\n(.*?)```", op["description"], re.S)
        untested += [name for block in blocks if dialect in tested and words(block) not in tested[dialect]]
    assert untested == []


@pytest.mark.parametrize("dialect, at_least", [("Delta", 40), ("Sched", 30), ("Tile", 20)])
def test_constraints_have_negative_tests(dialect, at_least):
    """Named after the constraint's number in the dialect's part of docs/spec.md or docs/sched.md."""
    text = (ROOT / "docs/spec.md").read_text() + (ROOT / "docs/sched.md").read_text()
    parts = re.split(r"^# The (\w+) dialect: specification$", text, flags=re.M)
    spec = parts[parts.index(dialect.lower()) + 1]
    number = r"\w+_[ck]\d+"
    listed = {name for row in re.findall(rf"^\| (`{number}`.*?) \|", spec, re.M) for name in re.findall(number, row)}
    tests = "\n".join((ROOT / f"test/Dialect/{dialect}" / name).read_text() for name in ("invalid.mlir", *PROTOCOLS.get(dialect, ())))
    tested = set(re.findall(rf"@({number})\(", tests))
    assert len(listed) > at_least and listed == tested
