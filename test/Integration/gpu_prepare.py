# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The part of gpu_check.py for the machine with the compiler: bundles, and what the
same rounded programs do on the CPU (expected.json)."""

import json
import time
import traceback

import torch

import wyvern


def compile_bundles(folder, layers, **options):
    """One bundle a layer; those that are there already stay. The layers that failed."""
    failed = []
    for layer in layers:
        if (folder / layer.name / "manifest.json").exists():
            continue
        start = time.monotonic()
        try:
            wyvern.compile(layer.spec(), target="sm_90a", output=folder / layer.name, **options)
            print(f"{layer.name}: {time.monotonic() - start:.1f} s", flush=True)
        except Exception as error:
            print(f"FAIL {layer.name}: {error}", flush=True)
            failed.append(layer.name)
    return failed


def rounded_errors(case, cases, segment_tokens):
    """Errors of o and the final state of the rounded program on this CPU."""
    program = wyvern.compile(case.layer.spec(), target="cpu", precision="rounded", segment_tokens=segment_tokens)
    inputs, cu = cases.make_inputs(case), cases.make_cu_seqlens(case)
    out = program(**inputs, cu_seqlens=cu)
    references = cases.reference(case, inputs, cu)
    errors = [cases.delta_oracle.error(out[x], r) for x, r in zip(("o", "final_state"), references)]
    return {"errors": errors, "inputs": cases.digest(inputs)}


def prepare(options, cases, layers, drawn):
    torch.set_num_threads(1)
    options.bundles.mkdir(parents=True, exist_ok=True)
    segments = {"segment_tokens": options.segment_tokens}
    failed = compile_bundles(options.bundles, layers, schedule=options.schedule, **segments)
    path = options.bundles / "expected.json"
    expected = json.loads(path.read_text()) if path.exists() else {}
    for case in drawn:
        key = cases.key(case)
        if key in expected:
            continue
        try:
            expected[key] = rounded_errors(case, cases, **segments)
        except Exception:
            traceback.print_exc()
            failed.append(f"{case.name} on the CPU")
            continue
        print(f"{case.name}: o {expected[key]['errors'][0]:.2e}, state {expected[key]['errors'][1]:.2e}", flush=True)
        path.write_text(json.dumps(expected, indent=1))
    print(f"{len(layers)} bundles in {options.bundles}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0
