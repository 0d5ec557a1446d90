# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A program with a variant of parts, as runtime_variant_cases.py has those of segments."""

import sys

from runtime_cases import Tensor, arguments, journal, kernels, launch, launches, load, refused, state
from runtime_variant_cases import with_segments

# The chunks of the first parts of a sequence in segments of 16, and the most of the last one.
FIRST, SECOND, LAST = 11, 7, 13
# What a kernel of these cases is told: a row's tokens, where a state begins and ends, T and N.
LAST_PARAMS = ("tokens", "sequences")


def with_parts():
    """The same program, with segments between a first and a last part of each sequence."""
    spec = with_segments()
    chain = kernels(spec)[1]
    ends, join, last = spec["variants"][1]["kernels"]

    def kernel(like, name, part, waits, **states):
        params = [{"kind": "pointer", "tensor": tensor} for tensor in ("o", states["initial"], states["final"])]
        params += [{"kind": "cu_seqlens"}] + [{"kind": kind} for kind in LAST_PARAMS]
        more = {"waits": waits} if waits else {}
        made = {key: value for key, value in like.items() if key != "waits"}
        return made | more | {"symbol": f"delta_net_{name}", "image": f"part_{name}.cubin", "part": part, "params": params}

    whole = chain | {"grid": {"factor": 2, "count": "sequences"}, "cost": chain["cost"] | {"step_cycles": 600}}
    between = {"initial": "behind_second", "final": "behind_middle"}
    made = [
        kernel(ends, "ends", "middle", None, **between),
        kernel(whole, "first", "first", "last", initial="initial_state", final="behind_first"),
        kernel(ends, "transitions", "middle", True, **between),
        kernel(whole, "second", "second", "last", initial="behind_first", final="behind_second"),
        kernel(join, "join", "middle", True, **between),
        kernel(last, "last", "middle", True, **between),
        kernel(whole, "end", "last", "last", initial="behind_middle", final="final_state"),
    ]
    names = ("behind_first", *between.values())
    states = [{"name": name, "role": "workspace", "dtype": "f32", "dims": state(2, 64, 128)} for name in names]
    workspace = spec["variants"][1]["workspace"] + states
    spec["variants"].append({"name": "parts", "workspace": workspace, "kernels": made})
    return spec


def launched(program, batch, tokens, sequences=None, **replaced):
    """{kernel: (blocks, whether it may overlap, what it is told)}, and the tensors."""
    journal()
    tensors = arguments(batch, tokens, sequences, **replaced)
    launch(program, tensors, None if sequences is None else Tensor("i64", sequences + 1))
    found = {}
    for line in launches(journal()):
        name = line.split()[1].removeprefix("delta_net_")
        grid = int(line.split("grid=")[1].split(",")[0])
        found[name] = (grid, "attributes=overlap" in line, line.split()[-len(LAST_PARAMS) - 4 :])
    return found, tensors


def told(tensor, tokens, *states, cu="0x0", sequences=1):
    """What a kernel is told of a part that begins at `tokens[0]` and has `tokens[1]`."""
    o = tensor.address + tokens[0] * 2 * 128 * 2
    return [f"{o:#x}", *(f"{address:#x}" for address in states), cu, str(tokens[1]), str(sequences)]


def case_parts_run_beside_each_other(folder):
    program = load(folder, with_parts())
    # 8 SMs take 4 blocks a head: 3 segments of 16 chunks, and beside them the first part or, at the end,
    # the last one.
    tokens = 64 * (FIRST + SECOND + 3 * 16 + 5) - 3
    program.force_variant("parts-1024")
    found, tensors = launched(program, 1, tokens)
    initial, o, final = tensors[-3].address, tensors[-2], tensors[-1].address
    size = 2 * 64 * 128 * 4
    first, second, middle = (0x900000 + n * size for n in (3, 4, 5))
    assert program.workspace_size(1, tokens, -1) == 6 * size
    assert list(found) == ["ends", "first", "transitions", "second", "join", "last", "end"]
    inner = told(o, (64 * (FIRST + SECOND), 64 * 48), second, middle)
    assert found == {
        "ends": (6, False, inner),
        "first": (2, True, told(o, (0, 64 * FIRST), initial, first)),
        "transitions": (6, True, inner),
        "second": (2, True, told(o, (64 * FIRST, 64 * SECOND), first, second)),
        "join": (4, True, inner),
        "last": (6, True, inner),
        "end": (2, True, told(o, (64 * (FIRST + SECOND + 48), 64 * 5 - 3), middle, final)),
    }
    # By itself a launch takes segments as long as fill the SMs.
    program.force_variant("parts")
    found, _ = launched(program, 1, 64 * (FIRST + SECOND + 3 * 16 + LAST))
    chunks = [int(found[name][2][-2]) // 64 for name in ("first", "second", "ends", "end")]
    assert chunks == [FIRST, SECOND, 48, LAST]
    # In each sequence of a batch.
    program.force_variant("parts-1024")
    found, _ = launched(program, 2, tokens)
    assert [blocks for blocks, _, _ in found.values()] == [12, 4, 12, 4, 8, 12, 4]


def case_parts_of_few_tokens(folder):
    """Kernels of no segment are not launched, and none starts beside one that it needs."""
    program = load(folder, with_parts())
    program.force_variant("parts-1024")
    long, both = 64 * FIRST, 64 * (FIRST + SECOND)
    for tokens, first, second, last in (
        (0, 0, 0, 0),
        (1, 1, 0, 0),
        (long, long, 0, 0),
        (both - 1, long, 64 * SECOND - 1, 0),
        (both + 63, long, 64 * SECOND, 63),
        (both + 64 * LAST, long, 64 * SECOND, 64 * LAST),
    ):
        found, _ = launched(program, 1, tokens)
        assert list(found) == ["first", "second", "join", "end"]
        assert [overlaps for _, overlaps, _ in found.values()] == [False, False, True, False]
        assert [int(words[-2]) for _, _, words in found.values()] == [first, second, 0, last]
    # The middle is of whole segments, but where nothing is left for the last part.
    for rest, middle in ((64 * LAST + 1, 64 * LAST + 1), (64 * 16, 64 * 16), (64 * 16 + 1, 64 * 16)):
        found, _ = launched(program, 1, both + rest)
        assert [int(words[-2]) for _, _, words in found.values()] == [
            middle, long, middle, 64 * SECOND, middle, middle, rest - middle
        ]


def case_parts_of_packed_sequences(folder):
    """How long they are the host does not know: all of them are a first part."""
    program = load(folder, with_parts())
    program.force_variant("parts-1024")
    tokens = 64 * 100
    found, tensors = launched(program, 1, tokens, 3)
    assert list(found) == ["first", "second", "join", "end"]
    cu = found["first"][2][3]
    assert cu != "0x0"
    first = 0x900000
    assert found["first"] == (6, False, told(tensors[-2], (0, tokens), tensors[-3].address, first, cu=cu, sequences=3))
    # The others hand the states on, as of sequences of no tokens.
    assert [words[-3:] for _, _, words in list(found.values())[1:]] == [["0x0", "0", "3"]] * 3
    program.force_variant(None)
    assert program.choose(1, tokens, 3) != "parts"


def case_parts_are_estimated(folder):
    program = load(folder, with_parts())
    tokens = 64 * (FIRST + SECOND + 3 * 16 + LAST)
    # The ends hide the first part, the transitions the second, and the last chain the last.
    middle = 100 + 100 + 16 * 500
    first, second, last = (100 + 100 + chunks * 600 for chunks in (FIRST, SECOND, LAST))
    join = 100 + 100 + 3 * 500
    assert program.estimate(1, tokens, -1)[2] == max(middle, first) + max(middle, second) + join + max(middle, last)


def case_parts_well_formed(folder):
    def changed(number, **more):
        spec = with_parts()
        spec["variants"][2]["kernels"][number].update(more)
        return spec

    with refused("WYVERN_ERROR_INVALID_DESCRIPTOR", "delta_net_join has the part 0 of sequences, expected 1 to 4"):
        load(folder, changed(4, part="all"))
    spec = with_parts()
    for kernel in spec["variants"][2]["kernels"]:
        kernel["grid"] = {"factor": 2, "count": "sequences"}
    with refused("WYVERN_ERROR_INVALID_DESCRIPTOR", "variant 'parts' has parts of sequences"):
        load(folder, spec)
    for wrong in (dict(part="third"), dict(waits="never")):
        try:
            load(folder, changed(4, **wrong))
        except ValueError as error:
            assert next(iter(wrong.values())) in str(error)
        else:
            raise AssertionError(wrong)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
