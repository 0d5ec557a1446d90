# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A program with a variant of parts, as runtime_variant_cases.py has those of segments."""

import sys

from runtime_cases import Tensor, arguments, chunks, journal, kernels, launch, launches, load, refused, state
from runtime_variant_cases import with_segments

# The chunks of the first parts of a sequence in segments of 16, and the most of the last one.
FIRST, SECOND, LAST = 11, 7, 13
CUT = {"reverse": False, "first": FIRST, "second": SECOND, "last": LAST}
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
    spec["variants"].append({"name": "parts", "cut": dict(CUT), "workspace": workspace, "kernels": made})
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


def with_reverse():
    """... whose first part has the last tokens."""
    spec = with_parts()
    spec["variants"][2]["cut"]["reverse"] = True
    return spec


def case_parts_in_reverse(folder):
    """All begin where a chunk does: the one that is not full is in the first part."""
    program = load(folder, with_reverse())
    program.force_variant("parts-1024")
    tokens = 64 * (5 + 3 * 16 + SECOND + FIRST) - 3
    found, tensors = launched(program, 1, tokens)
    initial, o, final = tensors[-3].address, tensors[-2], tensors[-1].address
    first, second, middle = (0x900000 + n * 2 * 64 * 128 * 4 for n in (3, 4, 5))
    assert found["first"][2] == told(o, (64 * (5 + 48 + SECOND), 64 * FIRST - 3), initial, first)
    assert found["second"][2] == told(o, (64 * (5 + 48), 64 * SECOND), first, second)
    assert found["ends"][2] == told(o, (64 * 5, 64 * 48), second, middle)
    assert found["end"][2] == told(o, (0, 64 * 5), middle, final)
    for tokens in (0, 1, 63, 64, 65, 64 * FIRST - 1, 64 * FIRST + 1, 64 * (FIRST + SECOND + 16), 64 * 99 + 1):
        found, tensors = launched(program, 1, tokens)
        parts = [found[name][2] for name in ("end", "join", "second", "first")]
        starts = [(int(words[0], 16) - tensors[-2].address) // (2 * 128 * 2) for words in parts]
        counts = [int(words[-2]) for words in parts]
        assert starts == [sum(counts[:n]) for n in range(4)] and sum(counts) == tokens
        assert all(start % 64 == 0 for start in starts)


def case_parts_have_the_slots_of_the_whole(folder):
    """What is saved of a chunk lies where it does without parts, in every sequence of a batch."""
    tokens, slots = 64 * (FIRST + SECOND + 3 * 16 + 5) - 3, FIRST + SECOND + 3 * 16 + 5
    for spec in (with_parts(), with_reverse()):
        reverse = spec["variants"][2]["cut"]["reverse"]
        spec["tensors"].append({"name": "saved", "role": "output", "dtype": "f32", "dims": chunks(2, 64)})
        kept = {"name": "kept", "role": "workspace", "dtype": "f32", "dims": chunks(2, 64)}
        spec["variants"][2]["workspace"].append(kept)
        for kernel in spec["variants"][2]["kernels"]:
            kernel["params"] += [{"kind": "pointer", "tensor": name} for name in ("kept", "saved")]
            kernel["params"].append({"kind": "slot_tokens"})
        program = load(folder, spec)
        program.force_variant("parts-1024")
        before = {"first": 0, "second": FIRST, "ends": FIRST + SECOND, "end": FIRST + SECOND + 48}
        if reverse:
            before = {"first": slots - FIRST, "second": slots - FIRST - SECOND, "ends": 5, "end": 0}
        for batch in (1, 2):
            journal()
            saved = Tensor("f32", batch * slots, 2, 64)
            launch(program, arguments(batch, tokens) + [saved])
            told = {line.split()[1].removeprefix("delta_net_"): line.split()[-3:] for line in launches(journal())}
            size = 2 * 64 * 4
            for name, chunk in before.items():
                assert told[name][1:] == [f"{saved.address + chunk * size:#x}", str(tokens)]
            # The workspace, as large as that of the whole, begins with the part.
            assert len({words[0] for words in told.values()}) == 1
            states = 2 * 64 * 128 * 4 * batch * (3 + 3)
            assert program.workspace_size(batch, tokens, -1) == states + (batch * slots * size + 255) // 256 * 256


def case_kernels_know_their_part(folder):
    """Where a kernel asks for it: whether a state is in a slot of a pool, or handed on, depends on it."""
    spec = with_parts()
    for variant in spec["variants"]:
        for kernel in variant["kernels"]:
            kernel["params"].append({"kind": "part"})
    program = load(folder, spec)
    for variant, wanted in (("parts-1024", [3, 1, 3, 2, 3, 3, 4]), (spec["variants"][0]["name"], [0, 0])):
        program.force_variant(variant)
        journal()
        launch(program, arguments(1, 64 * 99))
        assert [int(line.split()[-1]) for line in launches(journal())] == wanted


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
    beside = max(middle, first) + max(middle, second) + max(middle, last)
    assert program.estimate(1, tokens, -1)[2] == beside + 3 * 3 * 100 + join
    # Of two sequences 8 SMs take a segment each, beside which nothing is hidden: with 16 chunks that
    # is more than segments of 7 in three rounds, with parts of 4, 3 and 5.
    tokens = 64 * (FIRST + SECOND + 16 + LAST)
    rounds = 3 * (100 + 3 * (100 + 7 * 500)) + sum(200 + chunks * 600 for chunks in (4, 3, 5)) + 200 + 5 * 500
    assert 3 * middle + first + second + last + 700 > rounds
    assert program.estimate(2, tokens, -1)[2] == rounds


def case_parts_well_formed(folder):
    def changed(number, **more):
        spec = with_parts()
        spec["variants"][2]["kernels"][number].update(more)
        return spec

    for wrong in (dict(first=0), dict(last=65)):
        spec = with_parts()
        spec["variants"][2]["cut"].update(wrong)
        with refused("WYVERN_ERROR_INVALID_DESCRIPTOR", "variant 'parts' cuts sequences in parts of"):
            load(folder, spec)
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
