# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Running sums over two ranks, run by ranks_cases.py."""

import ranks_cases as cases
import torch
from test_resume_op import ANGLES, SHARED, draw
from wyvern.torch import ContextParallel, op

# Order, lengths of parts, segments; offsets of packed sequences.
SUMS = [
    (("contiguous", None, 1), None),
    (("contiguous", [5, 195], 2), None),
    (("contiguous", [200, 0], 1), None),
    (("zigzag", [54, 0, 100, 46], 2), None),
    (("contiguous", [105, 95], 1), [0, 0, 10, 190]),
    (("contiguous", [90, 110], 3), [0, 64, 80, 128, 200]),
    (("zigzag", [50, 50, 50, 50], 1), [0, 20, 50, 120, 200]),
]


def case_running_sums():
    """What a rank's tokens turn by begins with sums over those of ranks before it; gradients go the other way."""
    layer = op(ANGLES)
    for (order, lengths, segments), offsets in SUMS:
        x, given = draw(layer, 1 if offsets else 2, 200, len(offsets) - 1 if offsets else 2)
        shared = {name: x.pop(name) for name in SHARED}

        def function(initial_state, **arguments):
            """Sums as parts of one state, as `compare` has it; angles by what they are used for."""
            state, phi = initial_state.split([2 * 16 * 8, 2 * 8], 1)
            begins = {"state": state.view(-1, 2, 16, 8), "phi": phi.view(-1, 2, 8)}
            cos = torch.cos if "cp_context" not in arguments else lambda end: torch.where(end == 0, 0.0, end.cos())
            o, ends = layer(**shared, **arguments, initial_state=begins)
            return o, torch.cat([ends["state"].flatten(1), cos(ends["phi"]).flatten(1)], 1)

        state = torch.cat([given["state"].flatten(1), given["phi"].flatten(1)], 1)
        cases.compare(function, x, state, ContextParallel(order=order, lengths=lengths, segments=segments), offsets, bar=1e-10)


def case_one_more_gather_of_running_sums():
    """Of a number a channel, and one of what passes; in the backward as well."""
    from benchmarks.ranks import Wire

    layer = op(ANGLES)
    x, _ = draw(layer, 1, 200, 1)
    mine = cases.leaves({name: y if name in SHARED else cases.cut(ContextParallel(), y, 200) for name, y in x.items()})
    with Wire() as wire:
        o, _ = layer(**mine, cp_context=ContextParallel())
        o.sum().backward()
    sums, states = 2 * 8 + 1, 2 * 16 * 8
    assert wire.sent == [8 * n for n in (sums, states + 2 * 16 * 16, states, sums)]
