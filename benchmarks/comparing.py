# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows of a benchmark: contestants on the same inputs, judged first and then timed.

What is done in a row is a `Work` (forward.py, training.py). Every result is compared with
float64 first (reference.py): a contestant that is wrong is not timed. The JSON file is
written after each row, so a run that is cut short goes on with --resume. report.py makes
the table of it.
"""

import argparse
import fnmatch
import json
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import torch

from . import report, timing
from .cases import Case, Inputs, ROWS, make_inputs
from .peers.base import Refused
from .reference import error


@dataclass(frozen=True)
class Work:
    """What a contestant is asked for, and how it is judged."""

    name: str  # above the times of a table
    results: Callable[[Case], tuple[str, ...]]  # what `Run.read` returns of a case, in order
    reference: Callable[[Inputs], tuple]  # these in float64
    tolerance: float  # the largest error of one that passes
    bytes: Callable[[Case], int]  # the fewest that are moved
    flops: Optional[Callable[[Case], int]] = None  # for a roofline


def poison(references):
    """Leaves NaN in the memory that torch hands out next for results of these shapes, so
    that what a contestant does not write is not what the one before it has written."""
    for dtype in (torch.bfloat16, torch.float32):
        _ = [torch.full_like(x, float("nan"), dtype=dtype) for x in references]


def checked(work, prepare, inputs, references):
    """The `Run` of one contestant and its entry in the row; (None, entry) if it does not
    take part. The first call, with its compilation, happens here."""
    start = time.monotonic()
    try:
        run = prepare(inputs)
        poison(references)
        results = run.read(run.call())
        errors = [error(x, reference) for x, reference in zip(results, references, strict=True)]
    except torch.AcceleratorError:
        raise  # it sticks to the process: nothing after it can be believed
    except Exception as problem:  # a peer that is missing or broken is no failure of ours
        if not isinstance(problem, (Refused, ModuleNotFoundError)):
            traceback.print_exc()
        words = str(problem) if isinstance(problem, Refused) else f"{type(problem).__name__}: {problem}"
        return None, {"refused": (words.splitlines() or [""])[0][:200]}
    entry = {"errors": errors, "exact": run.exact, "first_call_s": round(time.monotonic() - start, 2)}
    if max(errors) > work.tolerance:
        return None, entry | {"refused": f"wrong: errors {', '.join(f'{x:.1e}' for x in errors)} against float64"}
    return run, entry


def time_runs(runs, repeats, measure):
    """{name: times} of what takes part; those with a clock of their own after the others."""
    times = measure({name: run.call for name, run in runs.items() if run.clock is None}, repeats)
    for name, run in runs.items():
        if run.clock is not None:
            samples = sorted(run.clock() for _ in range(5))
            times[name] = {"gpu_ms": samples[2], "host_ms": None, "samples": samples, "wall": True}
    return times


def compare(work, case, contestants, repeats=25, device="cuda", measure=timing.measure, kernels=None):
    """One row: what report.py reads. `contestants` maps names to `prepare` functions.
    `kernels`, of a call, tells the times of its kernels; those of ours are kept."""
    with torch.no_grad():
        inputs = make_inputs(case, device)
        references = work.reference(inputs)
        runs, results = {}, {}
        for name, prepare in contestants.items():
            run, results[name] = checked(work, prepare, inputs, references)
            if run is not None:
                runs[name] = run
        for name, times in time_runs(runs, repeats, measure).items():
            results[name] |= times
            if kernels and name.startswith(report.OURS):
                results[name]["kernels"] = kernels(runs[name].call)
    moved = work.bytes(case)
    least: dict[str, Any] = {"quantities": work.results(case), "floor_ms": report.floor_ms(moved), "bytes": moved}
    if work.flops:
        least["flops"] = work.flops(case)
    return {"case": asdict(case), "name": case.name, **least, "results": results}


def machine():
    return {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda}


def is_wanted(case, options):
    """True for a row that one of the patterns of --only names."""
    return any(fnmatch.fnmatch(case.name, pattern) for pattern in options.only.split(","))


def run_rows(work, options, contestants):
    """Runs the rows that are wanted and not in the file yet; the whole result."""
    result = {"machine": machine(), "work": work.name, "rows": []}
    if options.resume and options.json.exists():
        result = json.loads(options.json.read_text())
    done = {row["name"] for row in result["rows"]}
    end = time.monotonic() + options.seconds
    for case in ROWS[options.rows]:
        if case.name in done or not is_wanted(case, options):
            continue
        if time.monotonic() > end:
            print(f"stopped after {options.seconds:.0f} s; go on with --resume", flush=True)
            break
        kernels = timing.kernel_us if options.kernels else None
        row = compare(work, case, contestants, options.repeats, kernels=kernels)
        result["rows"].append(row)
        print(report.line(row), flush=True)
        options.json.write_text(json.dumps(result))
        torch.cuda.empty_cache()
    return result


def parse(arguments, command, description, peers, rows, repeats):
    """The options of a benchmark: `peers` are whom it knows, `rows` what it runs by default."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=f"python -m {command}", description=description, formatter_class=formatter)
    parser.add_argument("--ours", default="", help="bundles to time: name=folder or name=file.zip, several with commas")
    parser.add_argument("--peers", default=",".join(peers), help="peers to time too, of " + ", ".join(peers))
    parser.add_argument("--rows", choices=ROWS, default=rows)
    parser.add_argument("--only", default="*", help="rows to run, as comma-separated patterns: 'gated 1x*'")
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no row after so many seconds")
    parser.add_argument("--kernels", action="store_true", help="also the time of each kernel of ours (torch.profiler)")
    parser.add_argument("--json", type=Path, default=Path(f"{command.rpartition('.')[2]}.json"), help="where to write the result")
    parser.add_argument("--resume", action="store_true", help="keep the rows that the file has")
    options = parser.parse_args(arguments)
    options.peers = [x for x in options.peers.split(",") if x]
    unknown = [x for x in options.peers if x not in peers]
    if unknown:
        parser.error(f"--peers: expected names of {', '.join(peers)}, found {', '.join(unknown)}")
    return options


def choose(options, contestant, peers):
    """{name: prepare}, ours first, each under a name that starts with `wyvern`; `contestant`
    makes one of a folder or .zip of bundles."""
    ours = (x.partition("=") for x in options.ours.split(",") if x)
    chosen: dict[str, Any] = {f"{report.OURS}-{name}": contestant(path) for name, _, path in ours}
    return chosen | {name: peers[name] for name in options.peers}


def run(work, options, contestants):
    """Runs a benchmark and prints its table; the exit status."""
    if not torch.cuda.is_available():
        print("benchmarks: error: torch sees no GPU", file=sys.stderr)
        return 3
    print(report.markdown(run_rows(work, options, contestants)))
    return 0
