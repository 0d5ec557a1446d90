# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks a bundle's manifest against its files."""

import hashlib
import json
import pathlib
import sys

bundle = pathlib.Path(sys.argv[1])
manifest = json.loads((bundle / "manifest.json").read_text())
assert manifest["schema"] == 3
assert manifest["target"] == "sm_90a"
assert manifest["gate_space"] == "log"
assert manifest["spec"] is None or manifest["spec"]["name"] == manifest["name"]
assert {"backward", "residuals"} <= manifest.keys()
for program in filter(None, (manifest, manifest["backward"])):
    names = [tensor["name"] for tensor in program["tensors"]]
    roles = [tensor["role"] for tensor in program["tensors"]]
    assert roles == sorted(roles, key=["input", "output"].index)
    saved = [tensor["name"] for tensor in program["tensors"] if tensor.get("residual")]
    assert saved == [residual["name"] for residual in manifest["residuals"]]
    variants = program["variants"]
    assert len({variant["name"] for variant in variants}) == len(variants) >= 1
    for variant in variants:
        own = [tensor["name"] for tensor in variant["workspace"]]
        assert len({*names, *own}) == len(names) + len(own)
        assert all(tensor["role"] == "workspace" for tensor in variant["workspace"])
        for kernel in variant["kernels"]:
            image = (bundle / kernel["image"]).read_bytes()
            assert hashlib.sha256(image).hexdigest() == kernel["sha256"], kernel["image"]
            assert kernel["spill_stores"] == kernel["spill_loads"] == 0
            assert len(variants) == 1 or kernel["cost"]["step_cycles"] > 0
            for param in kernel["params"]:
                assert param.get("tensor", names[0]) in names + own, param
