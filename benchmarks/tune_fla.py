# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles FLA's kernels for every configuration that Triton's autotuner goes through, by many processes at once.

    python -m benchmarks.tune_fla --rows family-training --only '*96x192*'           # on the GPU machine
    python -m benchmarks.training --rows family-training --only '*96x192*' --peers fla

FLA compiles one configuration after the other at the first call of each head count, for minutes. Here each process
compiles a part of them into Triton's cache and runs each once. It keeps no times of these: what is timed then tunes for
itself, with everything compiled. With `FLA_ANY_TRITON=1` in the environment FLA's check of Triton's version is answered
for it, in both commands (0.6.0 refuses its gated backward with Triton 3.6 on Hopper); what it computes is compared with
float64 before it is timed, as that of all peers is.
"""

import argparse
import os
import subprocess
import sys

from .cases import ROWS, make_inputs
from .comparing import is_wanted


def takes(number, count, part, parts):
    """True if process `part` of `parts` compiles configuration `number` of `count`: each is compiled by one of them,
    and each of them has one to go on with."""
    return number % parts == part or (count <= part and number == part % count)


def run_once(call, quantiles=None):
    """In the place of a benchmark."""
    call()
    return [1.0] * 3


def compile_part(autotuner, part, parts):
    """Makes `autotuner`, a class as Triton's, go through a part of its configurations, without measuring them and
    without storing what it finds."""
    bench = autotuner._bench

    def bench_own(self, *args, config, **meta):
        if not takes(self.configs.index(config), len(self.configs), part, parts):
            return [float("inf")] * 3
        self.__dict__["do_bench"] = run_once
        return bench(self, *args, config=config, **meta)

    def forget(self, key, configs, bench_all):
        bench_all()
        return False

    autotuner._bench = bench_own
    autotuner.check_disk_cache = forget


def run_part(options):
    import torch
    from triton.runtime.autotuner import Autotuner

    from .peers import fla

    compile_part(Autotuner, options.part, options.processes)
    prepare = fla.prepare_step if "training" in options.rows else fla.prepare
    for case in ROWS[options.rows]:
        if is_wanted(case, options):
            try:
                prepare(make_inputs(case)).call()
                torch.cuda.synchronize()
            except Exception as problem:  # the timed run says why FLA takes no part
                print(f"{case.name}: {type(problem).__name__}: {problem}".splitlines()[0][:200], file=sys.stderr)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tune_fla", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", choices=ROWS, default="training")
    parser.add_argument("--only", default="*", help="rows to run, as comma-separated patterns: 'gated 1x*'")
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 1) - 2))
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    if options.part is not None:
        return run_part(options)
    command = [sys.executable, "-m", "benchmarks.tune_fla", "--rows", options.rows, "--only", options.only]
    command += ["--processes", str(options.processes), "--part"]
    running = [subprocess.Popen([*command, str(part)]) for part in range(options.processes)]
    return max(process.wait() for process in running)


if __name__ == "__main__":
    sys.exit(main())
