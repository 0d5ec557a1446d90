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


def step_table(corners):
    """[2, 2 * corners]: the element that a letter makes of one. Element a + corners * f is
    a turn by a corners, behind a flip if f is 1."""
    table = torch.empty(2, 2 * corners, dtype=torch.long)
    for flipped in (0, 1):
        for angle in range(corners):
            element = angle + corners * flipped
            # A flip after a turn by a is a turn by -a after a flip.
            table[TURN, element] = (angle + 1) % corners + corners * flipped
            table[FLIP, element] = -angle % corners + corners * (1 - flipped)
    return table


def word_batch(batch, letters, corners, generator):
    """Inputs and labels, [batch, 1 + letters], int64, on the generator's device."""
    if corners < 3:
        raise ValueError(f"a polygon of {corners} corners: expected at least 3")
    table = step_table(corners).to(generator.device)
    word = torch.randint(2, (batch, letters), generator=generator, device=generator.device)
    element = torch.zeros(batch, dtype=torch.long, device=generator.device)
    labels = [torch.full_like(element, IGNORE)]
    for letter in word.unbind(1):
        element = table[letter, element]
        labels.append(element)
    return torch.nn.functional.pad(word, (1, 0), value=BEGIN), torch.stack(labels, 1)
