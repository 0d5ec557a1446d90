# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A program of two variants, as runtime_cases.py has those of one."""

import sys

from runtime_cases import (
    Tensor,
    arguments,
    fresh_tensors,
    journal,
    kernels,
    launch,
    launches,
    load,
    manifest,
    refused,
    state,
)


def two_variants():
    """The same program, with a variant of one kernel that keeps twice as many SMs busy."""
    spec = manifest()
    spec["machine"] = {"sms": 8, "bytes_per_cycle": 1000, "launch_cycles": 100}
    cost = {"step_chunks": 1, "residents": 1, "block_cycles": 100, "step_work": 0, "step_bytes": 0}
    before, chain = kernels(spec)
    before["cost"] = cost | {"step_cycles": 100}
    chain["cost"] = cost | {"step_cycles": 1000}
    fused = chain | {"symbol": "delta_net_fused", "image": "fused.cubin", "cost": cost | {"step_cycles": 1100}}
    fused["params"] = [p for p in chain["params"] if not p.get("tensor", "").startswith("before")]
    fused["params"] += [{"kind": "pointer", "tensor": "scratch"}]
    scratch = {"name": "scratch", "role": "workspace", "dtype": "f32", "dims": state(2, 64, 128)}
    spec["variants"].append({"name": "fused", "workspace": [scratch], "kernels": [fused]})
    return spec


def case_variants_by_shapes(folder):
    program = load(folder, two_variants())
    # 32 blocks of the map in 4 waves of 8 SMs, then 4 chains of 16 chunks, each after a launch.
    assert program.estimate(1, 1024, -1) == [4 * 200 + 100 + 16 * 1000 + 200, 100 + 16 * 1100 + 100]
    assert program.choose(1, 1024, -1) == "separate"
    assert program.choose(1, 64, -1) == "fused"
    # Packed sequences count as equally long, here 64 tokens each; a wave is two sequences.
    assert program.choose(1, 64 * 2, 2) == "fused"
    with refused("WYVERN_ERROR_INVALID_ARGUMENT", "must not be negative"):
        program.choose(-1, 64, -1)

    def names():
        return [line.split()[1] for line in launches(journal())]

    launch(program, arguments(1, 1024))
    assert names() == ["delta_net_before", "delta_net_chain"]
    launch(program, arguments(1, 64))
    assert names() == ["delta_net_fused"]
    # All were loaded at the first launch: this one may be under capture.
    launch(program, arguments(1, 64))
    assert not any(line.startswith("load") for line in journal())


def case_workspace_of_a_variant(folder):
    program = load(folder, two_variants())
    large, small = program.workspace_size(1, 1024, -1), program.workspace_size(1, 64, -1)
    assert large == 1024 * 2 * 64 * 2 + 16 * 2 * 64 * 4
    assert small == 2 * 64 * 128 * 4
    program.force_variant("fused")
    assert program.workspace_size(1, 1024, -1) == small
    launch(program, arguments(1, 1024))
    (line,) = launches(journal())
    assert line.startswith("launch delta_net_fused") and f" {0x900000:#x}" in line
    program.force_variant("separate")
    with refused("WYVERN_ERROR_WORKSPACE", str(large)):
        launch(program, arguments(1, 1024), size=small)
    assert program.choose(1, 64, -1) == "separate"
    program.force_variant(None)
    assert program.choose(1, 64, -1) == "fused"
    with refused("WYVERN_ERROR_INVALID_ARGUMENT", "no variant 'best'; its variants are separate, fused"):
        program.force_variant("best")


def case_layouts_of_all_variants(folder):
    """Whether a tensor is copied does not depend on the variant."""
    spec = two_variants()
    fused = kernels(spec)[2]
    fused["params"] = [p for p in fused["params"] if p.get("tensor") != "q"] + [{"kind": "pointer", "tensor": "q"}]
    view = Tensor("bf16", 2, 100, 2, 64, strides=[38400, 384, 64, 1])
    for name in ("separate", "fused"):
        program = load(folder, spec)
        program.force_variant(name)
        fresh_tensors.clear()
        launch(program, arguments(q=view))
        assert [tensor for tensor, _ in fresh_tensors] == [view]


def case_estimates_need_costs(folder):
    def without(change):
        spec = two_variants()
        change(spec)
        return spec

    with refused("WYVERN_ERROR_INVALID_DESCRIPTOR", "a machine of 0 SMs"):
        load(folder, without(lambda spec: spec.pop("machine")))
    with refused("WYVERN_ERROR_INVALID_DESCRIPTOR", "delta_net_chain has a cost with 0 chunks a step and 0 blocks"):
        load(folder, without(lambda spec: kernels(spec)[1].pop("cost")))
    # A single variant needs none, and has no estimate.
    program = load(folder)
    assert program.choose(1, 64, -1) == "separate"
    with refused("WYVERN_ERROR_INVALID_DESCRIPTOR", "a machine of 0 SMs"):
        program.estimate(1, 64, -1)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
