# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The word problem of a dihedral group: to say, after every letter, which element of the
group the word so far is.

D_n are the 2 n symmetries of a regular polygon, and a word is of two letters: a turn by
one corner and a flip. Who follows it has to know where the polygon stands; nothing but
the whole past says that.

    begin  turn  flip  turn  ...          inputs
      -     r     rf    f    ...          labels
"""

import torch

IGNORE = -100  # the label where nothing is asked: cross_entropy's default
TURN, FLIP, BEGIN = 0, 1, 2  # letters
LETTERS = 3


def word_batch(batch, letters, corners, generator):
    """Inputs and labels, [batch, 1 + letters], int64, on the generator's device. Element
    a + corners * f is a turn by a corners behind a flip if f is 1."""
    if corners < 3:
        raise ValueError(f"a polygon of {corners} corners: expected at least 3")
    word = torch.randint(2, (batch, letters), generator=generator, device=generator.device)
    # A flip turns the sense of every turn before it: turn i counts (-1)^(flips after it).
    flips = (word == FLIP).cumsum(1)
    sense = 1 - 2 * (flips % 2)
    angle = sense * ((word == TURN) * sense).cumsum(1) % corners
    labels = torch.nn.functional.pad(angle + corners * (flips % 2), (1, 0), value=IGNORE)
    return torch.nn.functional.pad(word, (1, 0), value=BEGIN), labels
