# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times the delta rules' forward against the peers that are installed.

    python -m benchmarks.forward --ours fused=bundles/fused.zip --json forward.json
    python -m benchmarks.forward --ours fused=bundles/fused.zip --rows paper --json paper.json --resume

One process, the same inputs for all, taking turns (timing.py). First every result is
compared with the same rule in float64 (reference.py): a contestant that is wrong is not
timed. The JSON file is written after each row, so a run that is cut short goes on with
--resume. The table comes last, and again from `python -m benchmarks.report forward.json`.
"""

import argparse
import fnmatch
import json
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path

import torch

from . import report, timing
from .bundles import contestant
from .cases import ROWS, make_inputs
from .peers import PEERS
from .peers.base import Refused
from .reference import delta_rule, error

# Largest errors of o and of the final state that pass. Ours and the exact peers are at
# 3e-3 to 5e-3 in bf16.
TOLERANCE = 1e-2


def poison(references):
    """Leaves NaN in the memory that torch hands out next for results of these shapes, so
    that what a contestant does not write is not what the one before it has written."""
    for dtype in (torch.bfloat16, torch.float32):
        _ = [torch.full_like(x, float("nan"), dtype=dtype) for x in references]


def checked(prepare, inputs, references):
    """The `Run` of one contestant and its entry in the row; (None, entry) if it does not
    take part. The first call, with its compilation, happens here."""
    start = time.monotonic()
    try:
        run = prepare(inputs)
        poison(references)
        results = run.read(run.call())
        errors = [error(x, reference) for x, reference in zip(results, references)]
    except torch.AcceleratorError:
        raise  # it sticks to the process: nothing after it can be believed
    except Exception as problem:  # a peer that is missing or broken is no failure of ours
        if not isinstance(problem, (Refused, ModuleNotFoundError)):
            traceback.print_exc()
        words = str(problem) if isinstance(problem, Refused) else f"{type(problem).__name__}: {problem}"
        return None, {"refused": (words.splitlines() or [""])[0][:200]}
    entry = {"errors": errors, "exact": run.exact, "first_call_s": round(time.monotonic() - start, 2)}
    if max(errors) > TOLERANCE:
        return None, entry | {"refused": f"wrong: errors {errors[0]:.1e}, {errors[1]:.1e} against float64"}
    return run, entry


def time_runs(runs, repeats, measure):
    """{name: times} of what takes part; those with a clock of their own after the others."""
    times = measure({name: run.call for name, run in runs.items() if run.clock is None}, repeats)
    for name, run in runs.items():
        if run.clock is not None:
            samples = sorted(run.clock() for _ in range(5))
            times[name] = {"gpu_ms": samples[2], "host_ms": None, "samples": samples, "wall": True}
    return times


def compare(case, contestants, repeats=25, device="cuda", measure=timing.measure):
    """One row: what report.py reads. `contestants` maps names to `prepare` functions."""
    with torch.no_grad():
        inputs = make_inputs(case, device)
        references = delta_rule(inputs)
        runs, results = {}, {}
        for name, prepare in contestants.items():
            run, results[name] = checked(prepare, inputs, references)
            if run is not None:
                runs[name] = run
        for name, times in time_runs(runs, repeats, measure).items():
            results[name] |= times
    work = {"floor_ms": report.floor_ms(case), "flops": case.flops, "bytes": case.bytes}
    return {"case": asdict(case), "name": case.name, **work, "results": results}


def machine():
    return {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda}


def run_rows(options, contestants):
    """Runs the rows that are wanted and not in the file yet; the whole result."""
    result = {"machine": machine(), "rows": []}
    if options.resume and options.json.exists():
        result = json.loads(options.json.read_text())
    done = {row["name"] for row in result["rows"]}
    end = time.monotonic() + options.seconds
    for case in ROWS[options.rows]:
        if case.name in done or not fnmatch.fnmatch(case.name, options.only):
            continue
        if time.monotonic() > end:
            print(f"stopped after {options.seconds:.0f} s; go on with --resume", flush=True)
            break
        row = compare(case, contestants, options.repeats)
        result["rows"].append(row)
        print(report.line(row), flush=True)
        options.json.write_text(json.dumps(result))
        torch.cuda.empty_cache()
    return result


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.forward", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ours", default="", help="bundles to time: name=folder or name=file.zip, several with commas")
    parser.add_argument("--peers", default=",".join(PEERS), help="peers to time, of " + ", ".join(PEERS))
    parser.add_argument("--rows", choices=ROWS, default="bars")
    parser.add_argument("--only", default="*", help="rows to run, as a pattern: 'gated 1x*'")
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no row after so many seconds")
    parser.add_argument("--json", type=Path, default=Path("forward.json"), help="where to write the result")
    parser.add_argument("--resume", action="store_true", help="keep the rows that the file has")
    options = parser.parse_args(arguments)
    unknown = [x for x in options.peers.split(",") if x and x not in PEERS]
    if unknown:
        parser.error(f"--peers: expected names of {', '.join(PEERS)}, found {', '.join(unknown)}")
    return options


def choose(options):
    """{name: prepare}, ours first, each under a name that starts with `wyvern`."""
    ours = (x.partition("=") for x in options.ours.split(",") if x)
    chosen = {f"wyvern-{name}": contestant(path) for name, _, path in ours}
    return chosen | {name: PEERS[name] for name in options.peers.split(",") if name}


def main(arguments=None):
    options = parse(arguments)
    if not torch.cuda.is_available():
        print("python -m benchmarks.forward: error: torch sees no GPU", file=sys.stderr)
        return 3
    result = run_rows(options, choose(options))
    print(report.markdown(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
