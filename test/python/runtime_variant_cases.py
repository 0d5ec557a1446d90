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
    # Packed sequences count as drawn at random, here 64 tokens on average; a wave is two sequences.
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


def with_segments():
    """The same program, with a variant of segments: where they end, a join, and the last chain."""
    spec = two_variants()
    spec["variants"].pop()
    chain = kernels(spec)[1]
    segment = [{"kind": "segment"}]
    cost = chain["cost"] | {"step_cycles": 500}

    def kernel(name, count, factor, **cost_changes):
        grid = {"factor": factor, "count": count}
        return chain | {
            "symbol": f"delta_net_{name}",
            "image": f"{name}.cubin",
            "grid": grid,
            "params": [{"kind": "pointer", "tensor": "ends"}, *segment],
            "cost": cost | cost_changes,
        }

    ends = {"name": "ends", "role": "workspace", "dtype": "f32"}
    ends["dims"] = segment + state(2, 64, 128)[1:]
    made = [kernel("ends", "segments", 2), kernel("join", "sequences", 4, step_chunks=0), kernel("last", "segments", 2)]
    spec["variants"].append({"name": "segments", "workspace": [ends], "kernels": made})
    return spec


def case_segments_as_long_as_fills_the_sms(folder):
    program = load(folder, with_segments())

    def grids(batch, tokens, sequences=None):
        journal()
        cu_seqlens = None if sequences is None else Tensor("i64", sequences + 1)
        launch(program, arguments(batch, tokens, sequences), cu_seqlens)
        # The parameters are the address, and the tokens of a segment.
        return [(line.split()[1], line.split("grid=")[1].split(",")[0], line.split()[-1]) for line in launches(journal())]

    # 8 SMs take 4 segments of 2 heads: 16 of 64 chunks each. The ends and the last chain, 16 steps
    # each, and a join of 4.
    long = 64 * 64
    assert program.estimate(1, long, -1)[1] == 2 * (100 + 100 + 16 * 500) + 100 + 100 + 4 * 500
    assert program.choose(1, long, -1) == "segments"
    assert grids(1, long) == [("delta_net_ends", "8", "1024"), ("delta_net_join", "4", "1024"), ("delta_net_last", "8", "1024")]
    assert program.workspace_size(1, long, -1) == 4 * 2 * 64 * 128 * 4
    # Two sequences have two segments each. Nothing is gained by segments below 4 chunks.
    assert grids(2, long)[0] == ("delta_net_ends", "8", "2048")
    program.force_variant("segments")
    assert grids(1, 64 * 8)[0] == ("delta_net_ends", "4", "256")
    # Packed, every sequence may end in a part of one.
    assert grids(1, long, 3)[0] == ("delta_net_ends", "14", "1024")
    # A length that is forced is rounded up to whole chunks.
    program.force_variant("segments-1000")
    assert grids(1, long)[0] == ("delta_net_ends", "8", "1024")
    program.force_variant("segments-500")
    assert grids(1, long)[0] == ("delta_net_ends", "16", "512")
    for wrong in ("segments-", "segments--4", "segments-4k", "separate-64", "segment"):
        with refused("WYVERN_ERROR_INVALID_ARGUMENT", f"no variant '{wrong}'"):
            program.force_variant(wrong)
    # No sequence, no blocks.
    program.force_variant("segments")
    assert program.workspace_size(0, 64, -1) == 0


def case_packed_sequences_are_uneven(folder):
    """The longest is expected to be as long as one of lengths drawn at random."""
    program = load(folder, with_segments())
    tokens = 64 * 64
    # 132 blocks of the map are 17 waves. The mean is 32 chunks, the longest 1.65 times that.
    assert program.estimate(1, tokens, 2)[0] == 100 + 17 * 200 + 100 + 100 + 53 * 1000
    assert program.choose(1, tokens, 2) == "segments"


def case_segments_are_of_a_workspace(folder):
    spec = with_segments()
    spec["tensors"][0]["dims"][0] = {"kind": "segment"}
    with refused("WYVERN_ERROR_INVALID_DESCRIPTOR", "dimension 0 of tensor 'q' is ill formed"):
        load(folder, spec)
    spec = with_segments()
    spec["variants"].pop(0)
    spec.pop("machine")
    with refused("WYVERN_ERROR_INVALID_DESCRIPTOR", "a machine of 0 SMs"):
        load(folder, spec)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
