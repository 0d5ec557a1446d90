# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Wyvern's side: a bundle for each head configuration, compiled ahead.

    python -m benchmarks.bundles --rows bars bundles/fused.zip --schedule=fused-blocks

compiles what some rows need, on the machine with the compiler, into a folder or a .zip
that forward.py takes on the machine with the GPU; flags that are not its own go to
wyvernc. Bundles have the names that
test/Integration/gpu_check.py gives them, so its folders serve too.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .cases import ROWS
from .peers.base import Run
from .rules import RULES


def bundle_name(case):
    decay = RULES[case.rule].decay
    kind = f"delta_{decay}" if case.rule in ("delta", "gated") else f"{case.rule}_n{case.rows}"
    return f"{kind}_h{case.key_heads}x{case.value_heads}_d{case.dims[0]}x{case.dims[1]}_bf16"


def spec(case):
    """The layer of a case, as wyvern.compile takes it."""
    return {
        "name": bundle_name(case),
        "heads": {"key": case.key_heads, "value": case.value_heads},
        "dims": {"key": case.dims[0], "value": case.dims[1]},
        "dtype": "bf16",
        "decay": RULES[case.rule].decay,
        "scale": case.dims[0] ** -0.5,
        "steps": RULES[case.rule].steps(case.rows),
    }


def unpacked(path):
    """A folder of bundles; that of a .zip is made, for as long as the process runs."""
    path = Path(path)
    if path.suffix != ".zip":
        return path
    folder = tempfile.TemporaryDirectory(prefix="bundles-")
    unpacked.folders.append(folder)
    shutil.unpack_archive(path, folder.name)
    return Path(folder.name)


unpacked.folders = []


def contestant(path):
    """The function `prepare(inputs)` of a folder or .zip of bundles (see peers)."""
    folder = unpacked(path)
    programs = {}

    def prepare(inputs):
        import wyvern

        name = bundle_name(inputs.case)
        if name not in programs:
            programs[name] = wyvern.load(folder / name)
        tensors = dict(inputs.operands)
        if inputs.initial_state is not None:
            tensors["initial_state"] = inputs.initial_state
        offsets = inputs.cu_seqlens
        return Run(
            lambda: programs[name](**tensors, cu_seqlens=offsets),
            lambda result: (result["o"], result["final_state"]),
        )

    return prepare


def compile_bundles(cases, folder, wyvernc="wyvernc", flags=()):
    """Compiles what cases need into a folder; bundles that are there already stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in {bundle_name(case): case for case in cases}.values():
        target = folder / bundle_name(case)
        if (target / "manifest.json").exists():
            continue
        start = time.monotonic()
        command = [wyvernc, "-", "--input-format=yaml", "-o", target, *flags]
        subprocess.run(command, input=json.dumps(spec(case)), text=True, check=True)
        print(f"{target.name}: {time.monotonic() - start:.1f} s", flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bundles", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="a folder, or a .zip")
    parser.add_argument("--rows", choices=ROWS, default="bars")
    parser.add_argument("--wyvernc", default="wyvernc", help="the compiler to run (default: that on the PATH)")
    options, flags = parser.parse_known_args(arguments)  # the other flags are the compiler's
    cases = ROWS[options.rows]
    if options.output.suffix != ".zip":
        compile_bundles(cases, options.output, options.wyvernc, flags)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        compile_bundles(cases, Path(folder), options.wyvernc, flags)
        shutil.make_archive(options.output.with_suffix(""), "zip", folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
