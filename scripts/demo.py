# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What scripts/demo prints: the bundle, and the errors of the CPU program.

The program that the GPU runs rounds its matmul operands to bf16; here it runs on the
CPU, and so does the same program without that rounding. Both are compared with the
float64 reference, token by token, on the same bf16 inputs.
"""

import json
import pathlib
import sys
import time

import numpy as np

import wyvern

SEED, BATCH, TOKENS = 0, 1, 256


def show_bundle(folder, milliseconds):
    manifest = json.loads((folder / "manifest.json").read_text())
    versions = manifest["compiler"]
    print(f"\n{manifest['name']} for {manifest['target']}: {int(milliseconds) / 1000:.2f} s "
          f"(LLVM {versions['llvm']}, ptxas {versions['ptxas']})")
    for path in sorted(folder.iterdir()):
        print(f"  {path}  {path.stat().st_size:,} bytes")
    print(f"\n  {'kernel':36}{'threads':>8}{'registers':>11}{'shared memory':>15}{'spills':>8}")
    # Kernels that variants share have one image.
    kernels = {k["image"]: k for variant in manifest["variants"] for k in variant["kernels"]}
    for image, kernel in kernels.items():
        spills = kernel["spill_stores"] + kernel["spill_loads"]
        print(f"  {image.removesuffix('.cubin'):36}{kernel['block']:8}{kernel['registers']:11}{kernel['dynamic_shared']:15,}{spills:8}")
    return manifest["spec"]


def random_inputs(spec):
    """Unit-norm q and k, normal v and initial state, rates in (0, 1)."""
    random = np.random.default_rng(SEED)
    heads, dims = spec["heads"], spec["dims"]

    def normal(*shape, unit=False):
        x = random.standard_normal(shape)
        return x / np.linalg.norm(x, axis=-1, keepdims=True) if unit else x

    inputs = {name: normal(BATCH, TOKENS, heads["key"], dims["key"], unit=True) for name in ("q", "k")}
    inputs["v"] = normal(BATCH, TOKENS, heads["value"], dims["value"])
    inputs = {name: wyvern.to_bf16(value) for name, value in inputs.items()}
    inputs["beta"] = random.uniform(size=(BATCH, TOKENS, heads["value"])).astype(np.float32)
    inputs["initial_state"] = normal(BATCH, heads["value"], dims["key"], dims["value"]).astype(np.float32)
    return inputs


def as_float(value):
    return (wyvern.from_bf16(value) if value.dtype == np.uint16 else value).astype(np.float64)


def main(spec_path, bundle, milliseconds):
    spec = show_bundle(pathlib.Path(bundle), milliseconds)
    inputs = random_inputs(spec)
    expected = wyvern.reference(spec_path, **inputs)
    print(f"\nOn the CPU: B {BATCH}, T {TOKENS}, H {spec['heads']['value']}, K {spec['dims']['key']}, "
          f"V {spec['dims']['value']}, {spec['dtype']} inputs, seed {SEED}")
    print(f"  {'relative error against the float64 reference':50}{'o':>10}{'state':>10}{'seconds':>10}")
    for precision, words in (("rounded", "the GPU's program (bf16 matmul operands)"), ("f32", "the same program in fp32 (o is stored as bf16)")):
        program = wyvern.compile(spec_path, target="cpu", precision=precision)
        started = time.perf_counter()
        found = program(**inputs)
        seconds = time.perf_counter() - started
        errors = [np.linalg.norm(as_float(found[name]) - expected[name]) / np.linalg.norm(expected[name])
                  for name in ("o", "final_state")]
        print(f"  {words:50}{errors[0]:10.1e}{errors[1]:10.1e}{seconds:10.2f}")
        if not max(errors) < 1e-2:
            sys.exit("the error is too large: this is a bug in Wyvern")
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
