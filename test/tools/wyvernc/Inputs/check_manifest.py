# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks a bundle's manifest against its files."""

import hashlib
import json
import pathlib
import sys

bundle = pathlib.Path(sys.argv[1])
manifest = json.loads((bundle / "manifest.json").read_text())
assert manifest["schema"] == 2
assert manifest["target"] == "sm_90a"
assert manifest["gate_space"] == "log"
assert manifest["spec"] is None or manifest["spec"]["name"] == manifest["name"]
assert {"backward", "residuals"} <= manifest.keys()
for program in filter(None, (manifest, manifest["backward"])):
    names = [tensor["name"] for tensor in program["tensors"]]
    assert len(set(names)) == len(names)
    roles = [tensor["role"] for tensor in program["tensors"]]
    assert roles == sorted(roles, key=["input", "output", "workspace"].index)
    saved = [tensor["name"] for tensor in program["tensors"] if tensor.get("residual")]
    assert saved == [residual["name"] for residual in manifest["residuals"]]
    for kernel in program["kernels"]:
        image = (bundle / kernel["image"]).read_bytes()
        assert hashlib.sha256(image).hexdigest() == kernel["sha256"], kernel["image"]
        assert kernel["spill_stores"] == kernel["spill_loads"] == 0
        for param in kernel["params"]:
            assert param.get("tensor", names[0]) in names, param
